"""What one run, command, backfill or schedule raises stays with it: the others and the leader continue."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import select, text, update

from opsconsole.authoring.metrics import MAX_METRICS, OTHER_METRICS
from opsconsole.authoring.run import Run, RunState, Selection
from opsconsole.leader.engine import Engine
from opsconsole.rules.actions import MATCHING, Verb
from opsconsole.rules.backfill_status import BackfillStopReason
from opsconsole.store import runs
from opsconsole.store.tables import commands, lease
from tests.conftest import Installing
from tests.installation import Installation, is_at_work
from tests.packs import counting, odd
from tests.soak import postgresql_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = postgresql_in_soak

DAY = "2025-01-19"
NO_REDIS = "unix:///nowhere/redis.sock"


@pytest.fixture
def place(installing: Installing, database_url: str) -> Installation:
    return install(installing, database_url, "inline")


def install(installing: Installing, database_url: str | None, executor: str) -> Installation:
    environ = {
        "OPSCONSOLE_ENGINE__EXECUTOR": executor,
        "OPSCONSOLE_ENGINE__WORKERS": "2",
        "OPSCONSOLE_ENGINE__LEASE_SECONDS": "120",  # a busy machine must not be the reason why the leader restarts
    }
    return installing(database_url=database_url, redis_url=NO_REDIS, packs="tests.packs.odd", environ=environ)


@contextmanager
def undisturbed(place: Installation) -> Iterator[Engine]:
    """Leads, and checks at the end that an ordinary job succeeds under the same leader."""
    with place.leading() as engine:
        eventually(lambda: is_at_work(engine), "it leads")
        token = token_of(place)
        yield engine
        ordinary = place.run("odd.ordinary", DAY)
        assert (ordinary.state, ordinary.attempt, ordinary.recoveries) == (RunState.SUCCEEDED, 1, 0)
        assert token_of(place) == token, "the leader has not restarted"
        assert engine.problems() == ()


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_each_odd_report_fails_its_item_alone(executor: str, database_url: str, installing: Installing) -> None:
    place = install(installing, database_url, executor)

    with undisturbed(place):
        ended = place.run("odd.everything", DAY)

    with place.store.reading() as db:
        failed = {item: (kind, message) for item, kind, message in runs.failures_of(db, ended.id)}
        lines = [line for _, line in runs.log_lines(db, ended.id, limit=1000)]
    assert ended.state is RunState.PARTIAL, ended.error
    assert set(failed) == set(odd.REPORTS)
    assert all(kind and message for kind, message in failed.values())
    assert failed["count nan"] == ("bad_value", "metric n must be a number up to 9,007,199,254,740,992, not nan")
    assert failed["fail another"] == (
        "bad_value",
        "fail() was called for 'nobody', which is not an item of this batch",
    )
    assert failed["raise SystemExit"][0] == "system_exit"
    assert (ended.counts.skipped, ended.counts.ok) == (2, len(odd.ACCEPTED) - 2)
    assert ended.metrics["sum"] == 2**53
    assert len(ended.metrics) <= MAX_METRICS + 1
    assert sum("further ones are counted as other_metrics" in line for line in lines) == 1
    assert ended.metrics[OTHER_METRICS] >= 20_000 - MAX_METRICS


POPULATIONS: list[tuple[Any, str]] = [
    (["a"], "must be a SELECT or a tuple of strings, not list"),
    (None, "must be a SELECT or a tuple of strings, not NoneType"),
    ({"a"}, "must be a SELECT or a tuple of strings, not set"),
    (lambda: (key for key in "ab"), "must be a SELECT or a tuple of strings, not generator"),
    ("ab", "must be a SELECT or a tuple of strings, not str"),
    (text("SELECT 'a'"), "must be a SELECT or a tuple of strings, not TextClause"),
    (("a", 5), "must yield strings, not int"),
    (("a", "b", "a"), "must yield each key once, not 'a' twice"),
    (("a", "\ud800"), "must be valid Unicode without NUL characters"),
    (("a", "b\x00"), "must be valid Unicode without NUL characters"),
    (("a" * 100_001,), "must have at most 100,000 characters, not 100,001"),
    (odd.rows("a", "a"), "must yield each key once, not 'a' twice"),
    (odd.rows("a" * 200_000), "must have at most 100,000 characters, not 200,000"),
    (odd.rows(5), "must yield strings, not int"),
    (lambda: odd.leave(odd.Unprintable()), "raised Unprintable: <Unprintable>"),
    (lambda: odd.leave(SystemExit(3)), "raised SystemExit: 3"),
]


def test_an_odd_population_fails_its_run(installing: Installing) -> None:
    place = install(installing, None, "inline")

    with undisturbed(place):
        for population, cause in POPULATIONS:
            odd.chosen[:] = [population]
            ended = place.run("odd.population", DAY)
            stale = place.ended_run(place.service.commands.trigger("odd.stale", DAY, only=Selection.STALE))

            for run in (ended, stale):
                assert (run.state, run.attempt, run.recoveries) == (RunState.FAILED, 1, 0)
                assert cause in (run.error or "")


FACTS: list[tuple[Any, str]] = [
    ([1], "it must return a dict or None, not list"),
    ("facts", "it must return a dict or None, not str"),
    ({"n": math.nan}, "must have finite numbers only, not nan"),
    ({"n": [math.inf]}, "must have finite numbers only, not inf"),
    ({"n": 2**70}, "must have whole numbers of up to 64 bits, not 1180591620717411303424"),
    ({"n": object()}, "cannot be encoded as JSON"),
    ({"n": {1: 2}}, "must have strings as keys, not 1"),
    ({5: 1}, "must have strings as keys, not 5"),
    ({"n": "\ud800"}, "must have valid Unicode only"),
    ({"n": "x" * 2_000_000}, "must have at most 1,048,576 bytes as JSON"),
    (lambda: odd.leave(odd.Unprintable()), "Unprintable: <Unprintable>"),
    (lambda: odd.leave(SystemExit(3)), "SystemExit: 3"),
]


def test_odd_facts_fail_their_run(installing: Installing) -> None:
    place = install(installing, None, "inline")

    with undisturbed(place):
        for facts, cause in FACTS:
            odd.chosen[:] = [facts]
            ended = place.run("odd.prepare", DAY)

            assert (ended.state, ended.attempt) == (RunState.FAILED, 1)
            assert cause in (ended.error or "")


# --- any values ---------------------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
_LEAVES = st.none() | st.booleans() | st.integers() | st.integers(-(10**400), 10**400) | st.floats() | _TEXT
_JSON = st.recursive(_LEAVES, lambda part: st.lists(part, max_size=3) | st.dictionaries(_LEAVES, part, max_size=3))
_ANY = _JSON | st.sets(st.integers(), max_size=2) | st.just(object()) | st.tuples(_LEAVES)
_ERRORS = _ANY | st.builds(odd.OddName, _TEXT) | st.builds(odd.Unprintable) | st.builds(ValueError, _ANY)


def _calls() -> st.SearchStrategy[list[Callable[[Any, str], object]]]:
    own = st.booleans()
    call = st.one_of(
        st.builds(lambda name, n: lambda ctx, item: ctx.count(name, n), _ANY, _ANY),
        st.builds(lambda name, n: lambda ctx, item: ctx.count(name, n), _TEXT, st.integers() | st.floats()),
        st.builds(
            lambda mine, other, error, kind: lambda ctx, item: ctx.fail(item if mine else other, error, kind),
            own,
            _ANY,
            _ERRORS,
            st.none() | _ANY,
        ),
        st.builds(
            lambda mine, other, why: lambda ctx, item: ctx.skip(item if mine else other, why), own, _ANY, _ERRORS
        ),
        st.builds(lambda line: lambda ctx, item: ctx.log(line), _ERRORS),
        st.builds(lambda e, k, p: lambda ctx, item: odd.emit(ctx, e, k, p), _ANY, _ANY, _ANY),
        st.builds(
            lambda field, key, value: lambda ctx, item: odd.tamper(ctx, **{field: {key: value}}),
            st.sampled_from(["metrics", "failures", "skipped"]),
            _LEAVES,
            _ANY,
        ),
        st.builds(lambda error: lambda ctx, item: odd.leave(error), st.builds(odd.OddName, _TEXT)),
    )
    return st.lists(call, max_size=4)


def test_whatever_a_job_reports_its_run_ends_with_a_cause(place: Installation) -> None:
    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(_calls())
    def holds(calls: list[Callable[[Any, str], object]]) -> None:
        odd.chosen[:] = calls
        assert_ended_with_a_cause(place.run("odd.calls", DAY))

    with undisturbed(place):
        holds()


def test_whatever_a_job_returns_its_run_ends_with_a_cause(place: Installation) -> None:
    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(_ANY | st.lists(_LEAVES, max_size=4).map(tuple) | st.lists(_TEXT, min_size=1, max_size=4).map(tuple))
    def holds(value: Any) -> None:
        odd.chosen[:] = [value]
        for job in ("odd.population", "odd.prepare"):
            assert_ended_with_a_cause(place.run(job, DAY))

    with undisturbed(place):
        holds()


def assert_ended_with_a_cause(run: Run) -> None:
    counts = run.counts
    assert (run.attempt, run.recoveries) == (1, 0)
    assert run.state in (RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED)
    assert run.state is RunState.SUCCEEDED or run.error or sum(run.kinds.values()) == counts.failed > 0
    assert counts.planned == counts.ok + counts.failed + counts.skipped + counts.not_reached


# --- faults of statements -----------------------------------------------------------------------------------------


def forbid(place: Installation, event: str, table: str, condition: str, trigger: str = "forbid") -> None:
    """Makes the store refuse a change of rows, as it does for data that it cannot take."""
    with place.store.writing() as db:
        if place.store.is_sqlite:
            body = "BEGIN SELECT RAISE(ABORT, 'forbidden'); END"
        else:
            raising = "BEGIN RAISE EXCEPTION 'forbidden'; END"
            db.execute(text(f"CREATE OR REPLACE FUNCTION forbid() RETURNS trigger AS $$ {raising} $$ LANGUAGE plpgsql"))
            body = "EXECUTE FUNCTION forbid()"
        db.execute(text(f"CREATE TRIGGER {trigger} BEFORE {event} ON {table} FOR EACH ROW WHEN ({condition}) {body}"))


def allow(place: Installation, table: str, trigger: str = "forbid") -> None:
    with place.store.writing() as db:
        db.execute(text(f"DROP TRIGGER {trigger}" + ("" if place.store.is_sqlite else f" ON {table}")))


REFUSED = [
    ("UPDATE", "ops_runs", "NEW.job = 'odd.calls' AND NEW.state = 'running' AND OLD.state = 'queued'"),
    ("INSERT", "ops_batches", "NEW.keys LIKE '%victim%'"),
    ("UPDATE", "ops_runs", "NEW.job = 'odd.calls' AND NEW.planned > OLD.planned"),
    ("UPDATE", "ops_batches", "NEW.keys LIKE '%victim%' AND NEW.state = 'done'"),
    ("UPDATE", "ops_runs", "NEW.job = 'odd.calls' AND NEW.batches_done > OLD.batches_done"),
    ("INSERT", "ops_log", "NEW.line LIKE '%odd.calls%' AND NEW.line LIKE '%ok%'"),
    ("UPDATE", "ops_runs", "NEW.job = 'odd.calls' AND NEW.state = 'succeeded'"),
    ("INSERT", "ops_windows", "NEW.job = 'odd.calls'"),
]


def test_a_statement_that_is_refused_ends_only_its_run(place: Installation) -> None:
    odd.chosen[:] = []

    with undisturbed(place):
        for number, (event, table, condition) in enumerate(REFUSED):
            # Each has another name: a connection of SQLite may not have noticed yet that the last one is gone.
            forbid(place, event, table, condition, f"forbid_{number}")
            ended = place.run("odd.calls", DAY)
            allow(place, table, f"forbid_{number}")

            assert (ended.state, ended.recoveries) == (RunState.FAILED, 0), condition
            assert "the leader could not continue it" in (ended.error or "")
            assert "forbidden" in (ended.error or "")
            counts = ended.counts
            assert counts.planned == counts.ok + counts.failed + counts.skipped + counts.not_reached
            with place.store.reading() as db:
                assert any("forbidden" in line for _, line in runs.log_lines(db, ended.id, limit=5))


def test_a_run_that_cannot_be_written_stops_none_of_those_written_with_it(place: Installation) -> None:
    odd.chosen[:] = []
    forbid(place, *REFUSED[0])
    days = ("2025-01-17", "2025-01-18", DAY)
    requested = [
        (job, place.service.commands.trigger(job, day)) for day in days for job in ("odd.calls", "odd.ordinary")
    ]

    with undisturbed(place):
        ended = [(job, place.ended_run(command)) for job, command in requested]
        allow(place, "ops_runs")

    states = {job: {run.state for name, run in ended if name == job} for job, _ in requested}
    assert states == {"odd.calls": {RunState.FAILED}, "odd.ordinary": {RunState.SUCCEEDED}}


def test_a_run_that_cannot_be_ended_either_is_set_aside(place: Installation) -> None:
    forbid(place, "UPDATE", "ops_runs", "NEW.job = 'odd.calls' AND NEW.ended_at IS NOT NULL")
    odd.chosen[:] = []

    with place.leading() as engine:
        number = place.begin("odd.calls", DAY)
        eventually(lambda: [problem.work for problem in engine.problems()] == [f"run {number}"], "the engine shows it")
        token = token_of(place)
        others = [place.run("odd.ordinary", DAY) for _ in range(3)]
        assert (token_of(place), place.service.queries.run(number).state) == (token, RunState.RUNNING)
    allow(place, "ops_runs")
    with place.leading():
        ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)

    assert [run.state for run in others] == [RunState.SUCCEEDED] * 3
    assert ended is not None
    assert (ended.state, ended.recoveries) == (RunState.SUCCEEDED, 0)


def test_a_command_that_raises_is_refused_and_stops_no_other(place: Installation) -> None:
    forbid(place, "INSERT", "ops_pauses", "NEW.note = 'forbidden'")

    with undisturbed(place):
        outcome = place.service.commands.outcome(
            place.service.commands.pause("odd.calls", until=None, note="forbidden"), PATIENCE_SECONDS
        )

    assert outcome is not None
    assert "it could not be executed" in (outcome.refused or "")
    assert "forbidden" in (outcome.refused or "")


@pytest.mark.parametrize("change", [{"verb": "dance"}, {"arguments": {"until": "tomorrow"}}, {"arguments": [1]}])
def test_a_command_that_cannot_be_read_is_refused(change: dict[str, Any], place: Installation) -> None:
    command = place.service.commands.pause("odd.calls", until=None)
    with place.store.writing() as db:
        db.execute(update(commands).where(commands.c.id == command).values(change))

    with undisturbed(place):
        outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)

    assert outcome is not None
    assert outcome.refused


def test_a_retry_that_an_earlier_version_requested_is_to_be_requested_again(place: Installation) -> None:
    command = place.service.commands.pause("odd.calls", until=None)
    earlier = {"verb": Verb.RETRY, "target": MATCHING, "arguments": {"filter": {"job": "odd.calls"}}}
    with place.store.writing() as db:
        db.execute(update(commands).where(commands.c.id == command).values(earlier))

    with undisturbed(place):
        outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)

    assert outcome is not None
    assert outcome.refused == "it does not list its runs; request it again"


def test_a_backfill_that_raises_is_paused(place: Installation) -> None:
    backfills = place.service.backfills
    number = backfills.plan(["odd.calls"], date.fromisoformat(DAY), date.fromisoformat(DAY))
    forbid(place, "INSERT", "ops_runs", "NEW.job = 'odd.calls'")
    backfills.apply(number)

    with undisturbed(place):
        eventually(lambda: backfills.get(number).stop is not None, "it is paused")
    stop = backfills.get(number).stop

    assert stop is not None
    assert (stop.reason, stop.by) == (BackfillStopReason.PAUSED, "the leader")
    assert "forbidden" in stop.note


# --- the leader's own faults --------------------------------------------------------------------------------------


def test_a_leader_that_loses_its_lease_again_and_again_counts_for_no_run(
    database_url: str, installing: Installing
) -> None:
    environ = {"OPSCONSOLE_ENGINE__WORKERS": "1"}
    place = installing(database_url=database_url, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ)
    counting.put(place.data, {"anna": "lingers"})
    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        for losses in range(1, 5):
            lose_the_lease(place, engine, losses)
        counting.change(place.data, "anna", "fine")
        ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)

    assert ended is not None
    assert (ended.state, ended.attempt, ended.recoveries) == (RunState.SUCCEEDED, 5, 0)


def lose_the_lease(place: Installation, engine: Engine, tries: int) -> None:
    eventually(lambda: len(counting.tried(place.data)) == tries, "its batch is executed")
    token = token_of(place)
    with place.store.writing() as db:
        db.execute(update(lease).values(token=token + 1, owner=None))
    eventually(lambda: token_of(place) > token + 1 and is_at_work(engine), "it leads again")


def token_of(place: Installation) -> int:
    with place.store.reading() as db:
        return int(db.execute(select(lease.c.token)).scalar_one())
