"""Carries batches out in worker processes: neither the screen nor the scheduler waits for job code, and a batch that
hangs is ended with its process."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from opsconsole.authoring.batch import Batch, BatchResult, Lost
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.failpoints import Point, reach
from opsconsole.worker.executor import Feed, Stopped
from opsconsole.worker.process import Hello

log = logging.getLogger(__name__)

TICK_SECONDS = 0.05
GRACE_SECONDS = 5.0
"""Between the request to end and the order: SIGTERM, then SIGKILL."""
START_SECONDS = 15.0
FALSE_STARTS = 3
HELD_SECONDS = 1.0
"""When every worker has been at its batch for so long, a run that has none in flight gets a worker of its own ..."""
SPARES = 4
"""... and so many of them there may be: jobs that hang do not keep the others from starting."""


class WorkersCannotStart(OpsconsoleError):
    """Worker processes end before they take a batch."""


class Worker:
    """One worker process; `batch` is what it is at, `deadline` when that must be over on the steady clock."""

    def __init__(self, wiring: bytes, errors: Path) -> None:
        with _appending(errors) as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "opsconsole.worker.process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
            )
        self.ready = False
        self.problem: str | None = None
        self.batch: Batch | None = None
        self.since = self.deadline = 0.0
        self.told_to_end: float | None = None
        self.why_ended: tuple[Lost, str] | None = None
        self._partial = b""
        self._write(wiring)

    @property
    def idle(self) -> bool:
        """Whether it waits for a batch."""
        return self.ready and self.batch is None and self.told_to_end is None

    @property
    def output(self) -> int:
        """The file descriptor its lines come from."""
        assert self.process.stdout is not None  # noqa: S101 - it was opened with a pipe
        return self.process.stdout.fileno()

    def take(self, batch: Batch) -> None:
        """Hands a batch over; one that is not ready yet reads it when it is."""
        self.batch = batch
        if self.ready:
            self.begin()
        self._write(msgspec.json.encode(batch))

    def begin(self) -> None:
        """It is ready: the time of its batch begins."""
        self.since = time.monotonic()
        self.deadline = self.since + self.batch.timeout_seconds if self.batch else 0.0

    def lines(self) -> list[bytes] | None:
        """The whole lines that have come; None when the process has ended."""
        chunk = os.read(self.output, 1 << 20)
        if not chunk:
            return None
        *whole, self._partial = (self._partial + chunk).split(b"\n")
        return whole

    def end(self, why: Lost, message: str) -> None:
        """Tells the process to end, and makes it end when it does not within the grace."""
        now = time.monotonic()
        if self.told_to_end is None:
            self.told_to_end, self.why_ended = now, (why, message)
            self.process.terminate()
        elif now - self.told_to_end > GRACE_SECONDS:
            self.process.kill()

    def wait(self) -> tuple[Lost, str, str]:
        """Waits for its end: why it ended, a message for that, and the process with its exit status."""
        code = self.process.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        why, message = self.why_ended or (Lost.WORKER_DIED, f"its worker {how}")
        return why, message, f"worker process {self.process.pid} {how}"

    def close(self) -> None:
        """Frees the pipes and the process table."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()

    def _write(self, line: bytes) -> None:
        assert self.process.stdin is not None  # noqa: S101 - it was opened with a pipe
        try:
            self.process.stdin.write(line + b"\n")
        except BrokenPipeError:
            log.warning("worker %s went before it took its line", self.process.pid)


def _appending(file: Path) -> IO[bytes]:
    """The file to write to, or nowhere: a log that cannot be written is no reason not to work."""
    try:
        return file.open("ab")
    except OSError as error:
        log.warning("what workers print is lost: %s: %s", file, error.strerror)
        return Path(os.devnull).open("ab")


class Processes:
    """The default executor: `count` worker processes, replaced when they end.

    `wiring` is what `Settings.wiring` gives; `errors` a file for what workers print.
    """

    def __init__(self, wiring: dict[str, Any], count: int, *, errors: Path) -> None:
        self._wiring, self._count, self._errors = wiring, count, errors
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()
        self._false_starts = 0

    def __call__(self, feed: Feed, stopped: Stopped) -> Iterator[BatchResult | None]:
        """Yields results as they come and None every 50 ms without one; the first when the workers are ready.

        A batch whose worker ended, by itself or because its time was over, comes back whole with `lost` set. Raises
        WorkersCannotStart when no worker gets as far as taking a batch.
        """
        try:
            self._await_a_worker()
            while True:
                self._fill_up()
                self._hand_out(feed)
                results = self._collect()
                self._enforce(stopped)
                # Whoever is idle again gets its next batch before the results are recorded.
                self._hand_out(feed)
                self._help_out(feed)
                yield from results or (None,)
        finally:
            self.close()

    def close(self) -> None:
        """Ends every worker now."""
        for worker in self._workers:
            worker.process.kill()
            self._selector.unregister(worker.output)
            worker.close()
        self._workers = []

    def _await_a_worker(self) -> None:
        """Waits until all can take a batch, so that no run's time begins before its work can."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            self._fill_up()
            self._collect()
            if len(self._workers) == self._count and all(worker.ready for worker in self._workers):
                return

    def _fill_up(self) -> None:
        while len(self._workers) < self._count:
            self._start()

    def _start(self) -> Worker:
        line = msgspec.json.encode({**self._wiring, "parent": os.getpid(), "path": sys.path})
        worker = Worker(line, self._errors)
        self._workers.append(worker)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)
        return worker

    def _help_out(self, feed: Feed) -> None:
        """One more worker for a run that would wait for those that hang, and one less when it is not needed."""
        held = time.monotonic() - HELD_SECONDS
        room = self._count + SPARES - len(self._workers)
        if room > 0 and all(worker.ready and worker.batch and worker.since < held for worker in self._workers):
            batch = feed.send(True)
            if batch is not None:
                self._start().take(batch)
                reach(Point.BATCH_HANDED_OUT)
        for worker in [worker for worker in self._workers if worker.idle][: max(0, -room + SPARES)]:
            worker.process.kill()
            self._bury(worker)

    def _hand_out(self, feed: Feed) -> None:
        for worker in self._workers:
            if worker.idle:
                batch = next(feed)
                if batch is None:
                    return
                worker.take(batch)
                reach(Point.BATCH_HANDED_OUT)

    def _collect(self) -> list[BatchResult]:
        results = []
        for key, _ in self._selector.select(TICK_SECONDS):
            worker: Worker = key.data
            lines = worker.lines()
            if lines is None:
                results += self._bury(worker)
                continue
            for line in lines:
                if worker.ready:
                    results.append(msgspec.json.decode(line, type=BatchResult))
                    worker.batch = None
                else:
                    worker.problem = msgspec.json.decode(line, type=Hello).problem
                    worker.ready = worker.problem is None
                    worker.begin()
                    self._false_starts = 0 if worker.ready else self._false_starts
        return results

    def _bury(self, worker: Worker) -> list[BatchResult]:
        self._selector.unregister(worker.output)
        self._workers.remove(worker)
        why, message, ended = worker.wait()
        worker.close()
        batch = worker.batch
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= FALSE_STARTS:
                raise WorkersCannotStart(
                    f"no worker process can start: {worker.problem or message}; see {self._errors}"
                )
        if batch is None:
            return []
        return [
            BatchResult(batch.run, batch.seq, batch.attempt, again=batch.keys, lost=why, reason=message, ended=ended)
        ]

    def _enforce(self, stopped: Stopped) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.batch is None:
                continue
            if worker.told_to_end is not None or stopped(worker.batch):
                worker.end(Lost.STOPPED, "it was stopped")
            elif worker.ready and now > worker.deadline:
                worker.end(Lost.BATCH_TIMEOUT, f"it took longer than {worker.batch.timeout_seconds:g} s")
