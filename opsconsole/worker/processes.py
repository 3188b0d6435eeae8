"""Executes batches in worker processes: neither the console nor the scheduler waits for job code, and a batch that
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
"""Between SIGTERM and SIGKILL."""
START_SECONDS = 15.0
MAX_FAILED_STARTS = 3
BUSY_SECONDS = 1.0
"""When every worker has had its batch for this long, a run without a batch in flight gets an extra worker..."""
MAX_EXTRA_WORKERS = 4
"""... up to this number, so that jobs that hang do not keep others from starting."""


class WorkersCannotStart(OpsconsoleError):
    """Worker processes end before they are ready."""


class Worker:
    """A worker process. `batch` is the one it executes, `deadline` its time limit on the steady clock."""

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
        self.batch_started = self.deadline = 0.0
        self.terminated_at: float | None = None
        self.end_reason: tuple[Lost, str] | None = None
        self._partial = b""
        self._write(wiring)

    @property
    def idle(self) -> bool:
        """Whether it can take a batch."""
        return self.ready and self.batch is None and self.terminated_at is None

    @property
    def output(self) -> int:
        """The file descriptor of its results."""
        assert self.process.stdout is not None  # noqa: S101 - it was opened with a pipe
        return self.process.stdout.fileno()

    def take(self, batch: Batch) -> None:
        """Sends a batch; a worker that is not ready reads it when it is."""
        self.batch = batch
        if self.ready:
            self.start_timer()
        self._write(msgspec.json.encode(batch))

    def start_timer(self) -> None:
        """Starts the time limit of its batch."""
        self.batch_started = time.monotonic()
        self.deadline = self.batch_started + self.batch.timeout_seconds if self.batch else 0.0

    def lines(self) -> list[bytes] | None:
        """The complete lines received; None when the process has ended."""
        chunk = os.read(self.output, 1 << 20)
        if not chunk:
            return None
        *whole, self._partial = (self._partial + chunk).split(b"\n")
        return whole

    def end(self, why: Lost, message: str) -> None:
        """Terminates the process, and kills it when it does not end within the grace period."""
        now = time.monotonic()
        if self.terminated_at is None:
            self.terminated_at, self.end_reason = now, (why, message)
            self.process.terminate()
        elif now - self.terminated_at > GRACE_SECONDS:
            self.process.kill()

    def wait(self) -> tuple[Lost, str, str]:
        """Waits for its end: why it ended, a message for that, and the process with its exit status."""
        code = self.process.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        why, message = self.end_reason or (Lost.WORKER_DIED, f"its worker {how}")
        return why, message, f"worker process {self.process.pid} {how}"

    def close(self) -> None:
        """Closes the pipes and reaps the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()

    def _write(self, line: bytes) -> None:
        assert self.process.stdin is not None  # noqa: S101 - it was opened with a pipe
        try:
            self.process.stdin.write(line + b"\n")
        except BrokenPipeError:
            log.warning("worker %s ended before it read its batch", self.process.pid)


def _appending(file: Path) -> IO[bytes]:
    """The file, or the null device: a log that cannot be written must not stop the workers."""
    try:
        return file.open("ab")
    except OSError as error:
        log.warning("the output of workers is not logged: %s: %s", file, error.strerror)
        return Path(os.devnull).open("ab")


class Processes:
    """The default executor: `count` worker processes, replaced when they end.

    `wiring` is the value of `Settings.for_workers`; `errors` is a file for the output of the workers.
    """

    def __init__(self, wiring: dict[str, Any], count: int, *, errors: Path) -> None:
        self._wiring, self._count, self._errors = wiring, count, errors
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()
        self._failed_starts = 0

    def __call__(self, feed: Feed, stopped: Stopped) -> Iterator[BatchResult | None]:
        """Yields results, or None every 50 ms without one; the first when the workers are ready.

        A batch whose worker ended has all its keys in `again`, and `lost` set. Raises WorkersCannotStart when the
        workers end before they are ready.
        """
        try:
            self._wait_until_ready()
            while True:
                self._start_missing()
                self._hand_out(feed)
                results = self._collect()
                self._enforce(stopped)
                # Idle workers get their next batch before the results are recorded.
                self._hand_out(feed)
                self._adjust_extra_workers(feed)
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

    def _wait_until_ready(self) -> None:
        """Waits until all workers can take a batch, so that no run's timeout starts earlier."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            self._start_missing()
            self._collect()
            if len(self._workers) == self._count and all(worker.ready for worker in self._workers):
                return

    def _start_missing(self) -> None:
        while len(self._workers) < self._count:
            self._start()

    def _start(self) -> Worker:
        line = msgspec.json.encode({**self._wiring, "parent": os.getpid(), "path": sys.path})
        worker = Worker(line, self._errors)
        self._workers.append(worker)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)
        return worker

    def _adjust_extra_workers(self, feed: Feed) -> None:
        """Starts an extra worker for a run that would wait for jobs that hang, and ends those that are idle."""
        limit = time.monotonic() - BUSY_SECONDS
        room = self._count + MAX_EXTRA_WORKERS - len(self._workers)
        if room > 0 and all(worker.ready and worker.batch and worker.batch_started < limit for worker in self._workers):
            batch = feed.send(True)
            if batch is not None:
                self._start().take(batch)
                reach(Point.BATCH_SENT)
        for worker in [worker for worker in self._workers if worker.idle][: max(0, -room + MAX_EXTRA_WORKERS)]:
            worker.process.kill()
            self._remove(worker)

    def _hand_out(self, feed: Feed) -> None:
        for worker in self._workers:
            if worker.idle:
                batch = next(feed)
                if batch is None:
                    return
                worker.take(batch)
                reach(Point.BATCH_SENT)

    def _collect(self) -> list[BatchResult]:
        results = []
        for key, _ in self._selector.select(TICK_SECONDS):
            worker: Worker = key.data
            lines = worker.lines()
            if lines is None:
                results += self._remove(worker)
                continue
            for line in lines:
                if worker.ready:
                    results.append(msgspec.json.decode(line, type=BatchResult))
                    worker.batch = None
                else:
                    worker.problem = msgspec.json.decode(line, type=Hello).problem
                    worker.ready = worker.problem is None
                    worker.start_timer()
                    self._failed_starts = 0 if worker.ready else self._failed_starts
        return results

    def _remove(self, worker: Worker) -> list[BatchResult]:
        self._selector.unregister(worker.output)
        self._workers.remove(worker)
        why, message, ended = worker.wait()
        worker.close()
        batch = worker.batch
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= MAX_FAILED_STARTS:
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
            if worker.terminated_at is not None or stopped(worker.batch):
                worker.end(Lost.STOPPED, "it was stopped")
            elif worker.ready and now > worker.deadline:
                worker.end(Lost.BATCH_TIMEOUT, f"it took longer than {worker.batch.timeout_seconds:g} s")
