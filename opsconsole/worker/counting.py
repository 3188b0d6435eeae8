"""Counts the items of a window, or its stale ones, in a process of its own: what job code does there ends the count and
not its caller.
"""

from __future__ import annotations

import selectors
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import NO_PARAMS
from opsconsole.calendar.windows import Window
from opsconsole.core.errors import OpsconsoleError, StaleNotSupported, Unavailable
from opsconsole.core.settings import Settings
from opsconsole.core.supervision import log_failure
from opsconsole.worker.handle import CLOSE_SECONDS, CLOSED, START_SECONDS, NotAnAnswer, Worker
from opsconsole.worker.messages import Counted, Counting
from opsconsole.worker.planning import counted

COUNT_SECONDS = 60.0
"""How long a count may take."""
IDLE_SECONDS = 60.0
"""The process ends when nothing was counted for this long."""


class CannotCount(OpsconsoleError):
    """The items of a job could not be counted."""


class Counter(Protocol):
    """Counts items. Raises Unavailable, or CannotCount for what job code did."""

    def count(self, counting: Counting) -> int: ...

    def close(self) -> None: ...


def counter(settings: Settings, catalog: Catalog, resources: Resources) -> Counter:
    """What counts for these settings: nothing starts before the first count."""
    if settings.engine.executor == "inline":
        return InlineCounter(catalog, resources)
    return CountingProcess(settings.for_workers(), errors=settings.folder / "workers.log")


def request(
    job: Job,
    window: Window,
    as_of: datetime,
    *,
    stale: bool = False,
    at_most: int | None = None,
    params: Mapping[str, Any] = NO_PARAMS,
) -> Counting:
    """The request to count a window's items as of a time, no further than `at_most`. Raises StaleNotSupported."""
    if stale and job.stale is None:
        raise StaleNotSupported(job.name)
    return Counting(job.name, window, as_of, stale, at_most, dict(params))


class InlineCounter:
    """Counts in the calling thread."""

    def __init__(self, catalog: Catalog, resources: Resources) -> None:
        self._catalog, self._resources = catalog, resources

    def count(self, counting: Counting) -> int:
        """The number of items. Raises Unavailable, CannotCount."""
        job = self._catalog.find(counting.job)
        return _items(counted(counting, job, self._resources, self._catalog.options(job, counting.params)))

    def close(self) -> None:
        """Does nothing."""


class CountingProcess:
    """Counts in a worker process, one request after the other. The process starts with the first one, is replaced when
    it ends or takes too long, and ends when it is idle. Thread-safe.
    """

    def __init__(self, wiring: Mapping[str, Any], *, errors: Path) -> None:
        self._wiring, self._errors = wiring, errors
        self._lock = threading.Lock()
        self._requests: SimpleQueue[tuple[Counting, Future[int]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._worker: Worker | None = None

    def count(self, counting: Counting) -> int:
        """The number of items. Raises Unavailable, CannotCount."""
        future: Future[int] = Future()
        with self._lock:
            self._requests.put((counting, future))
            if self._thread is None:
                # A worker ends with the thread that started it: the threads that count come and go.
                self._thread = threading.Thread(target=self._serve, name="counting", daemon=True)
                self._thread.start()
        return future.result()

    def close(self) -> None:
        """Ends the process, and a count that is under way."""
        with self._lock:
            thread, worker = self._thread, self._worker
            if thread is not None:
                self._requests.put(None)
            if worker is not None:
                worker.kill()
        if thread is not None:
            thread.join()

    def _serve(self) -> None:
        while (given := self._next()) is not None:
            counting, future = given
            try:
                future.set_result(_items(_ask(self._process(), counting)))
            except OpsconsoleError as error:
                future.set_exception(error)
            except (NotAnAnswer, OSError) as error:
                future.set_exception(CannotCount(f"the items of {counting.job} could not be counted: {error}"))
            except BaseException as error:  # noqa: BLE001 - who waits for the count would wait for ever
                log_failure("counting items", error)
                future.set_exception(CannotCount(f"the items of {counting.job} could not be counted; see the log"))
            if self._worker is not None and not self._worker.idle:
                self._end()
        self._end()

    def _next(self) -> tuple[Counting, Future[int]] | None:
        """The next request; None when the thread is to end."""
        while True:
            try:
                given = self._requests.get(timeout=IDLE_SECONDS)
            except Empty:
                given = None
            if given is not None:
                return given
            with self._lock:
                if self._requests.empty():
                    self._thread = None
                    return None

    def _process(self) -> Worker:
        if self._worker is not None and self._worker.process.poll() is not None:
            self._end()
        if self._worker is None:
            worker = Worker(self._wiring, self._errors)
            with self._lock:
                self._worker = worker
            return worker
        return self._worker

    def _end(self) -> None:
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()


def _ask(worker: Worker, counting: Counting) -> Counted:
    """The answer of a worker process. Raises NotAnAnswer when there is none."""
    worker.take(counting)
    with selectors.DefaultSelector() as selector:
        selector.register(worker.answers, selectors.EVENT_READ)
        if worker.has_unsent:
            selector.register(worker.input, selectors.EVENT_WRITE)
        while (left := _time_left(worker)) > 0:
            for key, _ in selector.select(left):
                if key.fd == worker.input:
                    worker.flush()
                    if not worker.has_unsent:
                        selector.unregister(worker.input)
                    continue
                answers = worker.read()
                if answers is None:
                    raise NotAnAnswer(worker.problem or _end_of(worker))
                for answer in answers:
                    if isinstance(answer, Counted):
                        return answer
    raise NotAnAnswer(f"it took longer than {COUNT_SECONDS if worker.ready else START_SECONDS:g} s")


def _time_left(worker: Worker) -> float:
    """The seconds that are left to count, or to start."""
    end = worker.work_started + COUNT_SECONDS if worker.ready else worker.started + START_SECONDS
    return end - time.monotonic()


def _end_of(worker: Worker) -> str:
    try:
        worker.process.wait(CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        return CLOSED
    return f"its worker {worker.how_it_ended}"


def _items(answer: Counted) -> int:
    if answer.broken is not None:
        raise Unavailable(answer.broken, answer.reason or "")
    if answer.reason is not None:
        raise CannotCount(answer.reason)
    return answer.items
