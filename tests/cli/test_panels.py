"""What packs say of themselves, on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from tests.cli.conftest import Typing
from tests.conftest import Installing
from tests.installation import Installation

PACKS = "jobs.game,jobs.exams,tests.packs.diary"


@pytest.fixture
def place(installing: Installing, redis_url: str, tmp_path: Path) -> Installation:
    return installing(database_url=f"sqlite:///{tmp_path / 'ops.db'}", redis_url=redis_url, packs=PACKS)


def test_every_pack_says_how_it_is(typing: Typing) -> None:
    told = typing("panels")

    assert told.code == 0
    for words in ("game: Players", "exams: Exam requests", "cost today", "diagnostic"):
        assert words in told.out
    assert "diary" not in told.out


def test_programs_read_one_pack(typing: Typing) -> None:
    told = typing("panels", "exams", "--json")

    assert told.code == 0
    assert {panel["pack"] for panel in told.json} == {"exams"}
    requests = next(panel for panel in told.json if panel["title"] == "Exam requests")
    assert "cost today" in requests["facts"]
    assert requests["failed"] is False


def test_a_pack_that_is_not_there_brings_up_those_that_are(typing: Typing) -> None:
    told = typing("panels", "gmae")

    assert told.code == 2
    assert "unknown pack 'gmae'; the packs are game, exams, diary" in told.err


def test_a_panel_that_cannot_be_read_says_why_and_hides_no_other(typing: Typing, place: Installation) -> None:
    with place.data.writing() as db:
        db.execute(text("DROP TABLE lives"))

    told = typing("panels", "game")

    assert told.code == 1
    assert "game: Players\nthe panel's data cannot be read: no such table: lives" in told.out
    assert "game: Leaderboards" in told.out
