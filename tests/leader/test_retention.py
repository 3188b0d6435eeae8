"""What the leader removes, and what it keeps at any age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.occurrence import Occurrence, OccurrenceState
from opsconsole.authoring.run import RunState, Selection, Trigger
from opsconsole.calendar.windows import Window
from opsconsole.core.errors import Fenced
from opsconsole.core.retention import RetentionSection
from opsconsole.core.settings import Actor
from opsconsole.leader import retention
from opsconsole.leader.retention import Pruning
from opsconsole.rules.actions import KeysRemoved
from opsconsole.rules.audit import AuditProblem
from opsconsole.rules.leadership import Identity
from opsconsole.rules.retention import KEPT_RUNS
from opsconsole.store import audit, commands, lease, occurrences, pauses, runs, tables, windows
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ME = Identity("uuid", "web1", 812, "1", "boot", "asha")
ASHA = Actor("asha", "local")
SHORT = RetentionSection(successes=40, failures=80, logs=10, keys=5, occurrences=100, commands=100, notifications=50)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@pytest.fixture
def place(database_url: str, installing: Installing) -> Installation:
    return installing(
        database_url=database_url,
        redis_url="redis://127.0.0.1:1",
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


@pytest.fixture
def token(place: Installation) -> int:
    with place.store.writing() as db:
        taken = lease.take(db, lease.read(db), ME, NOW)
    assert taken is not None
    return taken


def prune(place: Installation, token: int, kept: RetentionSection = SHORT, *, at: datetime = NOW) -> dict[str, int]:
    """Removes what is no longer kept; returns the removed rows by table."""
    removed: dict[str, int] = {}
    for step in Pruning(place.store, kept, token, may_start_work=lambda: True, now=lambda: at).passes():
        removed[step.table] = removed.get(step.table, 0) + step.rows
    return removed


def add_run(
    place: Installation, ended_at: datetime, state: RunState = RunState.SUCCEEDED, *, job: str = "old.job", **how: Any
) -> int:
    """An ended run with a batch in which nothing failed, a failed one if it failed, and a line of log."""
    is_good = state is RunState.SUCCEEDED
    with place.store.writing() as db:
        number: int = db.execute(
            insert(tables.runs)
            .values(
                job=job,
                window_label="2026-01-01",
                window_start=ended_at,
                window_end=ended_at + timedelta(days=1),
                as_of=ended_at,
                trigger=how.pop("trigger", Trigger.SCHEDULE),
                requested_by="schedule",
                spec="spec",
                state=state,
                created_at=ended_at,
                ended_at=None if state in (RunState.RUNNING, RunState.QUEUED) else ended_at,
                planning_done=True,
                planned=3,
                ok=3 if is_good else 1,
                failed=0 if is_good else 2,
                facts={},
                kinds={},
                metrics={},
                **how,
            )
            .returning(tables.runs.c.id)
        ).scalar_one()
        rows: list[tuple[list[str], BatchState, int]] = [(["a"], BatchState.DONE, 0)]
        rows.append((["b", "c"], BatchState.DONE, 0) if is_good else (["b", "c"], BatchState.FAILED, 2))
        for seq, (keys, batch_state, failed) in enumerate(rows, 1):
            row = {"run_id": number, "seq": seq, "state": batch_state, "attempt": 1, "deaths": 0}
            db.execute(insert(tables.batches).values(row | {"items": len(keys), "keys": keys, "failed": failed}))
        runs.add_log(db, number, ended_at, ["a line"])
    return number


def numbers(place: Installation, table: Table = tables.runs) -> list[Any]:
    with place.store.reading() as db:
        key = next(iter(table.primary_key.columns))
        return list(db.execute(select(key).order_by(key)).scalars())


def test_runs_are_removed_by_outcome_with_all_that_belongs_to_them(place: Installation, token: int) -> None:
    add_run(place, days_ago(41))
    good = add_run(place, days_ago(39))
    add_run(place, days_ago(81), RunState.PARTIAL)
    failed = add_run(place, days_ago(79), RunState.PARTIAL)

    removed = prune(place, token)

    assert numbers(place) == [good, failed]
    assert removed["ops_runs"] == 2
    assert prune(place, token) == {}


def test_the_keys_of_a_run_go_first_but_for_those_that_a_retry_needs(place: Installation, token: int) -> None:
    good, failed = add_run(place, days_ago(6)), add_run(place, days_ago(6), RunState.PARTIAL)
    recent = add_run(place, days_ago(4))

    prune(place, token)

    with place.store.reading() as db:
        left = db.execute(select(tables.batches.c.run_id, tables.batches.c["keys"])).all()
        removed = {number: runs.get(db, number).keys_removed for number in (good, failed, recent)}
        logged = set(db.execute(select(tables.log.c.run_id)).scalars())
    assert [(run, keys) for run, keys in left if run != recent] == [(failed, ["b", "c"])]
    assert removed == {good: True, failed: True, recent: False}
    assert logged == {good, failed, recent}


def test_log_lines_go_before_their_run(place: Installation, token: int) -> None:
    old, recent = add_run(place, days_ago(11)), add_run(place, days_ago(9))

    prune(place, token)

    with place.store.reading() as db:
        assert list(db.execute(select(tables.log.c.run_id)).scalars()) == [recent]
    assert numbers(place) == [old, recent]


def test_the_failed_items_are_retried_and_all_of_them_are_refused(place: Installation) -> None:
    counting.put(place.data, {"anna": "fine", "ben": "raises"} | {f"u{i}": "fine" for i in range(30)})
    run = place.run("counting.count", "2025-01-19")
    with place.store.writing() as db:
        token = lease.take(db, lease.read(db), ME, NOW)
    assert token is not None
    prune(place, token, at=datetime.now(UTC) + timedelta(days=6))
    with place.store.writing() as db:
        lease.release(db, token, ME.owner)
    counting.change(place.data, "ben", "fine")

    retried = place.retry(run.id)
    outcome = place.service.commands.outcome(place.service.commands.retry(run.id, everything=True), 0)

    assert outcome is None
    assert (retried.state, retried.counts.planned) == (RunState.SUCCEEDED, 1)
    with place.leading():
        refused = place.service.commands.outcome(
            place.service.commands.retry(run.id, everything=True), PATIENCE_SECONDS
        )
    assert refused is not None
    assert refused.refused == KeysRemoved(run).sentence
    assert "`opsconsole run counting.count --date 2025-01-19`" in (refused.refused or "")


def test_what_runs_or_is_needed_by_a_run_stays(place: Installation, token: int) -> None:
    running = add_run(place, days_ago(400), RunState.RUNNING)
    parent = add_run(place, days_ago(400), RunState.PARTIAL)
    retry = add_run(
        place, days_ago(399), RunState.QUEUED, parent_id=parent, trigger=Trigger.RETRY, selection=Selection.ALL
    )

    assert prune(place, token) == {"ops_log": 1}

    assert numbers(place) == [running, parent, retry]
    with place.store.reading() as db:
        assert not runs.get(db, parent).keys_removed


def test_a_retry_stays_for_as_long_as_its_parent(place: Installation, token: int) -> None:
    parent = add_run(place, days_ago(60), RunState.PARTIAL)
    retry = add_run(place, days_ago(59), parent_id=parent, trigger=Trigger.RETRY)

    prune(place, token)
    kept = numbers(place)
    prune(place, token, at=NOW + timedelta(days=21))
    prune(place, token, at=NOW + timedelta(days=21))

    assert kept == [parent, retry]
    assert numbers(place) == []


def test_the_newest_runs_and_the_last_good_one_of_a_job_stay(place: Installation, token: int) -> None:
    job = {"spec": "", "tz": "UTC", "registered_at": days_ago(500), "planned_until": NOW}
    with place.store.writing() as db:
        db.execute(insert(tables.jobs).values(job="seldom.job", **job))
    good = [add_run(place, days_ago(400 - n), job="seldom.job") for n in range(3)]
    failed = [add_run(place, days_ago(300 - n), RunState.FAILED, job="seldom.job") for n in range(KEPT_RUNS + 2)]
    backfill = add_run(place, days_ago(200), job="seldom.job", trigger=Trigger.BACKFILL)

    prune(place, token)

    assert numbers(place) == [good[-1], *failed[2:]]
    assert backfill not in numbers(place)


def test_what_an_open_alert_is_about_stays(place: Installation, token: int) -> None:
    alerting, quiet = add_run(place, days_ago(90), RunState.FAILED), add_run(place, days_ago(90), RunState.FAILED)
    rows = {"open": None, "resolved": days_ago(51), "recent": days_ago(49)}
    with place.store.writing() as db:
        for subject, resolved_at in rows.items():
            alert = {"rule": "failed_run", "subject": subject, "severity": 1, "since": days_ago(90)}
            run = alerting if subject == "open" else quiet
            more: dict[str, Any] = {
                "opened_at": days_ago(90),
                "resolved_at": resolved_at,
                "message": "",
                "evidence": {},
                "run_id": run,
            }
            number = db.execute(insert(tables.alerts).values(alert | more).returning(tables.alerts.c.id)).scalar_one()
            sent = {"event": "fired", "channel": "mail", "severity": 1, "title": "", "body": "", "state": "sent"}
            db.execute(
                insert(tables.notifications).values(
                    sent | {"uid": subject, "alert_id": number, "created_at": days_ago(90)}
                )
            )

    prune(place, token)

    assert numbers(place) == [alerting]
    with place.store.reading() as db:
        assert list(db.execute(select(tables.alerts.c.subject).order_by(tables.alerts.c.id)).scalars()) == [
            "open",
            "recent",
        ]
        assert list(db.execute(select(tables.notifications.c.uid)).scalars()) == ["open"]
        assert len(db.execute(select(tables.log.c.run_id)).all()) == 1


def test_occurrences_go_after_their_runs_and_windows_and_pauses_stay(place: Installation, token: int) -> None:
    number = 0
    with place.store.writing() as db:
        for days in (101, 102, 99):
            at = days_ago(days)
            missed = Occurrence("old.job", "spec", at, at, 1, OccurrenceState.MISSED)
            number = occurrences.record(db, missed, token=token, at=at)
        pauses.add(db, "old.job", since=days_ago(300), until=days_ago(299), who="asha", note="")
        windows.record_check(db, "old.job", Window(days_ago(300), days_ago(299), "2025-05-05"), 3, days_ago(299))
        db.execute(update(tables.occurrences).where(tables.occurrences.c.due_at == days_ago(102)).values(state="ran"))
        of_run = db.execute(select(tables.occurrences.c.id).where(tables.occurrences.c.state == "ran")).scalar_one()
    add_run(place, days_ago(79), RunState.FAILED, occurrence_id=of_run)

    prune(place, token)
    kept = numbers(place, tables.occurrences)
    prune(place, token, at=NOW + timedelta(days=2))

    assert kept == [of_run, number]
    assert numbers(place, tables.occurrences) == []
    assert len(numbers(place, tables.windows)) == 1
    assert len(numbers(place, tables.pauses)) == 1


def test_commands_backfills_silences_and_recorded_health_go(place: Installation, token: int) -> None:
    with place.store.writing() as db:
        for at in (days_ago(101), days_ago(99)):
            number = commands.request(db, "pause", "all", {}, ASHA, at)
            commands.finish(db, commands.get(db, number), {"target": "all", "until": None}, at)
            plan = {"state": "done", "jobs": [], "since": "", "until": "", "only": "all", "stop_on_failure": False}
            db.execute(
                insert(tables.backfills).values(plan | {"requested_by": "asha", "created_at": at, "ended_at": at})
            )
        commands.request(db, "pause", "all", {}, ASHA, days_ago(300))
        for until in (days_ago(51), days_ago(49), None):
            silence = {"target": "all", "since": days_ago(90), "until": until, "who": "asha", "note": ""}
            db.execute(insert(tables.silences).values(silence))
        for at in (days_ago(31), days_ago(29)):
            db.execute(insert(tables.health_checks).values(at=at, states={}))

    prune(place, token)

    counted = {
        table.name: len(numbers(place, table))
        for table in (tables.commands, tables.backfills, tables.silences, tables.health_checks)
    }
    assert counted == {"ops_commands": 2, "ops_backfills": 1, "ops_silences": 2, "ops_health_checks": 1}


def test_zero_days_keep_for_good(place: Installation, token: int) -> None:
    add_run(place, days_ago(10_000))

    assert prune(place, token, RetentionSection(successes=0, failures=0, logs=0, keys=0)) == {}


def test_a_former_leader_removes_nothing(place: Installation, token: int) -> None:
    add_run(place, days_ago(400))
    with place.store.writing() as db:
        lease.take(db, lease.read(db), ME, NOW)

    with pytest.raises(Fenced):
        prune(place, token)

    assert len(numbers(place)) == 1


def test_many_rows_are_removed_in_small_transactions(place: Installation, token: int) -> None:
    run = add_run(place, days_ago(50))
    with place.store.writing() as db:
        runs.add_log(db, run, days_ago(50), ["a line"] * 3000)

    steps = list(Pruning(place.store, SHORT, token, may_start_work=lambda: True, now=lambda: NOW).passes())

    assert sum(step.rows for step in steps if step.table == "ops_log") == 3001
    assert max(step.rows for step in steps) <= 500
    assert numbers(place) == []


def test_the_leader_removes_in_the_background(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "FIRST_PASS_SECONDS", 0.0)
    add_run(place, datetime.now(UTC) - timedelta(days=400))
    recent = add_run(place, datetime.now(UTC) - timedelta(days=1))

    with place.leading():
        eventually(lambda: numbers(place) == [recent], "the old run is removed")


# --- the audit trail ------------------------------------------------------------------------------------------------


def fill_audit(place: Installation, rows: int = 6) -> None:
    with place.store.writing() as db:
        for n in range(rows):
            audit.append(
                db,
                command=None,
                verb="pause",
                target=f"job{n}",
                actor=ASHA,
                at=days_ago(100 - n),
                outcome="done",
                before=None,
                after=None,
            )


def test_the_audit_trail_stays_unless_its_retention_is_set(place: Installation, token: int) -> None:
    fill_audit(place)

    prune(place, token)

    assert len(numbers(place, tables.audit)) == 6


def test_the_oldest_rows_of_the_audit_trail_go_and_the_rest_is_still_proven(place: Installation, token: int) -> None:
    fill_audit(place)
    with place.store.reading() as db:
        hashes = dict(db.execute(select(tables.audit.c.id, tables.audit.c.hash)).all())
    kept = RetentionSection(audit=97)

    removed = prune(place, token, kept)

    trail = place.service.audit
    assert removed == {"ops_audit": 3}
    assert numbers(place, tables.audit) == [4, 5, 6, 7]
    newest = trail.newest(limit=1)[0]
    assert (newest.verb, newest.who, newest.after) == (
        "prune",
        "retention",
        {"rows": 3, "first": 1, "seal": f"3:{hashes[3]}"},
    )
    found = trail.verify()
    assert (found.problem, found.rows, str(found.start)) == (None, 4, f"3:{hashes[3]}")
    assert trail.verify(found.start).problem is None
    for row, problem in ((2, AuditProblem.ANCHOR_REMOVED), (5, None)):
        seal = type(found.seal).parse(f"{row}:{hashes[row]}") if found.seal else None
        assert trail.verify(seal).problem is problem
    assert prune(place, token, kept) == {}


def test_the_newest_row_of_the_audit_trail_stays(place: Installation, token: int) -> None:
    fill_audit(place)

    prune(place, token, RetentionSection(audit=1))
    with place.store.writing() as db:
        rows = db.execute(select(func.count()).select_from(tables.audit)).scalar_one()

    assert rows >= 1
    assert place.service.audit.verify().problem is None


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ops_audit WHERE id = 2",
        "DELETE FROM ops_audit",
        "UPDATE ops_audit SET who = 'mallory' WHERE id = 5",
        "UPDATE ops_audit_start SET row = 1",
        "UPDATE ops_audit_start SET row = 5",
        "UPDATE ops_audit_start SET hash = 'x'",
        "DELETE FROM ops_audit_start",
        "INSERT INTO ops_audit_start (id, row, hash) VALUES (2, 5, 'x')",
    ],
)
def test_the_database_refuses_every_other_change(place: Installation, token: int, statement: str) -> None:
    fill_audit(place)
    prune(place, token, RetentionSection(audit=98))
    before = numbers(place, tables.audit)

    if statement == "DELETE FROM ops_audit WHERE id = 2":
        with place.store.writing() as db:
            assert db.execute(text(statement)).rowcount == 0
    else:
        with pytest.raises(DBAPIError), place.store.writing() as db:
            db.execute(text(statement))

    assert numbers(place, tables.audit) == before
    assert place.service.audit.verify().problem is None
