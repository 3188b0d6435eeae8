"""One run while it is being carried out: what waits, what is in flight, and what the results add up to."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from opsconsole.authoring.batch import DETAILED_FAILURES, Batch, BatchResult, BatchState, Failure
from opsconsole.authoring.failures import unreachable
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState, Stop
from opsconsole.core.breaker import CircuitBreaker, recovery_of
from opsconsole.core.database import Connection
from opsconsole.core.errors import Unavailable
from opsconsole.core.humanize import words
from opsconsole.leader.population_reader import Empty, Facts, Page, PopulationReader
from opsconsole.leader.run_totals import RunTotals
from opsconsole.store import batches, runs
from opsconsole.store.batches import Row

RETRIES_EXHAUSTED = "retries_exhausted"
"""The kind of failure of an item whose attempts all failed for reasons that may pass."""
DEATHS = 3
"""A key whose workers died so often is not tried again."""
BREAKS_THE_JOB = 3
"""So many batches in a row that fail whole, for one cause, mean that the job itself is at fault..."""
WHOLE_BATCH = 20
"""... if they had at least so many items."""
PLAN_SECONDS = 60.0
"""So long a data database that is away is waited for while a population is read."""
PLAN_AGAIN_SECONDS = 2.0


class LiveRun:
    """The memory of a run that goes on. What it says is written by whoever holds the token; `db` is a fenced
    transaction of the store. When one of those fails, a LiveRun is thrown away: the store has the truth.
    """

    def __init__(
        self,
        run: Run,
        job: Job,
        read: Callable[[], Iterator[Page]] | None,
        *,
        last_seq: int,
        waiting: int,
        at: datetime,
    ) -> None:
        self.run, self.job = run, job
        self.ending: tuple[RunState, str] | None = None
        self.giving_up: Unavailable | None = None
        self._stop: Stop | None = None
        self._read = read
        self._pages = PopulationReader(read) if read else None
        self._plan_failing_since: float | None = None
        self._plan_not_before = 0.0
        self._last_seq, self._loaded = last_seq, 0
        self._waiting = waiting
        self._ready: deque[Row] = deque()
        self._delayed: list[tuple[datetime, int, Row]] = []
        self._in_flight: dict[int, Row] = {}
        self._handed_out: list[int] = []
        self._tally = RunTotals(run, job)
        self._batches, self._done = run.batches, run.batches_done
        self._recoveries = run.recoveries
        self._killed: list[str] = []
        self._breaker = CircuitBreaker(recovery_of("redis"))
        self._unavailable: Unavailable | None = None
        self._broken_streak: tuple[str, int] = ("", 0)
        # Also over a change of leader: the run's time began when it did.
        passed = at - (run.started_at or at)
        self._deadline = time.monotonic() + (job.timeout - passed).total_seconds()

    # --- what is tried next -------------------------------------------------------------------------------------

    def next_batch(self, now: datetime) -> Batch | None:
        """The next batch to hand out, None when there is none now."""
        if self.ending or self.giving_up or self._stop or len(self._in_flight) >= self.job.workers:
            return None
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heapq.heappop(self._delayed)[2])
        if not self._ready or not self._breaker.allows_request(time.monotonic()):
            return None
        row = self._ready.popleft()
        self._in_flight[row.seq] = row
        self._handed_out.append(row.seq)
        return Batch(
            run=self.run.id,
            seq=row.seq,
            attempt=row.attempt,
            job=self.job.name,
            window=self.run.window,
            as_of=self.run.as_of,
            keys=row.keys,
            facts=dict(self.run.facts),
            timeout_seconds=self.job.batch_timeout.total_seconds(),
        )

    @property
    def needs_rows(self) -> bool:
        """Whether pending rows should be loaded from the store."""
        waiting_here = len(self._ready) + len(self._delayed) + len(self._in_flight)
        return len(self._ready) < batches.PAGE // 2 and self._waiting > waiting_here

    def load(self, db: Connection) -> None:
        """Loads the next page of pending rows."""
        for row in batches.pending(db, self.run.id, after=self._loaded):
            self._loaded = row.seq
            if row.not_before is None:
                self._ready.append(row)
            else:
                heapq.heappush(self._delayed, (row.not_before, row.seq, row))

    # --- planning -----------------------------------------------------------------------------------------------

    @property
    def is_planning(self) -> bool:
        """Whether keys are still to be read."""
        return self._pages is not None

    def next_page(self, patience: float) -> Page | None:
        """What the run has prepared, then the next keys of the population, None after the last. Raises Empty when they
        are not there within `patience` seconds, and what reading them raises.
        """
        assert self._pages is not None  # noqa: S101 - asked only while planning
        if time.monotonic() < self._plan_not_before:
            raise Empty
        found = self._pages.take(patience)
        self._plan_failing_since = None
        return found

    def plan_again(self, why: str) -> None:
        """The population could not be read for a reason that may pass: it is read again soon, from where it was, and
        not longer than a minute.
        """
        now = time.monotonic()
        self.stop_planning()
        self._plan_failing_since = self._plan_failing_since or now
        if now - self._plan_failing_since > PLAN_SECONDS:
            self.stop(RunState.FAILED, f"its population could not be read: {why}")
        elif self._read is not None:
            self._pages, self._plan_not_before = PopulationReader(self._read), now + PLAN_AGAIN_SECONDS

    def add_page(self, db: Connection, page: Page | None, at: datetime) -> None:
        """Writes what was prepared, or a page of keys as pending batches; None ends the planning."""
        if isinstance(page, Facts):
            self.run = replace(self.run, facts=page.found)
            runs.keep(db, self.run.id, page.found)
            return
        if page is None:
            self._pages = None
            self._tally.log(db, at, f"{self._tally.counts.planned:,} items in {self._batches:,} batches")
        else:
            size = self.job.batch
            self._add(db, [Row(0, page[i : i + size]) for i in range(0, len(page), size)])
            self._tally.add(planned=len(page))
        self._advance(db, at)

    def note(self, db: Connection, at: datetime, *lines: str) -> None:
        """Adds lines to the run's log."""
        self._tally.log(db, at, *lines)
        self._advance(db, at)

    def stop_planning(self) -> None:
        """Lets go of the population."""
        if self._pages is not None:
            self._pages.close()

    # --- results ------------------------------------------------------------------------------------------------

    def settle(self, db: Connection, result: BatchResult, at: datetime) -> None:
        """Writes what became of a batch, and what of it is to be tried again."""
        row = self._in_flight.pop(result.seq, None)
        if row is None:
            return
        if result.lost is not None:
            self._settle_lost(db, row, result, at)
        elif result.broken is not None:
            self._unavailable = Unavailable(result.broken, result.reason or "")
            self._breaker.record_failure(time.monotonic(), recovery_of(result.broken))
            self._add(db, [Row(0, result.again, row.attempt, row.deaths, self._later(row, at))])
        else:
            self._breaker.record_success()
            if result.again:
                self._try_again(db, row, result, at)
        if result.lost is None or not result.again:
            self._close(db, row, result, at)
        self._advance(db, at)

    def _settle_lost(self, db: Connection, row: Row, result: BatchResult, at: datetime) -> None:
        assert result.lost is not None  # noqa: S101 - checked by the caller
        if self.ending:
            self._killed.append(f"batch {row.seq}: {result.ended}")
            return
        deaths = row.deaths + 1
        self._tally.log(db, at, f"batch {row.seq}: {result.reason}")
        if len(row.keys) == 1 and deaths >= DEATHS:
            message = f"quarantined after {deaths} deaths: {result.reason}"
            result.failed, result.again = row.keys, []
            result.failures, result.kinds = [Failure(row.keys[0], result.lost, message)], {result.lost: 1}
            return
        middle = max(1, len(row.keys) // 2)
        halves = [part for part in (row.keys[:middle], row.keys[middle:]) if part]
        self._add(db, [Row(0, keys, row.attempt, deaths) for keys in halves])
        batches.close(db, result, BatchState.REPLACED, result.reason)
        self._batches, self._waiting = self._batches - 1, self._waiting - 1

    def _try_again(self, db: Connection, row: Row, result: BatchResult, at: datetime) -> None:
        if row.attempt < self.job.retry.times:
            self._add(db, [Row(0, result.again, row.attempt + 1, row.deaths, self._later(row, at))])
            return
        message = f"failed {row.attempt} times: {result.reason}"
        result.failed += result.again
        result.failures += [Failure(key, RETRIES_EXHAUSTED, message) for key in result.again[:DETAILED_FAILURES]]
        result.kinds[RETRIES_EXHAUSTED] = result.kinds.get(RETRIES_EXHAUSTED, 0) + len(result.again)
        result.again = []

    def _close(self, db: Connection, row: Row, result: BatchResult, at: datetime) -> None:
        if len(result.again) == len(row.keys):
            state = BatchState.REPLACED
            self._batches -= 1
        else:
            state = BatchState.FAILED if len(result.failed) == len(row.keys) else BatchState.DONE
            self._done += 1
            self._recoveries = 0  # it gets on: what cut it off before is not its own fault
            told = f"batch {row.seq} of {self._batches}: {result.ok} ok, {len(result.failed)} failed"
            self._tally.log(db, at, told, *result.log)
        batches.close(db, result, state, result.reason)
        self._tally.take(db, row.seq, result)
        self._waiting -= 1
        self._notice_a_broken_job(row, result)

    def _notice_a_broken_job(self, row: Row, result: BatchResult) -> None:
        if result.ok or len(result.kinds) != 1 or len(result.failed) < max(WHOLE_BATCH, len(row.keys)):
            self._broken_streak = ("", 0) if result.ok else self._broken_streak
            return
        (cause,) = result.kinds
        before, streak = self._broken_streak
        self._broken_streak = (cause, streak + 1 if cause == before else 1)
        if self._broken_streak[1] >= BREAKS_THE_JOB:
            message = result.failures[0].message if result.failures else words(cause)
            self.stop(
                RunState.FAILED, f"the job itself is broken: every item of {BREAKS_THE_JOB} batches fails: {message}"
            )

    # --- the end ------------------------------------------------------------------------------------------------

    def stop(self, state: RunState, why: str) -> None:
        """No new batch; what is in flight is ended, and the run with it."""
        self.ending = self.ending or (state, why)

    def ask_to_stop(self, stop: Stop | None) -> None:
        """Somebody asked for its end: no new batch, and after the grace no batch at all."""
        self._stop = stop

    def watch(self, now: float, at: datetime) -> None:
        """Looks whether the run's time is over, it is to stop, or a dependency stays away; `now` of the steady clock,
        `at` of the other one.
        """
        if self._stop is not None and (not self._in_flight or at >= self._stop.force_at):
            self.stop(RunState.CANCELLED, self._stop.why)
        if now > self._deadline:
            limit = timedelta(seconds=int(self.job.timeout.total_seconds()))
            self.stop(RunState.TIMED_OUT, f"it took longer than its limit of {limit}")
        if self._breaker.has_given_up(now) and self.giving_up is None:
            self.giving_up = self._unavailable

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do but to write the end."""
        if self._in_flight:
            return False
        if self.ending:
            return True
        return not self.is_planning and (self.giving_up is not None or self._waiting == 0)

    def end(self, db: Connection, token: int, at: datetime) -> RunState:
        """Writes the terminal state and returns it."""
        error: str | None = None
        if self.ending:
            state, error = self.ending
            self._tally.add(not_reached=batches.close_waiting(db, self.run.id, BatchState.NOT_REACHED, error))
            if self._killed:
                self._tally.log(db, at, *self._killed, "no worker holds a batch of this run any more")
            elif state is RunState.CANCELLED:
                self._tally.log(db, at, "no batch was in flight any more when it ended")
        else:
            if self.giving_up:
                error = self.giving_up.sentence
                self._fail_the_rest(db, unreachable(self.giving_up.dependency), error)
            state = self._tally.outcome
        counts, began = self._tally.counts, self.run.started_at or at
        seconds = (at - began).total_seconds()
        summary = f"{counts.ok:,} ok, {counts.failed:,} failed of {counts.planned:,} in {seconds:.1f} s"
        self._tally.log(db, at, f"{state}: {summary}" + (f"; {error}" if error else ""), room=True)
        self._advance(db, at)
        runs.end(db, self.run.id, token=token, state=state, at=at, error=error)
        return state

    def _fail_the_rest(self, db: Connection, kind: str, message: str) -> None:
        keys = batches.waiting_keys(db, self.run.id, limit=self._tally.room)
        items = batches.close_waiting(db, self.run.id, BatchState.FAILED, message)
        self._tally.add(failed=items)
        self._tally.fail(db, 0, [Failure(key, kind, message) for key in keys], {kind: items})

    @property
    def has_in_flight(self) -> bool:
        """Whether a batch is being carried out."""
        return bool(self._in_flight)

    # --- small ones ---------------------------------------------------------------------------------------------

    @property
    def has_news(self) -> bool:
        """Whether batches were handed out that the store does not know of."""
        return bool(self._handed_out)

    def flush(self, db: Connection, at: datetime) -> None:
        """Tells the store which batches were handed out."""
        self._advance(db, at)

    def _add(self, db: Connection, rows: list[Row]) -> None:
        numbered = []
        for row in rows:
            self._last_seq += 1
            numbered.append(Row(self._last_seq, row.keys, row.attempt, row.deaths, row.not_before))
        batches.add(db, self.run.id, numbered)
        self._batches += len(rows)
        self._waiting += len(rows)

    def _advance(self, db: Connection, at: datetime) -> None:
        batches.start(db, self.run.id, self._handed_out, at)
        self._handed_out = []
        runs.advance(
            db,
            self.run.id,
            counts=self._tally.counts,
            batches_total=self._batches,
            batches_done=self._done,
            planning_done=not self.is_planning,
            kinds=self._tally.kinds,
            metrics=self._tally.metrics,
            log_lines=self._tally.log_lines,
            recoveries=self._recoveries,
        )

    def _later(self, row: Row, at: datetime) -> datetime:
        return at + self.job.retry.delay(row.attempt)
