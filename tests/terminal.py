"""A real terminal for a program: a pseudo-terminal, and an emulator of its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

from tests.faults.fast_clock import FastClock
from tests.faults.fork_server import Child, ForkServer
from tests.waiting import PATIENCE_SECONDS


class Terminal:
    """A program on a terminal of `columns` by `rows`; with a `fork_server` the command is the words after `opsconsole`.
    Nothing is drawn unless `read` or a wait reads it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        columns: int = 80,
        rows: int = 24,
        term: str = "xterm-256color",
        locale: str = "C.UTF-8",
        fork_server: ForkServer | None = None,
        clock: FastClock | None = None,
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.drawn = b""
        self._ours, theirs = pty.openpty()
        self._keep = os.dup(theirs)
        self.resize(columns, rows)
        self.modes_before = termios.tcgetattr(theirs)
        # COLUMNS and LINES in the environment of the tests would override the size of this terminal.
        environ = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES")}
        environ |= {"TERM": term, "LC_ALL": locale}
        self.process: subprocess.Popen[bytes] | Child
        if fork_server is None:
            self.process = subprocess.Popen(
                list(command),
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env=environ,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_own_the_terminal,
            )
        else:
            self.process = fork_server.start(command, environ, terminal=os.ttyname(theirs), folder=cwd, clock=clock)
        os.close(theirs)

    def resize(self, columns: int, rows: int) -> None:
        """Changes the size of the terminal and notifies the program."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self._ours, keys.encode())

    def read(self, seconds: float) -> None:
        """Draws the output of the next `seconds`."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self._ours], [], [], left)
            if ready:
                self._take()

    def wait_until(self, holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Draws output until `holds()` is true. Raises AssertionError with the screen's text after `seconds`."""
        end = time.monotonic() + seconds
        while not holds():
            left = end - time.monotonic()
            assert left > 0, f"not within {seconds:g} s; the screen shows:\n{self.text}"
            ready, _, _ = select.select([self._ours], [], [], min(left, 0.05))
            if ready:
                self._take()

    def wait_for(self, text: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Draws output until the screen shows a text."""
        self.wait_until(lambda: text in self.text, seconds)

    def ended(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Draws output until the program has ended; its exit code, negative for a signal."""
        self.wait_until(lambda: self.process.poll() is not None, seconds)
        self.read(0.1)
        return self.process.wait()

    def quit(self) -> int:
        """Presses q in the console, stops the run that the console may ask about, and returns the exit code.

        A job that is scheduled every minute may be running whenever a test quits.
        """
        self.type("q")
        self.wait_until(lambda: self.process.poll() is not None or "Quit the console?" in self.text)
        if self.process.poll() is None:
            self.type("\x1b[D")  # from Stay to its left neighbour, Stop them
            self.wait_until(lambda: self.process.poll() is not None or "[ Stop them ]" in self.text)
            self.type("\r")
        return self.ended()

    @property
    def text(self) -> str:
        """The text on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    @property
    def modes(self) -> list[object]:
        """The current modes of the terminal; equal to `modes_before` once the program has restored them."""
        return termios.tcgetattr(self._keep)

    def close(self) -> None:
        """Kills the program and its children, and closes the terminal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._keep)
        os.close(self._ours)

    def hang_up(self) -> None:
        """Closes the terminal, like a lost connection."""
        os.close(self._keep)
        os.close(self._ours)
        self._keep, self._ours = os.open(os.devnull, os.O_RDWR), os.open(os.devnull, os.O_RDWR)

    def _take(self) -> None:
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:
            time.sleep(0.01)  # the program has closed its side; its end is detected by the caller
            return
        self.drawn += chunk
        self._stream.feed(chunk)


def _own_the_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
