"""One slot of an attached worker: a worker process that executes one task at a time."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from opsconsole.authoring.batch import Lost
from opsconsole.core.errors import OpsconsoleError
from opsconsole.worker.handle import NotAnAnswer, Worker
from opsconsole.worker.lease_deadline import LeaseDeadline
from opsconsole.worker.messages import Counted, Result, Work

TICK_SECONDS = 0.1


class CannotStart(OpsconsoleError):
    """A worker process ends before it is ready."""


class Slot:
    """A worker process, replaced when it has ended. It ends itself when the `lease` is over.

    Call `start` and `execute` from threads that outlive the process: on Linux it ends with the thread that started it.
    """

    def __init__(self, wiring: Mapping[str, Any], errors: Path, lease: LeaseDeadline) -> None:
        self._wiring, self._errors, self._lease = wiring, errors, lease
        self._worker: Worker | None = None

    def start(self) -> None:
        """Starts the process, unless it is running, and waits until it is ready. Raises CannotStart."""
        if self._worker is not None and self._worker.process.poll() is not None:
            self.close()
        if self._worker is not None:
            return
        try:
            worker = self._worker = Worker(self._wiring, self._errors, lease=self._lease)
        except OSError as error:
            raise CannotStart(f"no worker process can be started: {error}") from error
        with _Watching(worker) as watching:
            while not worker.ready:
                try:
                    watching.answers()
                except NotAnAnswer as error:
                    worker.end(Lost.WORKER_DIED, str(error))
                if worker.process.poll() is not None or worker.is_late(time.monotonic()) is not None:
                    problem = worker.problem or "it ended before it was ready"
                    self.close()
                    raise CannotStart(f"no worker process can start: {problem}; see {self._errors}")

    def execute(self, work: Work, why_end: Callable[[], str | None]) -> Iterator[Result]:
        """Yields the results of the work. Ends the process as soon as `why_end` gives a reason. Raises CannotStart.

        Unfinished work of a process that ends is `lost`.
        """
        self.start()
        worker = self._worker
        assert worker is not None  # noqa: S101 - it was started
        try:
            with _Watching(worker) as watching:
                worker.take(work)
                while worker.work is not None and worker.process.poll() is None:
                    try:
                        yield from watching.answers()
                    except NotAnAnswer as error:
                        worker.end(Lost.WORKER_DIED, str(error))
                    self._enforce(worker, why_end())
                if worker.work is not None:
                    yield from _last_answers(worker)
        finally:
            if worker.work is not None:
                self.close()

    def close(self) -> None:
        """Ends the process, and everything that it has started."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def _enforce(self, worker: Worker, why: str | None) -> None:
        if worker.work is None:
            return
        late = worker.is_late(time.monotonic())
        if worker.terminated_at is not None or why is not None:
            worker.end(Lost.STOPPED, why or "it was stopped")
        elif late is not None:
            worker.end(*late)


def _last_answers(worker: Worker) -> Iterator[Result]:
    """The last answers of a process that has ended, and a lost result if the work is not complete."""
    try:
        while answers := worker.read():
            yield from _results(answers)
    except NotAnAnswer as error:
        worker.end(Lost.WORKER_DIED, str(error))
    yield from worker.lost()


def _results(answers: list[Result | Counted]) -> list[Result]:
    return [answer for answer in answers if not isinstance(answer, Counted)]


class _Watching:
    """Waits for the pipes of a process, for as long as the block lasts."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> _Watching:
        self._selector.register(self._worker.answers, selectors.EVENT_READ)
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()

    def answers(self) -> list[Result]:
        """The results that have arrived after a short wait. Raises NotAnAnswer."""
        worker, found = self._worker, list[Result]()
        watched = worker.input in self._selector.get_map()
        if worker.has_unsent and not watched:
            self._selector.register(worker.input, selectors.EVENT_WRITE)
        elif watched and not worker.has_unsent:
            self._selector.unregister(worker.input)
        if not self._selector.get_map():
            time.sleep(TICK_SECONDS)
        for key, _ in self._selector.select(TICK_SECONDS):
            if key.fd == worker.input:
                worker.flush()
            elif (answers := worker.read()) is None:
                self._selector.unregister(worker.answers)
            else:
                found += _results(answers)
        return found
