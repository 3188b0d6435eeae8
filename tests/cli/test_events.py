"""`events replay` and `events failed`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from opsconsole.authoring import outbox
from opsconsole.authoring.outbox import Event
from opsconsole.store import events, set_aside
from opsconsole.store.set_aside import Kind, SetAside
from tests.cli.conftest import RunCli
from tests.conftest import Installing
from tests.installation import Installation
from tests.waiting import eventually

NOON = datetime(2026, 1, 19, 12, tzinfo=UTC)


@pytest.fixture
def installation(installing: Installing, redis_url: str, tmp_path: Path) -> Installation:
    """A job emitted one event at eleven and two at noon; all were published."""
    made = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="tests.packs.shelf",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    with made.data.writing() as db:
        outbox.append(db, [Event("BookBought", "1", {})], NOON - timedelta(hours=1))
        outbox.append(db, [Event("BookBought", "2", {}), Event("BookBought", "3", {})], NOON)
        events.mark_published(db, [1, 3], NOON)
    return made


def published(redis_url: str) -> list[str]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return [fields["key"] for _, fields in client.xrange("events")]


def test_events_since_a_time_are_published_again(cli: RunCli, installation: Installation, redis_url: str) -> None:
    result = cli("events", "replay", "--since", "2026-01-19T12:00:00Z")

    assert (result.code, result.err) == (0, "")
    assert result.out == "queued 2 events to be published again\n"
    with installation.leading():
        eventually(lambda: len(published(redis_url)) == 2, "they are published again")
    assert published(redis_url) == ["2", "3"]
    assert [(row.verb, row.outcome) for row in installation.service.audit.newest(limit=9)] == [
        ("replay", "done"),
        ("replay", "requested"),
    ]


def test_the_json_has_the_number_of_events(cli: RunCli, installation: Installation) -> None:
    result = cli("events", "replay", "--since", "2026-01-19 11:00", "--yes", "--json").json

    assert result == {
        "command": result["command"],
        "state": "done",
        "message": "queued 3 events to be published again",
        "events": 3,
    }


def test_it_asks_for_confirmation_on_a_terminal(cli: RunCli, installation: Installation) -> None:
    result = cli("events", "replay", "--since", "2026-01-19 12:00", answers="n")

    assert (result.code, result.out) == (1, "")
    assert "Publish all events since 2026-01-19 12:00 UTC again?" in result.err
    assert installation.service.audit.newest(limit=1) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--since", "noon"), 2, "'noon' is not a time"),
        ((), 2, "Missing option '--since'"),
    ],
)
def test_an_invalid_time_is_refused(
    cli: RunCli, installation: Installation, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = cli("events", "replay", *arguments)

    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert installation.service.audit.newest(limit=1) == []


def test_a_viewer_cannot_replay_events(cli: RunCli, installation: Installation) -> None:
    result = cli("--read-only", "events", "replay", "--since", "7d")

    assert result.code == 77
    assert "not allowed in read-only mode" in result.err


def test_events_that_could_not_be_published_are_listed_newest_first(cli: RunCli, installation: Installation) -> None:
    none, no_json = cli("events", "failed"), cli("events", "failed", "--json")
    with installation.store.writing() as db:
        for number, name in enumerate(("BookBought 2", "Book\x1b[2J 3"), 2):
            at = NOON + timedelta(minutes=number)
            set_aside.add(db, SetAside(Kind.EVENT, str(number), name, at, "JSON is malformed: byte 1"))
        set_aside.add(db, SetAside(Kind.STALENESS_CHECK, "a.b 2026", "a.b 2026", NOON, "no ink"))

    listed, as_json, newest = (cli("events", "failed", *more) for more in ((), ("--json",), ("--limit", "1")))

    assert (none.code, none.out, no_json.json) == (0, "no event has failed\n", [])
    head, newer, older = listed.out.splitlines()
    assert head.split() == ["ID", "EVENT", "SINCE", "REASON"]
    assert newer.startswith("3")
    assert older.startswith("2   BookBought 2")
    assert older.endswith("JSON is malformed: byte 1")
    assert "\x1b" not in listed.out
    assert "a.b" not in listed.out
    assert as_json.json[1] == {
        "id": 2,
        "event": "BookBought 2",
        "since": "2026-01-19T12:02:00Z",
        "reason": "JSON is malformed: byte 1",
    }
    assert len(newest.out.splitlines()) == 2
