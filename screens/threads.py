"""Runs blocking calls beside the event loop, so that a slow store delays no key press."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.supervision import log_failure

Result = TypeVar("Result")


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
