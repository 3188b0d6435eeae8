"""The console's terminal: signals, a terminal that stops reading, and one that is closed."""

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

from opsconsole.core.supervision import log_failure
from screens.keyboard import MAX_COLUMNS, MAX_ROWS, End, read_keys

if TYPE_CHECKING:
    from io import TextIOWrapper

log = logging.getLogger(__name__)

HUNG_SECONDS = 12.0
"""A signal stops the loop; after this long the watchdog ends the process."""

STALLED_SECONDS = 1.0
"""A terminal that accepts nothing for this long has stopped reading; output is dropped until it reads again."""

CLOSE_SECONDS = 2.0
RETRY_SECONDS = 0.1
HANGUP = 128 + signal.SIGHUP

RESTORE = (
    b"\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)
"""Switches off every terminal mode that the console may have switched on."""


class Received:
    """Ends the console on a signal: the first one exits cleanly, the second one at once. A line that drops may hang up
    twice, by the terminal and by the shell, which is one signal.
    """

    def __init__(self, app: App[Any]) -> None:
        self.exit_code = 0
        self._app = app
        self._attributes = _attributes()
        self._ended = threading.Event()

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The signal handler. It runs even while the event loop is blocked, unlike a handler of the loop."""
        if self.exit_code:
            if number == signal.SIGHUP:
                return
            self.end_now()
        self.exit_code = 128 + number
        try:
            threading.Thread(target=self._watch, name="console-watchdog", daemon=True).start()
        except RuntimeError:  # the process can start no thread
            self.end_now()

    def ended(self) -> None:
        """Stops the watchdog: the console has exited."""
        self._ended.set()

    def end_now(self) -> None:
        """Restores the terminal as far as possible, and ends the process."""
        log.error("the console did not exit cleanly; killing it")
        if sys.__stdin__ is not None:
            with suppress(OSError, ValueError):  # a new descriptor: non-blocking for this write only
                terminal = os.open(os.ttyname(sys.__stdin__.fileno()), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
                os.write(terminal, RESTORE)
            with suppress(termios.error, OSError, ValueError):
                if self._attributes is not None:
                    termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSANOW, self._attributes)
        os._exit(self.exit_code or HANGUP)

    def _watch(self) -> None:
        end = time.monotonic() + HUNG_SECONDS
        while time.monotonic() < end:
            with suppress(Exception):  # the loop has not started, or has stopped
                self._app.call_later(self._app.exit, None, self.exit_code)
            if self._ended.wait(0.5):
                return
        self.end_now()


@contextmanager
def signals(app: App[Any]) -> Iterator[Received]:
    """Makes SIGHUP, SIGTERM and SIGINT exit the console cleanly within the context. Undoes what Textual's driver does
    about other signals: its handlers raise an exception when there is no event loop.
    """
    received = Received(app)
    others = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)}
    before = {
        number: signal.signal(number, received.receive) for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield received
    finally:
        received.ended()
        for number, handler in (*before.items(), *others.items()):
            is_over = number == signal.SIGHUP and received.exit_code  # what is being closed is not interrupted by it
            signal.signal(number, signal.SIG_IGN if is_over else handler)


class TerminalWriter:
    """The driver's output: never blocks for long, and reports when the terminal is closed or reads again.

    It opens the terminal again, so that only this descriptor is non-blocking.
    """

    def __init__(self, file: int, *, on_close: Callable[[], None], on_resume: Callable[[], None]) -> None:
        self._on_close, self._on_resume = on_close, on_resume
        self._file = file
        with suppress(OSError):
            self._file = os.open(os.ttyname(file), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        self._unsent = b""
        self.is_closed = False

    def fileno(self) -> int:
        return self._file

    def flush(self) -> None:
        """Does nothing: writes are not buffered."""

    def write(self, text: str) -> None:
        """Writes the text. While the terminal does not read, only the rest of an earlier text is written.

        Raises nothing: Textual's thread would end, and the console wait for it for ever.
        """
        try:
            self._write(text)
        except BaseException as error:  # noqa: BLE001 - see above
            log_failure("writing to the terminal", error)

    def _write(self, text: str) -> None:
        if self.is_closed:
            return
        if self._unsent:
            self._unsent = self._send(self._unsent, 0.0)
            if not self._unsent and not self.is_closed:
                self._on_resume()
            return
        self._unsent = self._send(text.encode(errors="replace"), STALLED_SECONDS)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Restores the terminal's modes even when it had stopped reading, if it reads again within the timeout."""
        if self._unsent and not self.is_closed:
            self._send(self._unsent + RESTORE, timeout)

    def _send(self, data: bytes, timeout: float) -> bytes:
        """Writes what the terminal accepts; returns the rest."""
        while data:
            try:
                data = data[os.write(self._file, data) :]
            except BlockingIOError:
                poll = select.poll()  # unlike `select`, for any number of open files
                poll.register(self._file, select.POLLOUT)
                if not poll.poll(1000 * timeout):
                    return data
            except OSError as error:
                if error.errno != errno.EINTR:
                    self.is_closed = True
                    self._on_close()
                    return b""
        return b""


class SteadyDriver(LinuxDriver):
    """Textual's driver with a TerminalWriter, and without a traceback when the terminal is closed."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._is_suspended = False
        self.exit_event = self._input_end = End()
        file = self._file.fileno() if self._file is not None else 2
        self._writer = TerminalWriter(file, on_close=self._hang_up, on_resume=self._redraw)
        self._file = cast("TextIOWrapper", self._writer)  # Textual only writes to it

    def close(self) -> None:
        """Closes the writer; does not wait for a terminal that has hung up."""
        super().close()
        self._writer.close(0.0 if self._app.return_code == HANGUP else CLOSE_SECONDS)

    def _run_input_thread(self) -> None:
        threading.Thread(target=self._watch_for_hangup, name="console-hangup", daemon=True).start()
        while not self.exit_event.is_set():
            try:
                read_keys(self.fileno, self._input_end, self.process_message)
            except OSError:
                self._hang_up()
                return
            except BaseException as error:  # noqa: BLE001 - without this thread, no key works any more
                log_failure("reading the keyboard", error)
                self.exit_event.wait(RETRY_SECONDS)

    def _get_terminal_size(self) -> tuple[int, int]:
        columns, rows = super()._get_terminal_size()
        return min(columns, MAX_COLUMNS), min(rows, MAX_ROWS)

    def suspend_application_mode(self) -> None:
        """Gives the terminal back, as before a stop by SIGTSTP."""
        self._is_suspended = True
        super().suspend_application_mode()

    def _sigcont_application(self, *_arguments: object) -> None:
        """Takes the terminal again only after it was given back: Textual would start all threads a second time after a
        SIGSTOP, which gives nothing back.
        """
        if self._is_suspended:
            self._is_suspended = False
            super()._sigcont_application()
        self._redraw()

    def _watch_for_hangup(self) -> None:
        """Reading from a closed terminal returns nothing at once and forever. Textual does not take that for its end
        and would spin until something is drawn.
        """
        poll = select.poll()
        poll.register(self.fileno, 0)  # no events but errors and hang-up
        with suppress(OSError):
            poll.poll()
            self._hang_up()

    def _hang_up(self) -> None:
        with suppress(RuntimeError):
            self._app.call_later(self._app.exit, None, HANGUP)

    def _redraw(self) -> None:
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
