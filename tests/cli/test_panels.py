"""`panels`."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from opsconsole.core.clock import now
from opsconsole.core.problems import Fault, Problem, Work
from opsconsole.leader.lease import identity
from opsconsole.store import lease
from tests.cli.conftest import RunCli
from tests.conftest import Installing
from tests.installation import Installation
from tests.waiting import eventually

PACKS = "jobs.game,jobs.exams,tests.packs.diary"


@pytest.fixture
def installation(installing: Installing, redis_url: str, tmp_path: Path) -> Installation:
    return installing(database_url=f"sqlite:///{tmp_path / 'ops.db'}", redis_url=redis_url, packs=PACKS)


def test_the_panels_of_every_pack_are_shown(cli: RunCli) -> None:
    result = cli("panels")

    assert result.code == 0
    for words in ("game: Players", "exams: Exam requests", "cost today", "diagnostic"):
        assert words in result.out
    assert "diary" not in result.out


def test_the_json_of_one_pack(cli: RunCli) -> None:
    result = cli("panels", "exams", "--json")

    assert result.code == 0
    assert {panel["pack"] for panel in result.json} == {"exams"}
    requests = next(panel for panel in result.json if panel["title"] == "Exam requests")
    assert "cost today" in requests["facts"]
    assert requests["failed"] is False


def test_an_unknown_pack_is_refused_with_the_available_ones(cli: RunCli) -> None:
    result = cli("panels", "gmae")

    assert result.code == 2
    assert "unknown pack 'gmae'; the packs are game, exams, diary" in result.err


def test_an_unreadable_panel_shows_its_cause_beside_the_others(cli: RunCli, installation: Installation) -> None:
    with installation.data.writing() as db:
        db.execute(text("DROP TABLE lives"))

    result = cli("panels", "game")

    assert result.code == 1
    assert "game: Players\nthe panel's data cannot be read: no such table: lives" in result.out
    assert "game: Leaderboards" in result.out


KEY = "sk-ant-0123456789"


@pytest.mark.parametrize("leader_has_key", [True, False])
def test_what_a_pack_lacks_is_what_the_leader_lacks(
    cli: RunCli, installation: Installation, monkeypatch: pytest.MonkeyPatch, leader_has_key: bool
) -> None:
    """The client may have another environment than the leader."""

    def key(present: bool) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY) if present else monkeypatch.delenv("ANTHROPIC_API_KEY", False)

    key(not leader_has_key)
    alone = cli("check").out + cli("panels", "exams").out
    key(leader_has_key)
    with installation.leading():

        def known() -> bool:
            leader = installation.service.queries.leader()
            return leader is not None and leader.notes is not None

        eventually(known, "the leader has written what its packs lack")
        key(not leader_has_key)
        check, panels = cli("check").out, cli("panels", "exams").out

    lacking = "exams are not configured: set ANTHROPIC_API_KEY"
    assert (f"this process: {lacking}" in alone) == leader_has_key
    assert "this process" not in check + panels
    assert ("the leader (" in check and lacking in check) == (not leader_has_key)
    assert (lacking in panels and "not configured" in panels) == (not leader_has_key)
    assert KEY not in check + panels + alone


def test_check_notes_what_the_leader_cannot_do(cli: RunCli, installation: Installation) -> None:
    me = identity("web1", "anna")
    problem = Problem(Work.SCHEDULE, Fault.FAILING, now(), "the clock\x1b[2J is broken")
    with installation.store.writing() as db:
        token = lease.take(db, lease.read(db), me, now())
        assert token is not None
        lease.renew(db, token, me.owner, now(), (problem,))

    as_text, as_json = cli("check"), cli("check", "--json")

    notes = [note for note in as_json.json["notes"] if note.startswith("the leader:")]
    assert notes == ["the leader: task schedule keeps failing: the clock\x1b[2J is broken"]
    assert "· the leader: task schedule keeps failing: the clock" in as_text.out
    assert "\x1b" not in as_text.out + as_json.out
    assert (as_text.code, as_json.json["ok"]) == (0, True), "it is no problem of this installation"
