"""A row of the store that cannot be read, or has an invalid value, affects its own run, schedule or backfill only."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from opsconsole.authoring.occurrence import Occurrence, OccurrenceFilter, OccurrenceState
from opsconsole.authoring.run import RunState, Trigger
from opsconsole.calendar.windows import Window
from opsconsole.leader import background_tasks
from opsconsole.rules.backfill_status import BackfillState, BackfillStopReason
from opsconsole.store import occurrences, pauses, runs
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import counting
from tests.soak import postgresql_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually

NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)
pytestmark = postgresql_in_soak
ONLY_SQLITE = ("yesterday", "'many'", "x'ff'")
"""Values that PostgreSQL stores in no column of another type."""


@pytest.fixture
def place(installing: Installing, database_url: str, redis_url: str) -> Installation:
    packs, environ = "tests.packs.counting", {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    made = installing(database_url=database_url, redis_url=redis_url, packs=packs, environ=environ)
    counting.put(made.data, {"asha": "fine", "ben": "fine"})
    return made


def spoil(place: Installation, table: str, assignment: str, row: str) -> None:
    """Changes a row of the store as another program could."""
    if not place.store.is_sqlite and any(value in assignment for value in ONLY_SQLITE):
        pytest.skip("PostgreSQL stores no such value")
    with place.store.writing() as db:
        assert db.execute(text(f"UPDATE {table} SET {assignment} WHERE {row}")).rowcount == 1  # noqa: S608


def queue(place: Installation, job: str) -> int:
    window = Window(NOON - timedelta(days=1), NOON, "2025-01-18")
    with place.store.writing() as db:
        how = {"as_of": NOON, "trigger": Trigger.HAND, "requested_by": "asha", "at": NOON}
        return runs.create(db, place.catalog.find(job), window, **how)  # type: ignore[arg-type]


def state(place: Installation, run: int) -> RunState:
    return place.service.queries.run(run).state


# --- runs ---------------------------------------------------------------------------------------------------------

SPOILT_RUNS = [
    "facts = '{oops'",
    "facts = '[1]'",
    """kinds = '{"a": "lots"}'""",
    "metrics = ''",
    """stop = '{"by": 7}'""",
    "stop = '[]'",
    "trigger = 'magic'",
    "selection = 'some'",
    "as_of = 'yesterday'",
    "window_end = 'yesterday'",
    "planned = 'many'",
    "requested_by = CAST(x'ff' AS TEXT)",
    "host = x'ff'",
]


def test_runs_whose_rows_cannot_be_read_fail_alone(place: Installation) -> None:
    assignments = SPOILT_RUNS
    if not place.store.is_sqlite:
        assignments = [each for each in SPOILT_RUNS if not any(value in each for value in ONLY_SQLITE)]
    spoilt = {queue(place, "counting.count"): assignment for assignment in assignments}
    other = queue(place, "counting.gross")
    for number, assignment in spoilt.items():
        spoil(place, "ops_runs", assignment, f"id = {number}")

    with place.leading() as engine:
        eventually(lambda: state(place, other) is RunState.SUCCEEDED, "the other run succeeds")
        eventually(lambda: all(state(place, each) is RunState.FAILED for each in spoilt), "they fail")
        next_one = place.run("counting.count", "2025-01-20")
        snapshot = place.service.snapshot()
        assert engine.problems() == ()

    for number, assignment in spoilt.items():
        failed = place.service.queries.run(number)
        assert f"its record cannot be read: {assignment.partition(' ')[0]} (" in str(failed.error)
    assert next_one.state is RunState.SUCCEEDED
    assert snapshot.unknown == ()
    assert {run.id for run in snapshot.recent} == {*spoilt, other, next_one.id}


def test_a_spoilt_run_is_shown_before_a_leader_ends_it(place: Installation) -> None:
    spoilt, other = queue(place, "counting.count"), queue(place, "counting.gross")
    spoil(place, "ops_runs", "kinds = '{oops'", f"id = {spoilt}")

    snapshot = place.service.snapshot()

    assert [progress.run.id for progress in snapshot.live] == [spoilt, other]
    assert str(snapshot.live[0].run.error).startswith("its record cannot be read: kinds (")
    assert snapshot.unknown == ()


def test_a_spoilt_batch_fails_its_run_alone(place: Installation) -> None:
    with place.leading():
        place.run("counting.gross", "2025-01-20")
    spoilt = queue(place, "counting.count")
    with place.store.writing() as db:
        db.execute(
            text(
                "INSERT INTO ops_batches (run_id, seq, state, attempt, deaths, items, keys) "
                "VALUES (:run, 1, 'pending', 1, 0, 2, '[\"asha')"
            ),
            {"run": spoilt},
        )
    spoil(place, "ops_runs", "state = 'interrupted', planning_done = true", f"id = {spoilt}")

    with place.leading() as engine:
        eventually(lambda: state(place, spoilt) is RunState.FAILED, "it fails")
        assert place.run("counting.gross", "2025-01-21").state is RunState.SUCCEEDED
        assert engine.problems() == ()


# --- schedules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "assignment", ["since = 'yesterday'", "until = 'yesterday'", "who = x'ff'", "until = 'infinity'"]
)
def test_a_pause_that_cannot_be_read_stays_in_force_until_it_is_resumed(assignment: str, place: Installation) -> None:
    if place.store.is_sqlite and "infinity" in assignment:
        pytest.skip("a text like any other on SQLite")
    with place.store.writing() as db:
        number = pauses.add(db, "counting.count", since=NOON, until=None, who="asha", note="")
    spoil(place, "ops_pauses", assignment, f"id = {number}")

    with place.leading() as engine:
        (pause,) = place.service.queries.pauses()
        assert place.run("counting.gross", "2025-01-20").state is RunState.SUCCEEDED
        resumed = place.service.commands.outcome(place.service.commands.resume("counting.count"), PATIENCE_SECONDS)
        assert resumed is not None
        assert resumed.refused is None
        assert engine.problems() == ()

    assert pause.target == "counting.count"
    assert pause.skips("counting.count", datetime.now(UTC))
    assert place.service.queries.pauses() == []


@pytest.mark.parametrize(
    "assignment",
    ["planned_until = 'yesterday'", "registered_at = 'yesterday'", "tz = x'ff'", "planned_until = 'infinity'"],
)
def test_a_schedule_whose_record_cannot_be_read_is_registered_again(assignment: str, place: Installation) -> None:
    with place.leading():
        place.run("counting.gross", "2025-01-20")
    spoil(place, "ops_jobs", assignment, "job = 'counting.count'")

    with place.leading() as engine:
        assert place.run("counting.gross", "2025-01-21").state is RunState.SUCCEEDED
        assert engine.problems() == ()
        snapshot = place.service.snapshot()

    with place.store.reading() as db:
        registered = db.execute(text("SELECT planned_until, registered_at FROM ops_jobs WHERE job = 'counting.count'"))
        assert all(str(value).startswith("20") for value in registered.one())
    assert snapshot.unknown == ()
    assert snapshot.job_findings == ()


@pytest.mark.parametrize(
    "assignment",
    ["state = 'odd'", "reason = 'none'", "last_due_at = 'yesterday'", "due_at = 'yesterday'", "instants = 'many'"],
)
def test_an_occurrence_that_cannot_be_read_stops_no_leader(assignment: str, place: Installation) -> None:
    past = datetime(2024, 2, 29, 0, 30, tzinfo=UTC)
    with place.store.writing() as db:
        for job in ("counting.count", "counting.gross"):
            missed = Occurrence(job, "x", past, past, 1, OccurrenceState.MISSED)
            occurrences.record(db, missed, token=0, at=past)
    spoil(place, "ops_occurrences", assignment, "job = 'counting.count'")

    with place.leading() as engine:
        assert place.run("counting.gross", "2025-01-21").state is RunState.SUCCEEDED
        assert engine.problems() == ()
        shown = place.service.queries.occurrences(OccurrenceFilter(), limit=9)
        assert place.service.snapshot().unknown == ()

    assert "counting.gross" in {row.record.job for row in shown.rows}


# --- backfills and windows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "assignment", ["jobs = '[7]'", "jobs = '{oops'", "\"only\" = 'odd'", "created_at = 'yesterday'"]
)
def test_a_backfill_whose_row_cannot_be_read_is_paused_alone(assignment: str, place: Installation) -> None:
    day = date(2025, 1, 10)
    spoilt = place.service.backfills.plan(["counting.count"], day, day)
    other = place.service.backfills.plan(["counting.gross"], day, day)
    spoil(place, "ops_backfills", f"state = 'running', {assignment}", f"id = {spoilt}")

    with place.leading() as engine:
        place.service.backfills.apply(other)
        eventually(lambda: place.service.backfills.get(other).state is BackfillState.DONE, "the other one is done")
        eventually(lambda: place.service.backfills.get(spoilt).state is BackfillState.PAUSED, "it is paused")
        assert engine.problems() == ()

    paused = place.service.backfills.get(spoilt)
    assert paused.stop is not None
    assert paused.stop.reason is BackfillStopReason.PAUSED
    assert "its record cannot be read" in paused.stop.note
    assert {each.id for each in place.service.backfills.newest(limit=9)} == {spoilt, other}


@pytest.mark.parametrize(
    "assignment", ["result = 'odd'", "items = 'many'", "seconds = 'many'", "\"start\" = 'yesterday'"]
)
def test_a_window_that_cannot_be_read_hides_no_other(
    assignment: str, place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_tasks, "CHECK_SECONDS", 0.0)
    for day in ("2025-01-10", "2025-01-11"):
        place.run("counting.count", day)
    spoil(place, "ops_windows", assignment, "label = '2025-01-10'")

    with place.leading() as engine:
        assert place.run("counting.gross", "2025-01-21").state is RunState.SUCCEEDED
        windows = place.service.backfills.windows("counting.count", date(2025, 1, 10), date(2025, 1, 11))
        assert engine.problems() == ()

    assert [str(each.window.label) for each in windows] == ["2025-01-10", "2025-01-11"]
    assert windows[1].record.run is not None


@pytest.mark.parametrize("assignment", ["since = 'yesterday'", "pid = 'many'", "who = x'ff'"])
def test_a_process_whose_row_cannot_be_read_hides_no_other(assignment: str, place: Installation) -> None:
    now = datetime.now(UTC) + timedelta(seconds=10)
    with place.store.writing() as db:
        for owner in ("one", "two"):
            values = {"owner": owner, "now": now.replace(tzinfo=None).isoformat(" ")}
            db.execute(
                text(
                    "INSERT INTO ops_presence (owner, who, origin, host, pid, interface, screen, since, seen_at) "
                    "VALUES (:owner, 'asha', 'local', 'h', 7, 'console', 'dashboard', :now, :now)"
                ),
                values,
            )
    spoil(place, "ops_presence", assignment, "owner = 'one'")

    snapshot = place.service.snapshot()

    assert {each.owner for each in snapshot.attached} == {"one", "two"}
    assert snapshot.unknown == ()
