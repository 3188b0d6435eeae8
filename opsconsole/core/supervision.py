"""Work that is repeated for as long as a process lives: it survives every exception, and reports its health."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from datetime import timedelta

from opsconsole.core.clock import Clock
from opsconsole.core.error_reports import report_error
from opsconsole.core.errors import OpsconsoleError, Unavailable
from opsconsole.core.failpoints import reach
from opsconsole.core.humanize import count
from opsconsole.core.problems import Fault, Problem, Status
from opsconsole.core.text import safe

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS = 0.5, 30.0
"""The wait after the first failure in a row; it doubles with each further one up to the second value."""
OUTAGE_SECONDS = 1.0
"""The wait of a leader's loop while the store is unreachable."""
STALLED_SECONDS = 120.0
"""A step without progress for this long is stalled."""
JOIN_SECONDS = 5.0
"""A database that hangs must not keep a process from ending."""
MAX_LOGGED = 20
"""How many distinct problems in a row are logged."""


class Repeated:
    """Work that one thread repeats with `attempt`: a Work, or one of several of its kind by name. Other threads may
    read its status.

    `outage_seconds` is the wait while something is unreachable, instead of one that grows. A step without progress for
    `stalled_seconds` is stalled; None for a step that may take any time.
    """

    def __init__(
        self,
        work: str,
        *,
        now: Clock,
        outage_seconds: float | None = None,
        stalled_seconds: float | None = STALLED_SECONDS,
    ) -> None:
        self.work, self._now = work, now
        self._outage_seconds, self._stalled_seconds = outage_seconds, stalled_seconds
        self._failures = 0
        self._problem: Problem | None = None
        self._logged: set[object] = set()
        self._progress = time.monotonic()
        self._succeeded: float | None = None
        self._retry_at = float("-inf")
        self._busy = False

    @property
    def wait_seconds(self) -> float:
        """How long to wait before the next attempt; 0 after a success."""
        return max(0.0, self._retry_at - time.monotonic())

    @property
    def is_failing(self) -> bool:
        """Whether it failed last."""
        return self._problem is not None

    @property
    def is_waiting_for_outage(self) -> bool:
        """Whether it failed last because something was unreachable."""
        return self._problem is not None and self._problem.dependency is not None

    def attempt(
        self,
        step: Callable[[], object],
        *,
        passing: Callable[[BaseException], bool] | None = None,
        at_once: bool = False,
    ) -> bool:
        """Whether the step succeeded. An exception is recorded, or raised if it is `passing`. Does nothing before the
        wait after a failure is over, except `at_once`.
        """
        if self.wait_seconds > 0 and not at_once:
            return False
        self._busy = True
        self.progress()
        try:
            reach(self.work)
            step()
        except BaseException as error:  # also SystemExit of foreign code must not end the thread
            if passing is not None and passing(error):
                raise
            self.failed(error)
            return False
        finally:
            self._busy = False
            self.progress()
        self.succeeded()
        return True

    def progress(self) -> None:
        """Records that a long step is getting on."""
        self._progress = time.monotonic()

    def failed(self, error: BaseException) -> None:
        """Records a failure, and logs it unless the same one was logged since the last success."""
        self._failures += 1
        text, dependency, place = describe(error)
        wait = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(self._failures - 1, 10))
        if dependency is not None and self._outage_seconds is not None:
            wait = self._outage_seconds
        self._retry_at = time.monotonic() + wait
        since = self._problem.since if self._problem is not None else self._now()
        self._problem = Problem(self.work, Fault.FAILING, since, text, dependency)
        seen = place or text
        if seen not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add(seen)
            log_failure(self.work, error)

    def succeeded(self) -> None:
        """Records a success: of a whole step, or of what it begins with."""
        self._succeeded = time.monotonic()
        if self._problem is not None:
            log.info("%s works again after %s", self.work, count(self._failures, "failure"))
            self._failures, self._problem, self._retry_at = 0, None, float("-inf")
            self._logged.clear()

    def status(self, *, ended: bool = False) -> Status:
        """How it is doing; `ended` is whether its thread should run and does not."""
        now = time.monotonic()
        idle = now - self._progress
        problem = self._problem
        stopped_at = self._now() - timedelta(seconds=idle)
        if ended:
            problem = Problem(self.work, Fault.ENDED, stopped_at)
        elif self._busy and self._stalled_seconds is not None and idle > self._stalled_seconds:
            problem = Problem(self.work, Fault.STALLED, stopped_at)
        succeeded = None if self._succeeded is None else now - self._succeeded
        return Status(self.work, succeeded, idle, problem)


class Loop:
    """A thread that repeats `step` until it is stopped: after the seconds that `step` returns, or `seconds`. After a
    failure it waits longer each time. `last` is called once at the end.
    """

    def __init__(
        self,
        work: str,
        step: Callable[[], float | None],
        *,
        seconds: float,
        now: Clock,
        last: Callable[[], object] | None = None,
        outage_seconds: float | None = None,
        stalled_seconds: float | None = STALLED_SECONDS,
    ) -> None:
        self.repeated = Repeated(work, now=now, outage_seconds=outage_seconds, stalled_seconds=stalled_seconds)
        self._step, self._seconds, self._last = step, seconds, last
        self._wait: float | None = None
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=work, daemon=True)
        self._started = False

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()
        self._started = True  # not before: a thread that has not begun is not one that has ended

    def wake(self) -> None:
        """Repeats the step now, unless it has just failed."""
        self._wake.set()

    def pause(self, seconds: float) -> None:
        """Waits within a step, unless the loop is stopping."""
        self._stopping.wait(seconds)

    def request_stop(self) -> None:
        """Stops after the current step; does not wait for that."""
        self._stopping.set()
        self._wake.set()

    def stop(self, timeout: float | None = JOIN_SECONDS) -> None:
        """Stops after the current step; waits for that up to `timeout` seconds."""
        self.request_stop()
        if self._started and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def status(self) -> Status:
        """How the loop is doing."""
        ended = self._started and not self.is_stopping and not self._thread.is_alive()
        return self.repeated.status(ended=ended)

    def _run(self) -> None:
        while not self.is_stopping:
            self._wake.clear()
            if self.repeated.attempt(self._round):
                self._wake.wait(self._seconds if self._wait is None else self._wait)
            else:
                self._stopping.wait(self.repeated.wait_seconds)
        if self._last is not None:
            self.repeated.attempt(self._last, at_once=True)

    def _round(self) -> None:
        self._wait = self._step()


class Supervisor:
    """The repeated work of one process, or of one leadership."""

    def __init__(self, now: Clock) -> None:
        self._now = now
        self._watched: list[Repeated | Loop] = []

    def repeated(self, work: str) -> Repeated:
        """Work that the caller's own loop attempts."""
        made = Repeated(work, now=self._now, outage_seconds=OUTAGE_SECONDS)
        self._watched.append(made)
        return made

    def watch(self, *work: Repeated | Loop) -> None:
        """Adds work that somebody else has made."""
        self._watched += work

    def clear(self) -> None:
        """Forgets everything: its leadership has ended."""
        self._watched.clear()

    def status(self) -> tuple[Status, ...]:
        """How everything is doing."""
        return tuple(each.status() for each in tuple(self._watched))

    def problems(self) -> tuple[Problem, ...]:
        """What is not being done."""
        return tuple(status.problem for status in self.status() if status.problem is not None)


def is_outage(error: BaseException) -> bool:
    """Whether a database is at fault, rather than the statement or its values."""
    # Imported when an error is judged: the console draws its first frame before SQLAlchemy is loaded.
    from sqlalchemy.exc import SQLAlchemyError

    from opsconsole.core.database_errors import ErrorKind, error_kind

    return isinstance(error, SQLAlchemyError) and error_kind(error) is not ErrorKind.STATEMENT


def describe(error: BaseException) -> tuple[str, str | None, object]:
    """An exception as one safe line, the dependency that it names as unreachable, and where an unexpected one was
    raised: the same place is the same problem, also with another message.
    """
    if isinstance(error, Unavailable):
        return error.sentence, error.dependency, None
    if isinstance(error, OpsconsoleError):
        return error.sentence, None, None
    if (database_reason := _database_reason(error)) is not None:
        return f"the database: {database_reason}", "store" if is_outage(error) else None, None
    frames = traceback.extract_tb(error.__traceback__)
    place = (type(error), frames[-1].filename, frames[-1].lineno) if frames else type(error)
    return f"{type(error).__name__}: {_text(error)}", None, place


def _database_reason(error: BaseException) -> str | None:
    from sqlalchemy.exc import SQLAlchemyError

    from opsconsole.core.database_errors import reason

    return reason(error) if isinstance(error, SQLAlchemyError) else None


def log_failure(what: str, error: BaseException) -> None:
    """Logs an exception; an unexpected one with the lines it passed through, and never with values of variables or the
    parameters of a statement.
    """
    text, _, place = describe(error)
    if place is None:
        log.warning("%s fails: %s", what, text)
    else:
        log.error("%s fails: %s\n%s", what, text, "".join(traceback.format_tb(error.__traceback__)).rstrip())
        report_error(what, error)


def log_unexpected_ends() -> None:
    """Sends the exceptions that end a thread to the log, rather than to the terminal."""

    def ended(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread is not None else "a thread"
        if args.exc_value is not None:
            log_failure(f"thread {name} has ended: it", args.exc_value)

    threading.excepthook = ended


def _text(error: BaseException) -> str:
    try:
        return safe(error, 200)
    except BaseException:  # noqa: BLE001 - foreign code again
        return "an error without a readable message"
