"""One live run: its planning, its batches and its totals, and the changes that are still to be written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from opsconsole.authoring.batch import (
    DETAILED_FAILURES,
    Batch,
    BatchResult,
    BatchState,
    Failure,
    Lost,
    result_problem,
)
from opsconsole.authoring.failures import unreachable
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState, Stop
from opsconsole.core.clock import steady
from opsconsole.core.database import Connection
from opsconsole.core.humanize import count, duration, elapsed
from opsconsole.core.text import safe
from opsconsole.leader.batch_queue import BatchQueue
from opsconsole.leader.failure_watch import FailureWatch
from opsconsole.leader.run_planner import RunPlanner
from opsconsole.leader.run_totals import RunTotals
from opsconsole.store import batches
from opsconsole.store.batches import Row
from opsconsole.store.run_writes import End, Progress, RunWrites, Start
from opsconsole.store.windows import WindowEnd
from opsconsole.worker.messages import Planning, PlanningResult

RETRIES_EXHAUSTED = "retries_exhausted"
"""The kind of failure of an item whose attempts all failed for reasons that may pass."""
MAX_DEATHS = 3
"""A single key is quarantined after this many lost batches."""


class LiveRun:
    """The state of a running run in memory. Changes are collected until the caller takes them with `take_writes`. If
    they cannot be written, discard the LiveRun: the store has the complete state. `db` is a fenced transaction of the
    store, in which the changes collected before are written.
    """

    def __init__(self, run: Run, job: Job, *, last_seq: int, waiting: int, at: datetime) -> None:
        self.run, self.job = run, job
        self.planner = RunPlanner(run, job, interrupted=last_seq > 0)
        self.ending: tuple[RunState, str] | None = None
        self._writes = RunWrites(run.id)
        self._has_progress = False
        self._requested_stop: Stop | None = None
        self._forced_at = 0.0
        self._queue = BatchQueue(run.id, last_seq=last_seq, waiting=waiting, longest_delay=job.retry.longest)
        self._totals = RunTotals(run, job, self._writes)
        self._batches, self._batches_done = run.batches, run.batches_done
        self._recoveries = run.recoveries
        self._ended_workers: list[str] = []
        self._watch = FailureWatch()
        # The timeout counts from the run's first start, also after a change of leader.
        elapsed = at - (run.started_at or at)
        self._deadline = time.monotonic() + (job.timeout - max(elapsed, timedelta(0))).total_seconds()

    @classmethod
    def start(cls, run: Run, job: Job, start: Start) -> LiveRun:
        """Starts a run that is queued."""
        started = replace(run, state=RunState.RUNNING, attempt=run.attempt + 1, host=start.host, started_at=start.at)
        live = cls(started, job, last_seq=0, waiting=0, at=start.at)
        live._writes.start = start
        return live

    # --- batches ------------------------------------------------------------------------------------------------

    def next_batch(self) -> Batch | None:
        """The next batch to start, None when there is none now."""
        if self.ending or self._watch.unreachable or self._requested_stop or self._queue.in_flight >= self.job.workers:
            return None
        if not self._queue.has_ready or not self._watch.allows_request(time.monotonic()):
            return None
        row = self._queue.next()
        assert row is not None  # noqa: S101 - one is ready
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
            params=dict(self.run.params),
        )

    @property
    def needs_rows(self) -> bool:
        """Whether pending rows should be loaded from the store."""
        return not self.ending and self._queue.needs_rows

    def load(self, db: Connection, at: datetime) -> None:
        """Loads the next page of pending rows, from any transaction of the store."""
        self._queue.load(db, at)

    # --- planning -----------------------------------------------------------------------------------------------

    def next_planning(self) -> Planning | None:
        """What a worker is to read for the plan now, if anything."""
        if self.ending or self._requested_stop:
            return None
        return self.planner.next_planning(time.monotonic())

    def plan_from_store(self, db: Connection, at: datetime) -> None:
        """Plans the next keys of a retry."""
        self._plan(self.planner.step(db), at)

    def record_planning(self, result: PlanningResult, at: datetime) -> None:
        """Records the prepared facts, or a page of keys as pending batches."""
        self._totals.log(at, *result.log)
        self._has_progress = True
        self._writes.planned += 1
        keys = self.planner.take(result, time.monotonic())
        if self.ending:
            self._ended_workers += [f"planning: {result.ended}"] if result.ended else []
            return
        if result.lost is not None:
            self._totals.log(at, f"planning: {result.reason}")
        if result.facts is not None:
            self.run = replace(self.run, facts=result.facts)
            self._writes.facts = result.facts
        self._plan(keys, at)

    def _plan(self, keys: list[str], at: datetime) -> None:
        size = self.job.batch
        self._add([Row(0, keys[i : i + size]) for i in range(0, len(keys), size)], at)
        self._has_progress = True
        self._totals.add(planned=len(keys))
        if self.planner.is_done:
            planned = f"{count(self._totals.counts.planned, 'item')} in {count(self._batches, 'batch', 'batches')}"
            self._totals.log(at, planned)
        if self.planner.problem is not None:
            self.stop(RunState.FAILED, self.planner.problem)

    def add_log(self, at: datetime, *lines: str) -> None:
        """Adds lines to the run's log."""
        self._totals.log(at, *lines)
        self._has_progress = True

    # --- results ------------------------------------------------------------------------------------------------

    def record(self, result: BatchResult, at: datetime) -> None:
        """Records the result of a batch, and new batches for the keys to try again."""
        row = self._queue.end_flight(result.seq)
        if row is None:
            return
        self._has_progress = True
        problem = result_problem(result, row.keys)
        if problem is not None:
            refused = f"the result of its worker was refused: {problem}"
            lost = Lost.BAD_RESULT
            result = BatchResult(self.run.id, row.seq, row.attempt, again=row.keys, lost=lost, reason=refused)
        if result.lost is not None:
            self._record_lost(row, result, at)
        elif result.broken is not None:
            self._watch.record_unreachable(result.broken, result, time.monotonic())
            self._add([Row(0, result.again, row.attempt, row.deaths, self._retry_at(row, at))], at)
        else:
            self._watch.record_success()
            if result.again:
                self._retry(row, result, at)
        if result.lost is None or not result.again:
            self._close(row, result, at)

    def _record_lost(self, row: Row, result: BatchResult, at: datetime) -> None:
        assert result.lost is not None  # noqa: S101 - checked by the caller
        if self.ending or result.lost is Lost.STOPPED:  # it was taken back for the end of the run
            self._ended_workers.append(f"batch {row.seq}: {result.ended or result.reason}")
            return
        deaths = row.deaths + 1
        self._totals.log(at, f"batch {row.seq}: {result.reason}")
        if len(row.keys) == 1 and deaths >= MAX_DEATHS:
            message = f"quarantined after {deaths} deaths: {result.reason}"
            result.failed, result.again = row.keys, []
            result.failures, result.kinds = [Failure(row.keys[0], result.lost, message)], {result.lost: 1}
            return
        middle = max(1, len(row.keys) // 2)
        halves = [part for part in (row.keys[:middle], row.keys[middle:]) if part]
        self._add([Row(0, keys, row.attempt, deaths) for keys in halves], at)
        self._write_end(result, BatchState.REPLACED, at)
        self._batches -= 1

    def _retry(self, row: Row, result: BatchResult, at: datetime) -> None:
        if row.attempt < self.job.retry.times:
            self._add([Row(0, result.again, row.attempt + 1, row.deaths, self._retry_at(row, at))], at)
            return
        message = f"failed {row.attempt} times: {result.reason}"
        result.failed += result.again
        result.failures += [Failure(key, RETRIES_EXHAUSTED, message) for key in result.again[:DETAILED_FAILURES]]
        result.kinds[RETRIES_EXHAUSTED] = result.kinds.get(RETRIES_EXHAUSTED, 0) + len(result.again)
        result.again = []

    def _close(self, row: Row, result: BatchResult, at: datetime) -> None:
        if len(result.again) == len(row.keys):
            state = BatchState.REPLACED
            self._batches -= 1
        else:
            state = BatchState.FAILED if len(result.failed) == len(row.keys) else BatchState.DONE
            self._batches_done += 1
            self._recoveries = 0  # it makes progress, so it did not cause the interruptions
            is_planned = (row.attempt, row.deaths, row.not_before) == (1, 0, None)
            # Those that replace others have numbers above the number of batches.
            of = f" of {self._batches}" if is_planned and row.seq <= self._batches else ""
            summary = f"batch {row.seq}{of}: {result.ok} ok, {len(result.failed)} failed"
            self._totals.log(at, summary, *result.log)
        self._write_end(result, state, at)
        self._totals.add_result(row.seq, result, at)
        broken = self._watch.broken_job(len(row.keys), result)
        if broken is not None:
            self.stop(RunState.FAILED, broken)

    def _write_end(self, result: BatchResult, state: BatchState, at: datetime) -> None:
        self._writes.close(result, state, result.reason, at - timedelta(seconds=result.seconds))
        self._queue.waiting -= 1

    # --- the end ------------------------------------------------------------------------------------------------

    def stop(self, state: RunState, error: str) -> None:
        """Starts no new batch, ends those in flight, and then the run in this state."""
        self.ending = self.ending or (state, safe(error))

    def request_stop(self, stop: Stop | None, at: datetime) -> None:
        """Stops the run at the next batch boundary, or by force after the grace period of the request."""
        if stop is not None and stop != self._requested_stop:
            grace = min(stop.force_at - at, stop.force_at - stop.at)
            self._forced_at = steady() + grace.total_seconds()
        self._requested_stop = stop

    def check_limits(self, now: float) -> None:
        """Stops the run when its timeout is over, a stop was requested, or a dependency stays unreachable. `now` is of
        the monotonic clock.
        """
        stop = self._requested_stop
        if stop is not None and (not self._queue.in_flight or steady() >= self._forced_at):
            self.stop(RunState.CANCELLED, stop.message)
        if now > self._deadline:
            self.stop(RunState.TIMED_OUT, f"it took longer than its timeout of {duration(self.job.timeout)}")
        self._watch.check(now)

    @property
    def is_over(self) -> bool:
        """Whether only its end is left to write."""
        if self._queue.in_flight or self.planner.in_flight:
            return False
        if self.ending:
            return True
        return self.planner.is_done and (self._watch.unreachable is not None or self._queue.waiting == 0)

    @property
    def ends_early(self) -> bool:
        """Whether it ends before all its batches are done: call `close_the_rest` first."""
        return self.ending is not None or self._watch.unreachable is not None

    def close_the_rest(self, db: Connection, at: datetime) -> None:
        """Closes the batches that it does not reach."""
        if self.ending:
            state, error = self.ending
            self._totals.add(not_reached=batches.close_waiting(db, self.run.id, BatchState.NOT_REACHED, error))
            if self._ended_workers:
                self._totals.log(at, *self._ended_workers, "no worker has a batch of this run")
            elif state is RunState.CANCELLED:
                self._totals.log(at, "no batch was in flight when it ended")
        elif self._watch.unreachable:
            kind, error = unreachable(self._watch.unreachable.dependency), self._watch.unreachable.sentence
            keys = batches.waiting_keys(db, self.run.id, limit=self._totals.room)
            items = batches.close_waiting(db, self.run.id, BatchState.FAILED, error)
            self._totals.add(failed=items)
            self._totals.add_failures(0, [Failure(key, kind, error) for key in keys], {kind: items})

    def end(self, token: int, at: datetime, window_of: Callable[[Run], WindowEnd | None]) -> Run:
        """Gives it its terminal state, and its window the one that `window_of` returns; returns the run as it ended."""
        error: str | None = None
        if self.ending:
            state, error = self.ending
        else:
            state = self._totals.outcome
            error = self._watch.unreachable.sentence if self._watch.unreachable else None
        counts, started = self._totals.counts, self.run.started_at or at
        seconds = (at - started).total_seconds()
        summary = f"{counts.ok:,} ok, {counts.failed:,} failed of {counts.planned:,} in {elapsed(seconds)}"
        self._totals.log(at, f"{state}: {summary}" + (f"; {error}" if error else ""), force=True)
        self._has_progress = True
        ended = replace(self.run, state=state, ended_at=at, error=error, counts=counts, kinds=self._totals.kinds)
        self._writes.end = End(token, state, at, error, window_of(ended))
        return ended

    @property
    def has_in_flight(self) -> bool:
        """Whether a worker has a batch of this run."""
        return self._queue.in_flight > 0

    # --- the store ----------------------------------------------------------------------------------------------

    @property
    def has_writes(self) -> bool:
        """Whether there are changes to write soon. Starts of batches do not count: they are written with others."""
        return self._has_progress or self._writes.start is not None

    @property
    def has_unsaved_starts(self) -> bool:
        """Whether batches were started that are still pending in the store."""
        return self._queue.has_unsaved_starts

    def take_writes(self, at: datetime) -> RunWrites | None:
        """The changes since the last call; None without any."""
        if not (self.has_writes or self.has_unsaved_starts):
            return None
        self._writes.started += [(seq, at) for seq in self._queue.save_starts()]
        if self._has_progress:
            self._writes.progress = Progress(
                counts=self._totals.counts,
                batches=self._batches,
                batches_done=self._batches_done,
                planning_done=self.planner.is_done,
                kinds=dict(self._totals.kinds),
                metrics=dict(self._totals.metrics),
                log_lines=self._totals.log_lines,
                recoveries=self._recoveries,
            )
        self._has_progress = False
        return self._writes.take()

    def _add(self, rows: list[Row], at: datetime) -> None:
        self._writes.added += self._queue.add(rows, at)
        self._batches += len(rows)

    def _retry_at(self, row: Row, at: datetime) -> datetime:
        return at + self.job.retry.delay(row.attempt)
