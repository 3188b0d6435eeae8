"""Between the console and its terminal: signals, a terminal that stops reading, and one that is gone."""

from __future__ import annotations

import errno
import logging
import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from io import TextIOWrapper

log = logging.getLogger(__name__)

HUNG_SECONDS = 12.0
"""A signal asks the loop to end; after this long the watchdog ends the process instead."""

STALLED_SECONDS = 1.0
"""A terminal that takes nothing for so long has stopped reading; what is drawn meanwhile is dropped."""

LAST_WORDS_SECONDS = 2.0
HANGUP = 128 + signal.SIGHUP

RESTORE = (
    b"\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)
"""Everything that the console may have switched on is off again, whatever it was."""


class Received:
    """Ends the console when a signal asks for it: at first in good order, at the second one at once."""

    def __init__(self, app: App[Any]) -> None:
        self.exit_code = 0
        self._app = app
        self._attributes = _attributes()
        self._over = threading.Event()

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The signal handler. It runs even while the loop is blocked, which a handler of the loop's would not."""
        if self.exit_code:
            self.end_now()
        self.exit_code = 128 + number
        threading.Thread(target=self._watch, name="console-watchdog", daemon=True).start()

    def over(self) -> None:
        """The console has ended by itself."""
        self._over.set()

    def end_now(self) -> None:
        """Restores the terminal as far as it lets itself, and ends the process."""
        log.error("the console does not end in good order; it is ended")
        if sys.__stdin__ is not None:
            with suppress(OSError, ValueError):  # opened anew, so as not to wait for a reader that has stopped
                terminal = os.open(os.ttyname(sys.__stdin__.fileno()), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
                os.write(terminal, RESTORE)
            with suppress(termios.error, OSError, ValueError):
                if self._attributes is not None:
                    termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSANOW, self._attributes)
        os._exit(self.exit_code or HANGUP)

    def _watch(self) -> None:
        end = time.monotonic() + HUNG_SECONDS
        while time.monotonic() < end:
            with suppress(RuntimeError):  # the loop is not there yet, or not any more
                self._app.call_later(self._app.exit, None, self.exit_code)
            if self._over.wait(0.5):
                return
        self.end_now()


@contextmanager
def signals(app: App[Any]) -> Iterator[Received]:
    """SIGHUP, SIGTERM and SIGINT end the console in good order as long as this lasts."""
    received = Received(app)
    before = {
        number: signal.signal(number, received.receive) for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield received
    finally:
        received.over()
        for number, handler in before.items():
            signal.signal(number, handler)


class Outlet:
    """What the driver writes to: never waits for long, and says when the terminal is gone or reads again.

    It opens the terminal anew, so that not waiting is a property of this way to it alone.
    """

    def __init__(self, file: int, *, gone: Callable[[], None], reads_again: Callable[[], None]) -> None:
        self._gone, self._reads_again = gone, reads_again
        self._file = file
        with suppress(OSError):
            self._file = os.open(os.ttyname(file), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        self._rest = b""
        self.is_gone = False

    def fileno(self) -> int:
        """The terminal."""
        return self._file

    def flush(self) -> None:
        """Nothing is kept back."""

    def write(self, text: str) -> None:
        """Writes all of it; while the terminal does not read nothing, but for the end of what was begun."""
        if self.is_gone:
            return
        if self._rest:
            self._rest = self._put(self._rest, 0.0)
            if not self._rest and not self.is_gone:
                self._reads_again()
            return
        self._rest = self._put(text.encode(errors="replace"), STALLED_SECONDS)

    def close(self, patience: float = LAST_WORDS_SECONDS) -> None:
        """The terminal's modes are set back even when it had stopped reading, if it reads again soon."""
        if self._rest and not self.is_gone:
            self._put(self._rest + RESTORE, patience)

    def _put(self, data: bytes, patience: float) -> bytes:
        """Writes what the terminal takes; returns the rest."""
        while data:
            try:
                data = data[os.write(self._file, data) :]
            except BlockingIOError:
                if not select.select([], [self._file], [], patience)[1]:
                    return data
            except OSError as error:
                if error.errno != errno.EINTR:
                    self.is_gone = True
                    self._gone()
                    return b""
        return b""


class SteadyDriver(LinuxDriver):
    """Textual's driver, with an Outlet, and without a traceback on a terminal that is gone."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        file = self._file.fileno() if self._file is not None else 2
        self._outlet = Outlet(file, gone=self._end, reads_again=self._draw_anew)
        self._file = cast("TextIOWrapper", self._outlet)  # it is only written to

    def close(self) -> None:
        """Ends the writing; nobody who has hung up is waited for."""
        super().close()
        self._outlet.close(0.0 if self._app.return_code == HANGUP else LAST_WORDS_SECONDS)

    def _run_input_thread(self) -> None:
        threading.Thread(target=self._watch_the_line, name="console-line", daemon=True).start()
        try:
            self.run_input_thread()
        except OSError:
            self._end()

    def _watch_the_line(self) -> None:
        """Reading from a line that is cut gives nothing, at once and for ever, which the framework does not take for
        its end: it would spin until something is drawn.
        """
        line = select.poll()
        line.register(self.fileno, 0)  # no event but that it is gone
        with suppress(OSError):
            line.poll()
            self._end()

    def _end(self) -> None:
        with suppress(RuntimeError):
            self._app.call_later(self._app.exit, None, HANGUP)

    def _draw_anew(self) -> None:
        with suppress(RuntimeError):
            self._app.call_later(self._app.refresh)


def driver() -> type[Driver]:
    """The driver of a real terminal."""
    return SteadyDriver


def _attributes() -> list[Any] | None:
    try:
        return termios.tcgetattr(sys.__stdin__.fileno()) if sys.__stdin__ is not None else None
    except (termios.error, OSError, ValueError):
        return None
