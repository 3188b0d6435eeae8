"""Threads for blocking calls: limited in number, and in how long a request waits for one."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from opsconsole.http.responses import Busy, HttpError

log = logging.getLogger(__name__)

MAX_WAITING = 50
"""Requests that may wait for a thread. Further ones get the status 503."""
WAIT_SECONDS = 10.0
CALL_SECONDS = 30.0
"""How long a call may take until its request gets the status 504. The call continues; its thread no longer counts."""
MAX_STUCK = 50
"""How many such threads there may be. Further ones keep their places, as a process has no room for any number."""

T = TypeVar("T")


class Threads:
    """Runs up to `count` blocking calls at a time.

    The pools of anyio and the standard library are not used: a call that hangs would keep the process from ending.
    """

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        self._waiting = 0
        self._stuck: set[asyncio.Future[Any]] = set()

    async def run(self, call: Callable[[], T]) -> T:
        """The result of the call. Raises HttpError when no thread becomes free, or the call takes too long."""
        await self._acquire()
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            threading.Thread(target=self._call, args=(call, outcome), name="http-call", daemon=True).start()
        except RuntimeError:
            self._free.release()
            raise
        try:
            await asyncio.wait([outcome], timeout=CALL_SECONDS)
            if outcome.done():
                return outcome.result()
            if len(self._stuck) < MAX_STUCK:
                self._stuck.add(outcome)
                self._free.release()
            raise HttpError(504, "timeout", f"no answer within {CALL_SECONDS:g} s; it may still be carried out")
        finally:
            outcome.cancel()

    async def _acquire(self) -> None:
        if self._waiting >= MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise Busy from None
        finally:
            self._waiting -= 1

    def _call(self, call: Callable[[], T], outcome: asyncio.Future[T]) -> None:
        report: Callable[[], Any]
        try:
            report = partial(outcome.set_result, call())
        except BaseException as error:
            log.debug("http: a call raised %s", type(error).__name__, exc_info=True)
            report = partial(outcome.set_exception, _as_exception(error))
        with suppress(RuntimeError):  # the loop has ended with the process
            outcome.get_loop().call_soon_threadsafe(self._finish, outcome, report)

    def _finish(self, outcome: asyncio.Future[T], report: Callable[[], Any]) -> None:
        if outcome in self._stuck:
            self._stuck.remove(outcome)
        else:
            self._free.release()
        if not outcome.done():
            report()


def _as_exception(error: BaseException) -> Exception:
    """An error that may leave the thread: SystemExit would end the server, and StopIteration cannot be passed on."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"the code raised {type(error).__name__}")
