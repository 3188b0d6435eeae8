"""Asks the service beside the screen's loop: what blocks there blocks no key here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from textual.message_pump import MessagePump

from opsconsole.core.errors import OpsconsoleError

Told = TypeVar("Told")


def run_in_thread(pump: MessagePump, call: Callable[[], Told], then: Callable[[Told | OpsconsoleError], None]) -> None:
    """Calls `call` in a thread, and `then` with what it returned, or with its error, on the loop of `pump`.

    The thread is a daemon: a service that hangs does not keep the console from ending. Nothing is told to a screen that
    has been closed by then.
    """

    def work() -> None:
        told: Told | OpsconsoleError = OpsconsoleError("that went wrong inside the console; its log has the details")
        try:
            told = call()
        except OpsconsoleError as error:
            told = error
        finally:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                pump.call_later(then, told)

    threading.Thread(target=work, name="console-asks", daemon=True).start()
