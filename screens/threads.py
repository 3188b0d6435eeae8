"""Runs blocking calls beside the event loop, so that a slow store delays no key press."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.supervision import log_failure

Result = TypeVar("Result")
Step = TypeVar("Step")


class Loop(Protocol):
    """What runs a callback on the event loop: the application, a page or a dialog."""

    def call_later(self, callback: Callable[..., object], /, *args: object) -> object: ...


def run_in_thread(
    loop: Loop, call: Callable[[], Result], on_result: Callable[[Result | OpsconsoleError], None]
) -> None:
    """Runs `call` in a thread, then `on_result` on `loop` with its result or its error.

    The thread is a daemon: a service that hangs does not keep the console from exiting. A page or dialog that has been
    closed in the meantime receives no result.
    """

    def work() -> None:
        result: Result | OpsconsoleError = OpsconsoleError("unexpected error in the console; see its log")
        try:
            result = call()
        except OpsconsoleError as error:
            result = error
        except BaseException as error:  # noqa: BLE001 - it may call code of a pack
            log_failure("a call of the console", error)
        with suppress(RuntimeError):  # the loop has stopped
            loop.call_later(on_result, result)

    threading.Thread(target=work, name="console-call", daemon=True).start()


class Stepping(Generic[Step]):
    """A call that yields what it has found so far, in a thread. `latest` is its newest step, `error` why it ended
    early; a new call replaces the one that runs.
    """

    def __init__(self, loop: Loop, on_end: Callable[[], None], *, pause_seconds: float = 0.0) -> None:
        self._loop, self._on_end, self._pause_seconds = loop, on_end, pause_seconds
        self._call = 0
        self.latest: Step | None = None
        self.error: OpsconsoleError | None = None
        self.is_running = False

    def start(self, steps: Callable[[], Iterator[Step]], *, keep: bool = False) -> None:
        """Starts a call; with `keep`, the newest step of the one before stays until there is another."""
        self._call += 1
        call, self.is_running, self.error = self._call, True, None
        if not keep:
            self.latest = None

        def work() -> None:
            for step in steps():
                if call != self._call:
                    return
                self.latest = step
                time.sleep(self._pause_seconds)

        def ended(error: OpsconsoleError | None) -> None:
            if call == self._call:
                self.is_running, self.error = False, error
                self._on_end()

        run_in_thread(self._loop, work, ended)

    def stop(self) -> None:
        """Ends the call after its current step."""
        self._call += 1
        self.is_running = False
