"""Which runs may start, and what the others wait for: in order, without starvation, one run for each window."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from opsconsole import DAY, Job, hours, minutes
from opsconsole.authoring.run import Counts, Run, RunState, Selection, Stop, Trigger
from opsconsole.calendar.windows import MOMENT, Covers, Window
from opsconsole.rules.admission import SLOTS, WaitReason, admissions
from tests.packs.counting import do_nothing, names

NOON = datetime(2025, 1, 19, 12, 0, tzinfo=UTC)
HOUR = hours(1)
QUEUED, RUNNING, INTERRUPTED = RunState.QUEUED, RunState.RUNNING, RunState.INTERRUPTED
SCHEDULE, HAND, BACKFILL = Trigger.SCHEDULE, Trigger.HAND, Trigger.BACKFILL


def job(
    name: str,
    *,
    covers: Covers = DAY,
    parallel: int = 1,
    exclusive: str | None = None,
    after: tuple[str, ...] = (),
    after_wait: timedelta = HOUR,
) -> Job:
    return Job(
        name,
        names,
        do_nothing,
        cron="0 0 * * *",
        covers=covers,
        parallel=parallel,
        exclusive=exclusive,
        after=after,
        after_wait=after_wait,
    )


def run(
    number: int,
    name: str,
    state: RunState = QUEUED,
    *,
    day: int = 19,
    trigger: Trigger = HAND,
    created_at: datetime = NOON,
    stop: Stop | None = None,
) -> Run:
    start = datetime(2025, 1, day, tzinfo=UTC)
    return Run(
        id=number,
        job=name,
        window=Window(start, start + timedelta(days=1), f"2025-01-{day:02}"),
        as_of=start,
        trigger=trigger,
        state=state,
        attempt=0 if state is QUEUED else 1,
        parent=None,
        selection=Selection.ALL,
        command=None,
        requested_by="anna",
        host=None,
        created_at=created_at,
        started_at=None if state is QUEUED else created_at,
        ended_at=None,
        counts=Counts(),
        planning_done=False,
        batches=0,
        batches_done=0,
        kinds={},
        metrics={},
        facts={},
        error=None,
        log_lines=0,
        stop=stop,
    )


Found = tuple[int, tuple[WaitReason, int | None] | None]


def decided(jobs: list[Job], open_runs: list[Run], now: datetime = NOON) -> list[Found]:
    """Each run that is not running, in order, with the reason why it waits and the run it waits for."""
    by_name = {each.name: each for each in jobs}
    return [
        (each.id, (wait.reason, wait.run) if wait is not None else None)
        for each, wait in admissions(open_runs, by_name.get, now)
    ]


def same_window(run: int) -> tuple[WaitReason, int | None]:
    return WaitReason.SAME_WINDOW, run


def parallel_limit(run: int) -> tuple[WaitReason, int | None]:
    return WaitReason.PARALLEL_LIMIT, run


def exclusive(run: int) -> tuple[WaitReason, int | None]:
    return WaitReason.EXCLUSIVE, run


def after(run: int) -> tuple[WaitReason, int | None]:
    return WaitReason.AFTER, run


EARLIER = (WaitReason.EARLIER_RUN, None)
NO_SLOT = (WaitReason.CAPACITY, None)


def started(jobs: list[Job], open_runs: list[Run], now: datetime = NOON) -> list[int]:
    return [number for number, why in decided(jobs, open_runs, now) if why is None]


# --- runs of one job ----------------------------------------------------------------------------------------------


def test_a_job_without_windows_has_one_run_at_a_time() -> None:
    moment = job("a.moment", covers=MOMENT, parallel=5)

    found = decided([moment], [run(1, "a.moment", RUNNING), run(2, "a.moment", day=20)])

    assert found == [(2, same_window(1))]


def test_of_two_queued_runs_the_first_starts_and_the_second_waits() -> None:
    moment = job("a.moment", covers=MOMENT)

    found = decided([moment], [run(1, "a.moment"), run(2, "a.moment", day=20)])

    assert found == [(1, None), (2, same_window(1))]


def test_a_window_has_one_run_at_a_time_and_other_windows_may_run_in_parallel() -> None:
    daily = job("a.daily", parallel=2)
    open_runs = [run(1, "a.daily", RUNNING), run(2, "a.daily"), run(3, "a.daily", day=18), run(4, "a.daily", day=17)]

    found = decided([daily], open_runs)

    assert found == [(2, same_window(1)), (3, None), (4, parallel_limit(1))]


def test_a_job_is_not_parallel_by_default() -> None:
    found = decided([job("a.daily")], [run(1, "a.daily", RUNNING), run(2, "a.daily", day=18)])

    assert found == [(2, parallel_limit(1))]


def test_an_interrupted_run_continues_before_queued_ones() -> None:
    found = decided([job("a.daily")], [run(1, "a.daily", INTERRUPTED), run(2, "a.daily")])

    assert found == [(1, None), (2, same_window(1))]


def test_catch_up_runs_keep_their_order_when_an_earlier_one_waits() -> None:
    daily = job("a.daily", parallel=3)
    open_runs = [
        run(1, "a.daily", RUNNING, day=16),
        run(2, "a.daily", day=16, trigger=SCHEDULE),
        run(3, "a.daily", day=17, trigger=SCHEDULE),
        run(4, "a.daily", day=18, trigger=SCHEDULE),
    ]

    found = decided([daily], open_runs)

    assert found == [(2, same_window(1)), (3, EARLIER), (4, EARLIER)]


def test_catch_up_runs_are_parallel_if_the_job_allows_it() -> None:
    open_runs = [run(n, "a.daily", day=15 + n, trigger=SCHEDULE) for n in range(1, 5)]

    assert started([job("a.daily", parallel=3)], open_runs) == [1, 2, 3]


def test_neither_manual_runs_nor_other_jobs_wait_for_catch_up_runs() -> None:
    daily, other = job("a.daily", parallel=3), job("a.other")
    open_runs = [
        run(1, "a.daily", RUNNING, day=16),
        run(2, "a.daily", day=16, trigger=SCHEDULE),
        run(3, "a.daily", day=17, trigger=HAND),
        run(4, "a.daily", day=18, trigger=BACKFILL),
        run(5, "a.other", day=18, trigger=SCHEDULE),
    ]

    assert started([daily, other], open_runs) == [3, 4, 5]


def test_a_waiting_manual_run_does_not_delay_scheduled_ones() -> None:
    open_runs = [
        run(1, "a.daily", RUNNING, day=16),
        run(2, "a.daily", day=16, trigger=HAND),
        run(3, "a.daily", day=17, trigger=SCHEDULE),
    ]

    assert started([job("a.daily", parallel=2)], open_runs) == [3]


# --- jobs that exclude or follow each other -----------------------------------------------------------------------


def test_of_exclusive_jobs_one_runs() -> None:
    jobs = [job("a.close", exclusive="books"), job("b.open", exclusive="books"), job("b.other", exclusive="shelves")]

    found = decided(jobs, [run(1, "a.close"), run(2, "b.open"), run(3, "b.other")])

    assert found == [(1, None), (2, exclusive(1)), (3, None)]


def test_a_running_job_excludes_earlier_queued_ones_of_its_group() -> None:
    jobs = [job("a.close", exclusive="books"), job("b.open", exclusive="books")]

    assert decided(jobs, [run(2, "b.open"), run(1, "a.close", RUNNING)]) == [(2, exclusive(1))]


def test_an_exclusive_job_may_run_its_windows_in_parallel() -> None:
    daily = job("a.close", exclusive="books", parallel=2)

    assert started([daily], [run(1, "a.close", RUNNING), run(2, "a.close", day=18)]) == [2]


def test_jobs_without_a_group_are_not_exclusive() -> None:
    assert started([job("a.one"), job("b.two")], [run(1, "a.one"), run(2, "b.two")]) == [1, 2]


def test_a_job_waits_for_any_open_run_with_the_same_window_end() -> None:
    jobs = [job("a.first"), job("b.second", after=("a.first",))]

    for state in (QUEUED, RUNNING, INTERRUPTED):
        found = decided(jobs, [run(2, "b.second"), run(1, "a.first", state)])

        assert (2, after(1)) in found


def test_a_job_does_not_wait_for_other_window_ends_or_other_jobs() -> None:
    jobs = [job("a.first"), job("a.zeroth"), job("b.second", after=("a.first",))]

    assert started(jobs, [run(1, "a.first", RUNNING, day=18), run(3, "a.zeroth", RUNNING), run(2, "b.second")]) == [2]


def test_a_job_waits_for_another_at_most_its_maximum_wait() -> None:
    jobs = [job("a.first"), job("b.second", after=("a.first",), after_wait=minutes(30))]
    open_runs = [run(1, "a.first", RUNNING), run(2, "b.second")]

    assert decided(jobs, open_runs, NOON + minutes(30) - timedelta.resolution) == [(2, after(1))]
    assert decided(jobs, open_runs, NOON + minutes(30)) == [(2, None)]


def test_a_run_that_waits_for_another_job_delays_later_runs_of_its_own_job() -> None:
    jobs = [job("a.first"), job("b.second", after=("a.first",), parallel=2)]
    open_runs = [
        run(1, "a.first", RUNNING, day=17),
        run(2, "b.second", day=17, trigger=SCHEDULE),
        run(3, "b.second", day=18, trigger=SCHEDULE),
    ]

    assert decided(jobs, open_runs) == [(2, after(1)), (3, EARLIER)]


# --- slots --------------------------------------------------------------------------------------------------------


def crowd(pack: str, number: int) -> tuple[list[Job], list[Run]]:
    """Jobs of a pack, each with a running run."""
    jobs = [job(f"{pack}.job{n}") for n in range(number)]
    return jobs, [run(100 + n, each.name, RUNNING) for n, each in enumerate(jobs)]


def test_without_a_free_slot_the_next_run_waits() -> None:
    jobs, running = crowd("a", SLOTS)

    assert decided([*jobs, job("a.next")], [*running, run(1, "a.next")]) == [(1, NO_SLOT)]
    assert decided([*jobs, job("a.next")], [*running[1:], run(1, "a.next")]) == [(1, None)]


def test_a_pack_without_a_running_run_gets_one_extra_slot() -> None:
    jobs, running = crowd("a", SLOTS)
    others = [job("b.one"), job("b.two"), job("c.one")]

    found = decided([*jobs, *others], [*running, run(1, "b.one"), run(2, "b.two"), run(3, "c.one")])

    assert found == [(1, None), (2, NO_SLOT), (3, None)]


def test_a_thousand_queued_runs_take_the_slots_in_order() -> None:
    jobs = [job(f"a.job{n:04}") for n in range(1000)]

    found = decided(jobs, [run(n, each.name) for n, each in enumerate(jobs)])

    assert len(found) == 1000
    assert [number for number, why in found if why is None] == list(range(SLOTS))
    assert {why for _, why in found[SLOTS:]} == {NO_SLOT}


def test_a_run_that_waits_for_another_reason_takes_no_slot() -> None:
    jobs, running = crowd("a", SLOTS - 1)
    blocked = run(1, "a.job0")

    assert started([*jobs, job("a.next")], [*running, blocked, run(2, "a.next")]) == [2]


# --- stop requests ------------------------------------------------------------------------------------------------

STOP = Stop(
    "ben",
    NOON,
    NOON,
)


def test_a_run_with_a_stop_request_does_not_wait() -> None:
    jobs, running = crowd("a", SLOTS)
    waiting = run(1, "a.job0", stop=STOP)

    assert decided(jobs, [*running, waiting]) == [(1, None)]


def test_a_run_of_a_removed_job_does_not_wait() -> None:
    jobs, running = crowd("a", SLOTS)

    assert decided(jobs, [*running, run(1, "a.removed")]) == [(1, None)]


def test_a_running_run_with_a_stop_request_keeps_its_slot() -> None:
    running = replace(run(1, "a.daily", RUNNING), stop=STOP)

    assert decided([job("a.daily")], [running, run(2, "a.daily")]) == [(2, same_window(1))]


def test_without_open_runs_nothing_starts() -> None:
    assert decided([], []) == []
