"""Publishing events once more from the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from opsconsole.authoring import outbox
from opsconsole.authoring.outbox import Event
from opsconsole.store import events
from tests.cli.conftest import Typing
from tests.conftest import Installing
from tests.installation import Installation
from tests.waiting import eventually

NOON = datetime(2026, 1, 19, 12, tzinfo=UTC)


@pytest.fixture
def place(installing: Installing, redis_url: str, tmp_path: Path) -> Installation:
    """Where a job has told of a book at eleven and of two at noon, all of which is published, and lost since."""
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


def test_what_happened_since_a_time_is_published_once_more(typing: Typing, place: Installation, redis_url: str) -> None:
    told = typing("events", "replay", "--since", "2026-01-19T12:00:00Z")

    assert (told.code, told.err) == (0, "")
    assert told.out == "2 events are published again\n"
    with place.leading():
        eventually(lambda: len(published(redis_url)) == 2, "they are published again")
    assert published(redis_url) == ["2", "3"]
    assert [(row.verb, row.outcome) for row in place.service.queries.audit_entries(limit=9)] == [
        ("replay", "done"),
        ("replay", "requested"),
    ]


def test_programs_are_told_how_many(typing: Typing, place: Installation) -> None:
    told = typing("events", "replay", "--since", "2026-01-19 11:00", "--yes", "--json").json

    assert told == {"command": told["command"], "state": "done", "message": "3 events are published again", "events": 3}


def test_on_a_terminal_it_asks_first(typing: Typing, place: Installation) -> None:
    told = typing("events", "replay", "--since", "2026-01-19 12:00", answers="n")

    assert (told.code, told.out) == (1, "")
    assert "Publish all events since 2026-01-19 12:00 UTC again?" in told.err
    assert place.service.queries.audit_entries(limit=1) == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--since", "noon"), 2, "'noon' is not a time"),
        ((), 2, "Missing option '--since'"),
    ],
)
def test_what_is_no_time_is_refused(
    typing: Typing, place: Installation, arguments: tuple[str, ...], code: int, says: str
) -> None:
    told = typing("events", "replay", *arguments)

    assert (told.code, told.out) == (code, "")
    assert says in told.err
    assert place.service.queries.audit_entries(limit=1) == []


def test_who_may_only_look_publishes_nothing(typing: Typing, place: Installation) -> None:
    told = typing("--read-only", "events", "replay", "--since", "7d")

    assert told.code == 77
    assert "not allowed in read-only mode" in told.err
