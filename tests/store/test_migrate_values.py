"""Migration 0005: values that version 0004 stored as sentences are tokens afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from alembic import command
from sqlalchemy import column, insert, table, text

from opsconsole.authoring.occurrence import OccurrenceFilter, Reason
from opsconsole.authoring.run import StopReason
from opsconsole.core.column_types import Json, UtcTime
from opsconsole.rules.backfill import StepReason
from opsconsole.rules.backfill_status import BackfillStop, BackfillStopReason
from opsconsole.store import Store, backfills, commands, migrate, occurrence_lists, registrations, runs
from opsconsole.store.commands import CommandState

AT = datetime(2025, 1, 19, 12, tzinfo=UTC)
LATER = datetime(2025, 1, 19, 12, 0, 10, tzinfo=UTC)
TIMES = {
    "as_of",
    "asked_at",
    "began_at",
    "created_at",
    "due_at",
    "end",
    "last_due_at",
    "planned_until",
    "recorded_at",
    "registered_at",
    "start",
    "window_end",
    "window_start",
}
JSONS = {"facts", "parameters", "kinds", "metrics", "stop", "arguments", "outcome", "jobs"}


@pytest.fixture
def old(empty_database_url: str) -> Iterator[Store]:
    """A store of version 0004."""
    made = Store(empty_database_url)
    with made.writing() as db:
        config = migrate._config()
        config.attributes["connection"] = db
        command.upgrade(config, "0004")
    yield made
    made.close()


def put(store: Store, name: str, *rows: dict[str, object]) -> None:
    """Writes rows as version 0004 did."""
    columns = [
        column(key, Json() if key in JSONS else UtcTime() if key in TIMES else None)
        if key in JSONS | TIMES
        else column(key)
        for key in rows[0]
    ]
    with store.writing() as db:
        db.execute(insert(table(name, *columns)), list(rows))


def run(number: int, **values: object) -> dict[str, object]:
    return {
        "id": number,
        "job": "books.close",
        "window_label": "2025-01-19",
        "window_start": AT,
        "window_end": LATER,
        "as_of": AT,
        "trigger": "hand",
        "asked_by": "asha",
        "spec": "spec",
        "state": "cancelled",
        "created_at": AT,
        "facts": {},
        "parameters": {},
        "kinds": {},
        "metrics": {},
        "stop": None,
        **values,
    }


def stop(why: str, by: str = "ben") -> dict[str, str]:
    return {"by": by, "at": AT.isoformat(), "force_at": LATER.isoformat(), "why": why}


def test_stops_of_runs_have_a_reason_and_a_note(old: Store) -> None:
    put(
        old,
        "ops_runs",
        run(1, stop=stop("cancelled by ben: too slow")),
        run(2, stop=stop("cancelled by ben")),
        run(3, stop=stop("replaced by run 2, due 2025-01-19 12:00 UTC", by="schedule")),
        run(4),
    )

    migrate.upgrade(old)

    with old.reading() as db:
        migrated = [runs.get(db, number) for number in (1, 2, 3, 4)]
    stops = [each.stop and (each.stop.reason, each.stop.note, each.stop.run) for each in migrated]
    assert stops == [
        (StopReason.CANCELLED, "too slow", None),
        (StopReason.CANCELLED, "", None),
        (StopReason.REPLACED, "", 2),
        None,
    ]
    assert {each.requested_by for each in migrated} == {"asha"}


def test_failures_of_one_cause_get_one_kind(old: Store) -> None:
    kinds = {
        "question q1 is missing": 2,
        "question q2 is missing": 1,
        "asha has no ledger": 1,
        "ValueError: 3 is bad": 1,
        "quarantined after 3 deaths: its worker was ended by SIGKILL": 1,
        "quarantined after 3 deaths: it took longer than 5 s": 1,
        "failed 5 times: database is locked": 4,
        "Redis is away: no answer within 1 s": 9,
        "other causes": 3,
    }
    put(old, "ops_runs", run(1, kinds=kinds), run(2))
    put(
        old,
        "ops_failures",
        {"run_id": 1, "seq": 1, "item": "ben", "kind": "question q1 is missing", "message": "question q1 is missing"},
        {"run_id": 1, "seq": 1, "item": "asha", "kind": "asha has no ledger", "message": "asha has no ledger"},
    )

    migrate.upgrade(old)

    with old.reading() as db:
        assert runs.get(db, 1).kinds == {
            "question_is_missing": 3,
            "has_no_ledger": 1,
            "value_error": 1,
            "worker_died": 1,
            "batch_timeout": 1,
            "retries_exhausted": 4,
            "redis_unreachable": 9,
            "other": 3,
        }
        assert [kind for _, kind, _ in runs.failures_of(db, 1)] == ["question_is_missing", "has_no_ledger"]
        assert runs.get(db, 2).kinds == {}


def test_commands_have_states_and_outcomes_without_sentences(old: Store) -> None:
    command_row = {
        "verb": "cancel",
        "target": "1",
        "arguments": {},
        "asked_by": "asha",
        "asked_from": "local",
        "asked_at": AT,
    }
    put(
        old,
        "ops_commands",
        {**command_row, "state": "asked", "outcome": None},
        {**command_row, "state": "refused", "outcome": {"why": "run 1 has ended already", "exit_code": 4}},
        {**command_row, "state": "done", "outcome": {"run": 1, "done": "run 1 ends at once"}},
        {**command_row, "state": "done", "outcome": {"runs": [2], "refused": ["it runs"], "done": "1 run is queued"}},
    )

    migrate.upgrade(old)

    with old.reading() as db:
        migrated = [commands.get(db, number) for number in (1, 2, 3, 4)]
    assert migrated[0].state is CommandState.REQUESTED
    assert (migrated[0].actor.name, migrated[0].requested_at) == ("asha", AT)
    assert [each.outcome for each in migrated] == [
        {},
        {"error": "refused", "message": "run 1 has ended already", "exit_code": 4},
        {"run": 1},
        {"runs": [2], "refused": 1, "refusals": ["it runs"]},
    ]


def test_backfills_keep_who_stopped_them_and_why_each_window_is_run_or_skipped(old: Store) -> None:
    backfill = {
        "state": "paused",
        "jobs": ["books.close"],
        "since": "2025-01-01",
        "until": "2025-01-09",
        "only": "all",
        "stops": True,
        "asked_by": "asha",
        "created_at": AT,
        "began_at": AT,
    }
    notes = ("", "paused by ben: lunch", "cancelled by ben", "books.close 2025-01-03 failed")
    put(old, "ops_backfills", *({**backfill, "note": note} for note in notes))
    reasons = (
        "it is fresh",
        "it is not due yet",
        "its data ends before the window does",
        "1,234 items are stale",
        "run 9 is about it",
        "it is missing",
    )
    step = {
        "backfill_id": 1,
        "job": "books.close",
        "label": "2025-01-03",
        "start": AT,
        "end": LATER,
        "selection": "all",
        "items": 0,
        "overwrites": False,
        "spec": "spec",
        "state": "skipped",
    }
    put(old, "ops_backfill_steps", *({**step, "seq": n, "why": why} for n, why in enumerate(reasons, 1)))

    migrate.upgrade(old)

    with old.reading() as db:
        stops = [backfills.get(db, number).stop for number in (1, 2, 3, 4)]
        steps = [(view.step.reason, view.step.stale, view.step.open_run) for view in backfills.steps_of(db, 1)]
        assert backfills.get(db, 1).stop_on_failure
    assert stops == [
        None,
        BackfillStop(BackfillStopReason.PAUSED, "ben", "lunch"),
        BackfillStop(BackfillStopReason.CANCELLED, "ben"),
        BackfillStop(BackfillStopReason.WINDOW_FAILED, job="books.close", window="2025-01-03"),
    ]
    assert steps == [
        (StepReason.FRESH, None, None),
        (StepReason.NOT_DUE, None, None),
        (StepReason.INCOMPLETE, None, None),
        (StepReason.STALE, 1234, None),
        (StepReason.RUNNING, None, 9),
        (StepReason.MISSING, None, None),
    ]


def test_occurrences_and_jobs_without_a_schedule_are_migrated(old: Store) -> None:
    job = {"spec": "spec", "tz": "UTC", "registered_at": AT, "planned_until": AT}
    put(old, "ops_jobs", {**job, "job": "books.close", "cron": "0 * * * *"}, {**job, "job": "x", "cron": "0 0 29 2 *"})
    put(
        old,
        "ops_occurrences",
        {
            "job": "books.close",
            "due_at": AT,
            "last_due_at": AT,
            "instants": 1,
            "state": "missed",
            "reason": "catch-up limit",
            "spec": "spec",
            "token": 1,
            "recorded_at": AT,
        },
    )

    migrate.upgrade(old)

    with old.reading() as db:
        assert [each.reason for each in occurrence_lists.newest(db, OccurrenceFilter(), limit=9)] == [
            Reason.CATCH_UP_LIMIT
        ]
        assert {name: each.cron for name, each in registrations.registrations(db).items()} == {
            "books.close": "0 * * * *",
            "x": None,
        }
        assert db.execute(text("SELECT count(*) FROM ops_windows")).scalar() == 0
