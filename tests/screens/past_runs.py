"""A history of runs, and the part of the service that reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.run import Counts, Run, RunState, Stop, Trigger
from opsconsole.core.errors import OpsconsoleError
from opsconsole.rules.job_history import Usual
from opsconsole.rules.run_search import Segment, parse
from opsconsole.service.history import FailedItem, FailedItems, Place, RunList
from opsconsole.service.run_details import BatchCell, Cause, RunPage
from tests.screens import samples
from tests.screens.samples import a_run, ago, day

ZONES = {card.name: card.tz for card in samples.JOBS}
CACHE_DAY = "attempts.cache_day"
COUNTS = Counts(planned=1_912, ok=1_911, failed=1)

RUNS = (
    a_run(4812, state=RunState.RUNNING, counts=Counts(planned=10_000, ok=6_149, failed=1)),
    a_run(
        4790,
        state=RunState.PARTIAL,
        counts=COUNTS,
        window=day("2026-01-13"),
        started_at=ago(days=6),
        seconds=1.9,
        kinds={"question_is_missing": 1},
        batches=8,
    ),
    a_run(
        4702,
        state=RunState.FAILED,
        counts=Counts(planned=1_912, not_reached=1_912),
        error="redis is unreachable: connection refused",
        window=day("2026-01-13"),
        started_at=ago(days=6, minutes=20),
        seconds=5.6,
    ),
    a_run(
        4655,
        counts=Counts(planned=1_911, ok=1_911),
        window=day("2026-01-13"),
        started_at=ago(days=6, hours=1),
        seconds=1.8,
        trigger=Trigger.BACKFILL,
        requested_by="asha",
    ),
    a_run(4651, "game.life_regen", counts=Counts(), started_at=ago(days=6, hours=2), seconds=0.09),
    a_run(
        4640,
        "reporting.daily_report",
        RunState.CANCELLED,
        started_at=ago(days=7),
        stop=Stop("ben", ago(days=7), ago(days=7)),
        trigger=Trigger.HAND,
        requested_by="chen",
    ),
)
PAGE = RunPage(
    at=samples.NOW,
    progress=replace(samples.PAGE.progress, run=RUNS[1]),
    grid=tuple(BatchCell(i, BatchState.DONE, 250, int(i == 2)) for i in range(1, 9)),
    causes=(Cause("question_is_missing", "question q-7781 is missing", 1, ("u0417",)),),
    log=(
        (ago(days=6), "1,912 users in 8 batches"),
        (ago(days=6), "batch 2 of 8: 249 ok, 1 failed"),
        (ago(days=6), "partial: 1,911 ok, 1 failed of 1,912 in 1.9 s"),
    ),
    retries=(a_run(4791, state=RunState.PARTIAL, counts=Counts(planned=1, failed=1), parent=4790),),
    usual=Usual(1.7, 1.8, 2.1, 14),
    workers=2,
    batch=250,
)
FAILED = tuple(
    FailedItem(f"u{n:04}", n // 50 + 1, *(("key_error", f"question q-{n} is missing") if n < 100 else (None, None)))
    for n in range(1_200)
)


def many(count: int, first: int = 9000) -> tuple[Run, ...]:
    """Runs of half an hour each, newest first."""
    return tuple(
        a_run(first - n, "game.life_regen", started_at=samples.NOW - timedelta(minutes=30 * n)) for n in range(count)
    )


class FakeHistory:
    """Finds runs by job, state and person, as far as tests need it."""

    def __init__(self, record: Callable[..., None]) -> None:
        self._record = record
        self.runs: tuple[Run, ...] = RUNS
        self.items: tuple[FailedItem, ...] = FAILED
        self.error: OpsconsoleError | None = None
        self.block = 200
        self.searched_to: int | None = None

    def find(self, typed: str, segment: Segment, /, *, before: int | None = None, limit: int | None = None) -> RunList:
        self._record("find", typed, segment, before)
        if self.error is not None:
            raise self.error
        search = parse(typed, ZONES, samples.NOW, me="asha").within(segment, "asha")
        found = [
            run
            for run in self.runs
            if (search.jobs is None or run.job in search.jobs)
            and (search.states is None or run.state in search.states)
            and (search.person is None or run.requested_by == search.person)
            and (search.days is None or f"{search.days.first}" <= run.window.label < f"{search.days.end}")
        ]
        older = [run for run in found if before is None or run.id < before]
        shown = tuple(older[: limit or self.block])
        more = shown[-1].id if len(older) > len(shown) else self.searched_to
        total = len(found) if before is None else None
        return RunList(shown, more, self.searched_to, total, more_in_total=bool(total and total > 1000))

    def all_failed_items(self, run: int, /) -> Iterator[FailedItem]:
        yield from self.items

    def failed_items(self, run: int, /, *, after: Place | None = None) -> FailedItems:
        self._record("failed_items", run, after)
        first = after.items if after is not None else 0
        shown = self.items[first : first + 500]
        rest = len(self.items) > first + 500
        return FailedItems(shown, Place(0, first + 500) if rest else None)
