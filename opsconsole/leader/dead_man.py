"""A dead man's switch: calls a URL while all is well, so that a service elsewhere notices when calls stop."""

from __future__ import annotations

from collections.abc import Callable

from opsconsole.core.clock import Clock
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.problems import Work
from opsconsole.core.settings import AlertSettings, Secret
from opsconsole.core.supervision import Loop, Supervisor
from opsconsole.core.time_limit import TimedOut, TimeLimit
from opsconsole.core.version import VERSION

ANSWER_SECONDS = 10.0
CALL_SECONDS = 20.0
"""The whole call, with redirects; the other limit is for each answer."""
_OWN_TROUBLE = (Work.DEAD_MAN, Work.NOTIFICATIONS)
"""Work that reports its problems itself, by other ways."""


class NotCalled(OpsconsoleError):
    """The URL did not accept a call; the message has no part of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"alerts.dead_man_url was not reached: {reason}")


class DeadManSwitch:
    """Calls the URL of a leadership, if one is configured, for as long as `is_well`."""

    def __init__(
        self, settings: AlertSettings, *, supervisor: Supervisor, is_well: Callable[[], bool], now: Clock
    ) -> None:
        self._url, self._supervisor, self._is_well = settings.dead_man_url, supervisor, is_well
        self._limit = TimeLimit(Work.DEAD_MAN, CALL_SECONDS)
        self._loop = Loop(Work.DEAD_MAN, self.step, seconds=settings.dead_man_seconds, now=now)
        if self._url is not None:
            supervisor.watch(self._loop)

    def start(self) -> None:
        """Starts with a call."""
        if self._url is not None:
            self._loop.start()

    def stop(self) -> None:
        """Stops; does not wait for a call that has begun."""
        self._loop.stop(timeout=0.0)

    def step(self) -> float | None:
        """Calls the URL if all is well. Raises NotCalled. Returns when to look again, if not after the usual time."""
        if self._url is None or not self._is_well() or not self._all_loops_work():
            return 1.0
        url = self._url
        try:
            self._limit.call(lambda: call(url))
        except TimedOut as error:
            raise NotCalled(str(error)) from error
        return None

    def _all_loops_work(self) -> bool:
        """Whether no loop of the leader fails, but for those that wait for Redis or the data database: alerts report
        these.
        """
        problems = (problem for problem in self._supervisor.problems() if problem.dependency in (None, "store"))
        return all(problem.work.startswith(_OWN_TROUBLE) for problem in problems)


def call(url: Secret) -> None:
    """Calls the URL once, through the proxy that the environment names. Raises NotCalled."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    request = Request(url.reveal(), headers={"User-Agent": f"opsconsole/{VERSION}"})  # noqa: S310 - http or https
    try:
        with urlopen(request, timeout=ANSWER_SECONDS):  # noqa: S310 - checked when it was configured
            pass
    except HTTPError as error:
        error.close()
        raise NotCalled(f"HTTP status {error.code}") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise NotCalled(getattr(reason, "strerror", None) or type(reason).__name__) from None
    except (HTTPException, ValueError) as error:  # neither HTTP, nor a redirect that can be followed
        raise NotCalled(f"the answer cannot be read ({type(error).__name__})") from None
