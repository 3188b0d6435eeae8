"""Backfills in the engine: exactly the planned windows, oldest first, once; refused when something has changed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from sqlalchemy import select, update

from opsconsole.authoring.run import OPEN, Run, RunState, Trigger
from opsconsole.core import clock
from opsconsole.core.errors import Exit
from opsconsole.leader.engine import Engine
from opsconsole.rules import finding_text
from opsconsole.rules.backfill import Only, Order, StepReason, StepState, WindowState, windows
from opsconsole.rules.backfill_status import Backfill, BackfillState, BackfillStop, BackfillStopReason
from opsconsole.store import runs as run_store, tables
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import diary
from tests.soak import postgresql_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually

FIRST, LAST = date(2025, 1, 10), date(2025, 1, 19)
DAYS = [f"2025-01-{n}" for n in range(10, 20)]
WRITERS = [f"w{n:02}" for n in range(12)]
INLINE = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}

pytestmark = postgresql_in_soak


@pytest.fixture
def place(installing: Installing, database_url: str, redis_url: str) -> Installation:
    made = installing(database_url=database_url, redis_url=redis_url, packs="tests.packs.diary", environ=INLINE)
    diary.put(made.data, WRITERS)
    return made


def plan(place: Installation, *jobs: str, only: Only = Only.ALL, stop_on_failure: bool = False) -> int:
    return place.service.backfills.plan(
        jobs or ("diary.page",), FIRST, LAST, only=only, stop_on_failure=stop_on_failure
    )


def executed(place: Installation, command: int) -> str:
    outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)
    assert outcome is not None
    assert outcome.refused is None, outcome.refused
    return outcome.done or ""


def applied(place: Installation, number: int) -> Backfill:
    executed(place, place.service.backfills.apply(number))
    seen = None
    while (ended := place.service.backfills.wait_for(number, PATIENCE_SECONDS)) is None:
        before, seen = seen, place.service.backfills.get(number).counts
        assert seen != before, f"no step has ended within {PATIENCE_SECONDS:g} s: {seen}"
    return ended


def test_the_newest_windows_run_first_one_at_a_time(place: Installation) -> None:
    newest = Order(newest_first=True, at_once=1)
    with place.leading():
        number = place.service.backfills.plan(("diary.page",), FIRST, LAST, order=newest)
        done = applied(place, number)

    steps = place.service.backfills.steps(number)
    labels = [view.step.window.label for view in steps]
    started = [str(place.service.queries.run(view.run).started_at) for view in steps if view.run is not None]
    assert done.order == newest
    assert labels == sorted(labels, reverse=True)
    assert started == sorted(started)


def refusal(place: Installation, command: int) -> str:
    outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)
    assert outcome is not None
    assert outcome.refused is not None
    assert outcome.exit_code == Exit.REFUSED
    return outcome.refused


def states(place: Installation, job: str = "diary.page") -> dict[str, WindowState]:
    return {status.window.label: status.state for status in place.service.backfills.windows(job, FIRST, LAST)}


def page_days(place: Installation) -> list[tuple[str, int]]:
    with place.data.reading() as db:
        found = db.execute(select(diary.pages.c.day, diary.pages.c.times, diary.pages.c.order)).all()
    return [(day, times) for day, times, _ in sorted(found, key=lambda row: (row[2], row[0]))]


def backfilled(place: Installation) -> list[Run]:
    return [run for run in reversed(place.service.queries.runs(limit=500)) if run.trigger is Trigger.BACKFILL]


def test_a_plan_lists_its_windows_and_runs_none(place: Installation) -> None:
    number = plan(place)

    found, steps = place.service.backfills.get(number), place.service.backfills.steps(number)
    assert (found.state, found.to_run, found.items, found.seconds) == (BackfillState.PLANNED, 10, 120, None)
    assert [(view.step.window.label, view.step.reason, view.step.overwrites) for view in steps] == [
        (day, StepReason.MISSING, False) for day in DAYS
    ]
    assert page_days(place) == []
    assert [row.outcome for row in place.service.audit.newest(limit=9)] == ["done", "requested"]


def test_planned_windows_run_once_oldest_first(place: Installation) -> None:
    with place.leading():
        ended = applied(place, plan(place))

    assert (ended.state, ended.counts) == (BackfillState.DONE, {StepState.DONE: 10})
    assert page_days(place) == [(day, 1) for day in DAYS for _ in WRITERS]
    assert set(states(place).values()) == {WindowState.FRESH}
    made = backfilled(place)
    assert [run.window.label for run in made] == DAYS
    assert all(run.as_of == run.window.end for run in made)


def test_a_finished_range_has_no_missing_windows_but_can_run_again(place: Installation) -> None:
    with place.leading():
        applied(place, plan(place))
        nothing = applied(place, plan(place, only=Only.MISSING))
        everything = plan(place)
        overwriting = [view.step.overwrites for view in place.service.backfills.steps(everything)]
        applied(place, everything)

    assert (nothing.state, nothing.to_run) == (BackfillState.DONE, 0)
    assert overwriting == [True] * 10
    assert {times for _, times in page_days(place)} == {2}


def test_several_jobs_run_in_the_order_of_after(place: Installation) -> None:
    with place.leading():
        ended = applied(place, plan(place, "diary.sum", "diary.page"))

    assert ended.counts == {StepState.DONE: 20}
    with place.data.reading() as db:
        found = db.execute(select(diary.sums.c.day, diary.sums.c.pages).distinct().order_by(diary.sums.c.day)).all()
    assert [tuple(row) for row in found] == [(day, n) for n, day in enumerate(DAYS, 1)]


def test_windows_run_in_parallel_if_the_job_allows_it(place: Installation) -> None:
    for day in DAYS[:3]:
        diary.spoil(place.data, day, "0.3")
    with place.leading():
        number = plan(place, "diary.side")
        executed(place, place.service.backfills.apply(number))
        eventually(
            lambda: place.service.backfills.get(number).counts.get(StepState.RUNNING) == 3,
            "three windows are running at once",
        )
        ended = place.service.backfills.wait_for(number, PATIENCE_SECONDS)

    assert ended is not None
    assert ended.counts == {StepState.DONE: 10}


def test_a_run_that_ended_since_makes_the_plan_out_of_date(place: Installation) -> None:
    number = plan(place)
    with place.leading():
        run = place.run("diary.page", DAYS[4])
        why = refusal(place, place.service.backfills.apply(number))

    changed = f"run {run.id} of diary.page {DAYS[4]} has ended since"
    assert why == f"backfill {number} is out of date: {changed}; create a new plan"
    assert place.service.backfills.get(number).state is BackfillState.PLANNED
    assert backfilled(place) == []


def test_an_active_run_makes_the_plan_out_of_date(place: Installation) -> None:
    diary.spoil(place.data, DAYS[4], "1.0")
    number = plan(place)
    with place.leading():
        run = place.begin("diary.page", DAYS[4])
        why = refusal(place, place.service.backfills.apply(number))
        place.service.commands.wait_for_run(run, PATIENCE_SECONDS)

    assert f"run {run} of diary.page {DAYS[4]} is active" in why


def test_a_plan_can_be_applied_only_once(place: Installation) -> None:
    with place.leading():
        number = plan(place)
        applied(place, number)
        why = refusal(place, place.service.backfills.apply(number))

    assert why == f"backfill {number} has already been applied: it is done"


def test_of_two_plans_for_the_same_windows_only_one_runs(place: Installation) -> None:
    diary.spoil(place.data, DAYS[0], "0.5")
    first, second = plan(place), plan(place)
    with place.leading():
        executed(place, place.service.backfills.apply(first))
        why = refusal(place, place.service.backfills.apply(second))
        place.service.backfills.wait_for(first, PATIENCE_SECONDS)

    assert "out of date" in why
    assert {times for _, times in page_days(place)} == {1}


def test_a_failed_window_stops_no_other_and_is_retried_alone(place: Installation) -> None:
    diary.spoil(place.data, DAYS[3])
    with place.leading():
        number = plan(place)
        ended = applied(place, number)
        failed_then = states(place)[DAYS[3]]
        with place.data.writing() as db:
            db.execute(diary.spoilt.delete())
        executed(place, place.service.backfills.resume(number))
        again = place.service.backfills.wait_for(number, PATIENCE_SECONDS)

    assert ended.counts == {StepState.DONE: 9, StepState.FAILED: 1}
    assert failed_then is WindowState.FAILED
    assert again is not None
    assert again.counts == {StepState.DONE: 10}
    assert len(backfilled(place)) == 11
    assert sorted(page_days(place)) == [(day, 1) for day in DAYS for _ in WRITERS]


def test_a_failed_window_pauses_the_rest_with_stop_on_failure(place: Installation) -> None:
    diary.spoil(place.data, DAYS[3])
    with place.leading():
        ended = applied(place, plan(place, stop_on_failure=True))

    stop = BackfillStop(BackfillStopReason.WINDOW_FAILED, job="diary.page", window=DAYS[3])
    assert (ended.state, ended.stop) == (BackfillState.PAUSED, stop)
    assert ended.counts == {StepState.DONE: 3, StepState.FAILED: 1, StepState.PENDING: 6}


def test_a_cancelled_backfill_leaves_no_open_run_and_resumes_with_the_rest(place: Installation) -> None:
    for day in DAYS[4:]:
        diary.spoil(place.data, day, "0.2")
    with place.leading():
        number = plan(place)
        executed(place, place.service.backfills.apply(number))
        eventually(lambda: place.service.backfills.get(number).counts.get(StepState.DONE, 0) >= 4, "four are done")
        executed(place, place.service.backfills.cancel(number, note="too much"))
        cancelled = place.service.backfills.wait_for(number, PATIENCE_SECONDS)
        with place.store.reading() as db:
            left = run_store.unfinished(db)
        done_then = [run.window.label for run in backfilled(place) if run.state is RunState.SUCCEEDED]
        executed(place, place.service.backfills.resume(number))
        ended = place.service.backfills.wait_for(number, PATIENCE_SECONDS)

    assert cancelled is not None
    assert cancelled.state is BackfillState.CANCELLED
    assert cancelled.stop is not None
    assert (cancelled.stop.reason, cancelled.stop.note) == (BackfillStopReason.CANCELLED, "too much")
    assert set(cancelled.counts) <= {StepState.DONE, StepState.CANCELLED}
    assert left == []
    assert ended is not None
    assert (ended.state, ended.counts) == (BackfillState.DONE, {StepState.DONE: 10})
    succeeded = [run.window.label for run in backfilled(place) if run.state is RunState.SUCCEEDED]
    assert succeeded == DAYS
    assert len(done_then) < 10


def test_a_paused_backfill_starts_no_window_until_it_is_resumed(place: Installation) -> None:
    diary.spoil(place.data, DAYS[1], "0.3")
    with place.leading():
        number = plan(place)
        executed(place, place.service.backfills.apply(number))
        eventually(lambda: place.service.backfills.get(number).counts.get(StepState.DONE, 0) >= 1, "one is done")
        executed(place, place.service.backfills.pause(number, note="lunch"))
        paused = place.service.backfills.wait_for(number, PATIENCE_SECONDS)
        time.sleep(0.3)
        later = place.service.backfills.get(number)
        executed(place, place.service.backfills.resume(number))
        ended = place.service.backfills.wait_for(number, PATIENCE_SECONDS)

    assert paused is not None
    assert paused.state is BackfillState.PAUSED
    assert later.counts == paused.counts
    assert ended is not None
    assert ended.counts == {StepState.DONE: 10}


@pytest.mark.parametrize("action", ["pause", "resume", "cancel"])
def test_a_finished_backfill_refuses_pause_resume_and_cancel(place: Installation, action: str) -> None:
    with place.leading():
        number = plan(place)
        applied(place, number)
        refusal(place, getattr(place.service.backfills, action)(number))


def test_a_plan_cancelled_before_its_start_cannot_be_resumed(place: Installation) -> None:
    number = plan(place)
    with place.leading():
        executed(place, place.service.backfills.cancel(number))
        why = refusal(place, place.service.backfills.resume(number))

    assert why == f"backfill {number} was cancelled before it started; create a new plan"
    assert backfilled(place) == []


def test_another_leader_continues_a_backfill(place: Installation) -> None:
    for day in DAYS[2:]:
        diary.spoil(place.data, day, "0.1")
    number = plan(place)
    command = place.service.backfills.apply(number)
    with place.leading():
        eventually(lambda: place.service.backfills.get(number).counts.get(StepState.DONE, 0) >= 2, "two are done")
    between = place.service.backfills.get(number)
    with place.leading():
        ended = place.service.backfills.wait_for(number, PATIENCE_SECONDS)

    assert between.state is BackfillState.RUNNING
    assert ended is not None
    assert ended.counts == {StepState.DONE: 10}
    assert [run.window.label for run in backfilled(place)] == DAYS
    assert {run.command for run in backfilled(place)} == {command}


def test_a_run_over_stale_items_makes_its_window_fresh(place: Installation) -> None:
    with place.leading():
        applied(place, plan(place))
        diary.put(place.data, ["zoe"])
        with place.store.writing() as db:  # checked just before she came
            db.execute(update(tables.windows).values(stale=0, checked_at=clock.now()))
        number = place.service.backfills.plan(["diary.page"], FIRST, LAST, only=Only.STALE)
        steps = place.service.backfills.steps(number)
        ended = applied(place, number)

    assert [(view.step.items, view.step.reason, view.step.stale) for view in steps] == [(1, StepReason.STALE, 1)] * 10
    assert ended.counts == {StepState.DONE: 10}
    assert [run.counts.planned for run in backfilled(place)[10:]] == [1] * 10
    assert set(states(place).values()) == {WindowState.FRESH}


def test_windows_whose_rows_came_from_elsewhere_are_not_missing(place: Installation) -> None:
    with place.data.writing() as db:
        rows = [{"writer": writer, "day": DAYS[0], "times": 1, "order": 0} for writer in WRITERS]
        db.execute(diary.pages.insert(), rows)

    number = plan(place, only=Only.MISSING)

    first, *rest = place.service.backfills.steps(number)
    assert (first.state, first.step.reason) == (StepState.SKIPPED, StepReason.FRESH)
    assert all(view.step.runs for view in rest)


@pytest.mark.parametrize("jobs", [("diary.now",), ("diary.page", "diary.month")])
def test_jobs_without_past_windows_are_refused(place: Installation, jobs: Sequence[str]) -> None:
    with pytest.raises(Exception, match="nothing to backfill; run it by hand instead"):
        place.service.backfills.plan(jobs, FIRST, LAST)

    assert place.service.backfills.newest(limit=9) == []


def test_the_duration_is_estimated_from_history(place: Installation) -> None:
    with place.leading():
        place.run("diary.page", DAYS[0])
        number = plan(place, only=Only.MISSING)

    found = place.service.backfills.get(number)
    assert (found.to_run, found.items) == (9, 108)
    assert found.seconds is not None
    assert found.seconds > 0


def test_a_finished_backfill_leaves_no_open_run(place: Installation) -> None:
    with place.leading():
        applied(place, plan(place))

    assert [run for run in place.service.queries.runs(limit=100) if run.state in OPEN] == []
    assert place.service.audit.verify().broken is None


def test_a_leader_for_one_command_records_windows_of_cancelled_backfills(place: Installation) -> None:
    diary.spoil(place.data, DAYS[1], "0.5")
    number = plan(place)
    with place.leading():
        executed(place, place.service.backfills.apply(number))
        eventually(lambda: place.service.backfills.get(number).counts.get(StepState.DONE) == 1, "the second is running")
        command = place.service.backfills.cancel(number)
    engine = Engine(place.settings, place.store, place.catalog, only_command=command)
    engine.start()
    try:
        executed(place, command)
        cancelled = place.service.backfills.wait_for(number, PATIENCE_SECONDS)
    finally:
        engine.stop(grace_seconds=1)

    assert cancelled is not None
    assert cancelled.counts == {StepState.DONE: 1, StepState.CANCELLED: 9}


def test_an_interrupted_window_is_finished_by_the_leader_that_resumes_it(place: Installation) -> None:
    diary.spoil(place.data, DAYS[1], "0.5")
    number = plan(place)
    with place.leading():
        executed(place, place.service.backfills.apply(number))
        eventually(lambda: place.service.backfills.get(number).counts.get(StepState.DONE) == 1, "the second is running")
        executed(place, place.service.backfills.pause(number))
    cut_off = place.service.backfills.get(number)
    command = place.service.backfills.resume(number)
    engine = Engine(place.settings, place.store, place.catalog, only_command=command)
    engine.start()
    try:
        executed(place, command)
        ended = place.service.backfills.wait_for(number, PATIENCE_SECONDS)
    finally:
        engine.stop(grace_seconds=1)

    assert cut_off.counts == {StepState.DONE: 1, StepState.RUNNING: 1, StepState.PENDING: 8}
    assert ended is not None
    assert ended.counts == {StepState.DONE: 10}
    assert len(backfilled(place)) == 10


# --- health --------------------------------------------------------------------------------------------------------


def wrong(place: Installation) -> list[str]:
    snapshot = place.service.snapshot()
    return [finding_text.sentence(found, snapshot.at) for found in snapshot.findings if found.subject == "diary.page"]


def test_backfills_do_not_affect_health(place: Installation) -> None:
    diary.spoil(place.data, "2025-02-01")
    with place.leading():
        fails = place.run("diary.page", "2025-02-01")
        before = wrong(place)
        for _ in range(2):  # more runs than the health check reads
            applied(place, plan(place))
        after = wrong(place)
        (rates,) = [each.rates for each in place.service.snapshot().histories if each.job == "diary.page"]

    assert fails.state is RunState.FAILED
    assert before == after == ["failed (2025-02-01): no ink on this day"]
    assert rates.day == 20 / 21, "success rates count all runs"


def test_failed_backfills_and_their_retries_are_no_findings(place: Installation) -> None:
    diary.spoil(place.data, DAYS[0])
    with place.leading():
        place.run("diary.page", "2025-02-01")
        number = plan(place)
        applied(place, number)
        (failed,) = [view.run for view in place.service.backfills.steps(number) if view.state is StepState.FAILED]
        assert failed is not None
        again = place.retry(failed)

    assert (again.state, again.trigger) == (RunState.FAILED, Trigger.BACKFILL)
    assert wrong(place) == []


def test_a_queued_backfill_is_not_late(place: Installation) -> None:
    job = place.catalog.find("diary.page")
    (window,) = windows(job, FIRST, FIRST, clock.now())
    hour_ago = clock.now() - timedelta(hours=1)
    with place.store.writing() as db:
        run_store.create(db, job, window, as_of=window.end, trigger=Trigger.BACKFILL, requested_by="asha", at=hour_ago)

    assert wrong(place) == []
