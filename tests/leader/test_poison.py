"""What cannot be processed is set aside with its cause, and what is behind it is processed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import redis
from sqlalchemy import text

from opsconsole.authoring import outbox
from opsconsole.authoring.outbox import Event
from opsconsole.cache.filters import ClearFilter
from opsconsole.core.settings import Actor, Role
from opsconsole.leader import background_tasks, event_relay
from opsconsole.rules.findings import FindingKind
from opsconsole.service.snapshot import Finding
from opsconsole.store import audit, commands
from tests.conftest import Installing
from tests.event_records import unpublished
from tests.installation import Installation
from tests.soak import postgresql_in_soak
from tests.strange_redis import StrangeRedis, always
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = postgresql_in_soak

NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)
ASHA = Actor("asha", "local", Role.OPERATOR)
INLINE = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}


@pytest.fixture
def place(installing: Installing, database_url: str, redis_url: str) -> Installation:
    return installing(database_url=database_url, redis_url=redis_url, packs="tests.packs.hostile_views", environ=INLINE)


def found(place: Installation, kind: FindingKind) -> list[Finding]:
    return [finding for finding in place.service.snapshot().findings if finding.kind is kind]


# --- events -------------------------------------------------------------------------------------------------------


def emit(place: Installation, *keys: str) -> None:
    with place.data.writing() as db:
        outbox.append(db, [Event("Noted", key, {"n": key}) for key in keys], NOON)


def spoil(place: Installation, assignment: str) -> None:
    """Changes the event `poison` as another program could."""
    with place.data.writing() as db:
        db.execute(text(f"UPDATE events SET {assignment} WHERE key = 'poison'"))  # noqa: S608 - a constant of this file


def streamed(url: str) -> list[str]:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return [fields["key"] for _, fields in client.xrange("events")]


SPOILT = {
    "no JSON": "payload = '{oops'",
    "empty": "payload = ''",
    "too long": f"payload = '\"' || replace(hex(zeroblob({event_relay.MAX_CHARACTERS // 2})), '0', 'x') || '\"'",
    "not UTF-8": "payload = CAST(x'7bff7d' AS TEXT)",
    "no text": "payload = x'00ff'",
    "a key that is not UTF-8": "name = CAST(x'ff' AS TEXT)",
    "no time": "occurred_at = 'yesterday'",
}
ONLY_SQLITE = ("not UTF-8", "no text", "a key that is not UTF-8", "no time")


@pytest.mark.parametrize("how", SPOILT)
def test_an_event_that_cannot_be_published_holds_up_no_other(how: str, place: Installation, redis_url: str) -> None:
    if how in ONLY_SQLITE and not place.data.is_sqlite:
        pytest.skip("PostgreSQL stores no such value")
    emit(place, "before", "poison", "after")
    assignment = SPOILT[how]
    if how == "too long" and not place.data.is_sqlite:
        assignment = f"payload = '\"' || repeat('x', {event_relay.MAX_CHARACTERS}) || '\"'"
    spoil(place, assignment)

    with place.leading():
        eventually(lambda: streamed(redis_url) == ["before", "after"], "the others are published")
        eventually(lambda: bool(found(place, FindingKind.SET_ASIDE)), "the finding")
        emit(place, "later")
        eventually(lambda: streamed(redis_url) == ["before", "after", "later"], "so is what comes later")
        (failed,) = place.service.queries.failed_events(limit=9)
        (finding,) = found(place, FindingKind.SET_ASIDE)

        spoil(place, "payload = '{}', name = 'Noted', occurred_at = (SELECT min(occurred_at) FROM events)")
        replay = place.service.commands.replay_events(NOON)
        assert place.service.commands.outcome(replay, PATIENCE_SECONDS) is not None
        eventually(lambda: "poison" in streamed(redis_url), "it is published once it has been corrected")

    assert failed.reason
    assert finding.subject.startswith("event 2 (")
    assert finding.reason == failed.reason
    assert place.service.queries.failed_events(limit=9) == []
    assert found(place, FindingKind.SET_ASIDE) == []


def test_events_that_fail_again_are_set_aside_again(place: Installation, redis_url: str) -> None:
    emit(place, "poison", "after")
    spoil(place, SPOILT["no JSON"])

    with place.leading():
        eventually(lambda: streamed(redis_url) == ["after"], "the other one is published")
        eventually(lambda: unpublished(place.data) == 0, "both are marked, so that they can be replayed")
        replay = place.service.commands.replay_events(NOON)
        assert place.service.commands.outcome(replay, PATIENCE_SECONDS) is not None
        eventually(lambda: streamed(redis_url) == ["after", "after"], "the other one is published again")
        eventually(lambda: len(place.service.queries.failed_events(limit=9)) == 1, "it is set aside again")


def test_a_stream_of_another_type_sets_no_event_aside(place: Installation, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("events", "in the way")
        emit(place, "one", "two", "three", "four", "five")

        with place.leading():
            eventually(
                lambda: any(each.subject == "event_relay" for each in found(place, FindingKind.DEGRADED)), "the finding"
            )
            set_aside = place.service.queries.failed_events(limit=9)
            client.delete("events")
            eventually(lambda: len(streamed(redis_url)) == 5, "all are published")
            eventually(lambda: not found(place, FindingKind.DEGRADED), "the finding resolves itself")

    assert set_aside == []


# --- commands -----------------------------------------------------------------------------------------------------


def request(place: Installation, verb: str, target: str, arguments: dict[str, Any]) -> int:
    with place.store.writing() as db:
        return commands.request(db, verb, target, arguments, ASHA, NOON)


def changed(assignment: str) -> Callable[[Installation], int]:
    def requested(place: Installation) -> int:
        number = request(place, "pause", "all", {"until": None})
        with place.store.writing() as db:
            db.execute(text(f"UPDATE ops_commands SET {assignment} WHERE id = {number}"))  # noqa: S608
        return number

    return requested


POISON: dict[str, Callable[[Installation], int]] = {
    "arguments that are no JSON": changed("arguments = '{oops'"),
    "arguments that are a list": changed("arguments = '[1]'"),
    "a role that does not exist": changed("role = 'emperor'"),
    "a verb of another version": lambda place: request(place, "paint", "all", {}),
    "a run that is no number": lambda place: request(place, "retry", "many", {}),
    "a run beyond all numbers": lambda place: request(place, "retry", "9" * 30, {}),
    "a date that is a number": lambda place: request(place, "trigger", "hostile.day", {"date": 7}),
    "a selection that does not exist": lambda place: request(place, "trigger", "hostile.day", {"only": "some"}),
    "a pause until never": lambda place: request(place, "pause", "all", {"until": "never"}),
    "a backfill that is no number": lambda place: request(place, "apply_backfill", "x", {}),
    "a clear of a number": lambda place: request(place, "clear", "x", {"user": 7}),
    "a clear that counted a text": lambda place: request(place, "clear", "x", {"family": "a", "counted": "x"}),
    "a replay since never": lambda place: request(place, "replay", "x", {"since": "never"}),
    "a replay since nothing": lambda place: request(place, "replay", "x", {}),
}


@pytest.mark.parametrize("how", POISON)
def test_a_command_that_cannot_be_executed_is_refused_and_the_next_one_is_executed(
    how: str, place: Installation
) -> None:
    first = POISON[how](place)
    second = place.service.commands.pause("hostile.day", until=None)
    third = place.service.commands.replay_events(NOON)

    with place.leading() as engine:
        for number in (second, third):
            outcome = place.service.commands.outcome(number, PATIENCE_SECONDS)
            assert outcome is not None
            assert outcome.refused is None
        token = engine.owner
        with place.store.reading() as db:
            state, outcome_text = db.execute(
                text(f"SELECT state, outcome FROM ops_commands WHERE id = {first}")  # noqa: S608
            ).one()
        assert engine.owner == token
        assert engine.problem is None

    assert state == "refused"
    assert msgspec.json.decode(outcome_text)["message"]
    with place.store.reading() as db:
        assert audit.verify(db).broken is None
        assert [entry.outcome for entry in audit.newest(db, limit=99) if entry.command == first].count("refused") == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"+OK\r\n",
        b":-5\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"$3\r\n\xff\xfe\xfd\r\n",
        b"*1\r\n:7\r\n",
        b"?what\r\n",
        b"*2\r\n$1\r\n0\r\n:9\r\n",
    ],
    ids=["status", "number", "nothing", "no list", "binary", "list", "no protocol", "half a scan"],
)
def test_a_strange_answer_of_redis_fails_one_clear_and_no_other_command(
    answer: bytes, installing: Installing, redis_url: str, tmp_path: Any
) -> None:
    with StrangeRedis(always(answer)) as strange:
        place = installing(database_url=f"sqlite:///{tmp_path / 'data.db'}", redis_url=strange.url, environ=INLINE)
        with place.leading():
            clear = place.service.commands.clear_cache(ClearFilter(family="attempts.day"))
            replay = place.service.commands.replay_events(NOON)
            cleared, replayed = (place.service.commands.outcome(number, PATIENCE_SECONDS) for number in (clear, replay))
            snapshot = place.service.snapshot()

    assert cleared is not None
    assert replayed is not None
    assert replayed.refused is None
    assert snapshot.leader is not None
    assert snapshot.leader.is_me
    assert [card.name for card in snapshot.jobs]


# --- windows ------------------------------------------------------------------------------------------------------


@pytest.fixture
def _checked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_tasks, "CHECK_SECONDS", 0.05)


@pytest.mark.usefixtures("_checked_at_once")
def test_a_window_whose_staleness_cannot_be_counted_does_not_starve_the_others(place: Installation) -> None:
    days = [(NOON + timedelta(days=n)).date().isoformat() for n in range(5)]  # the first three cannot be counted
    for day in days:
        place.run("hostile.day", day)

    def checked() -> dict[str, tuple[object, object]]:
        with place.store.reading() as db:
            rows = db.execute(text("SELECT label, stale, checked_at FROM ops_windows"))
            return {label: (stale, at) for label, stale, at in rows}

    with place.leading():
        eventually(lambda: all(at is not None for _, at in checked().values()), "every window has been checked")
        (finding,) = found(place, FindingKind.SET_ASIDE)

    assert {day: stale for day, (stale, _) in checked().items()} == dict(
        zip(days, [None, None, None, 0, 0], strict=True)
    )
    assert finding.count == 3
    assert finding.subject.startswith("the check of hostile.day 2025-01-")
