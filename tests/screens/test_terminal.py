"""The console on a real terminal: signals, a line that is cut, a reader that stops."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from screens import terminal

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, threading, time
from screens import terminal
from screens.app import ConsoleApp, run
from tests.screens import fakes

class Service(fakes.FakeService):
    def watch(self, callback):
        threading.Thread(target=callback, args=(fakes.BUSY,), daemon=True).start()

def blocks(self):
    time.sleep(60)

def errs(self):
    secret = "canary"
    raise ValueError(secret)

if "mistaken" in sys.argv:
    ConsoleApp.action_help = errs
if "hung" in sys.argv:
    ConsoleApp.action_help = blocks
    terminal.HUNG_SECONDS = 0.5
sys.exit(run(Service()))
"""
GOOD_ORDER_SECONDS = 1.5
"""So soon a console has ended whose line is gone: a second, and something for the machine that tests."""

LEFT = b"\x1b[?1049l"
SHOWN = b"\x1b[?25h"


class Pty:
    """A console on a pseudo terminal, and what it wrote there. It is no controlling terminal: the kernel sends it no
    SIGHUP, so that what it does about a dead line is its own doing.
    """

    def __init__(self, *arguments: str) -> None:
        self.line, inner = os.openpty()
        self._inner = inner
        self.resize(80, 24)
        self.before = termios.tcgetattr(inner)
        environment = {**os.environ, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PROGRAM, *arguments]
        self.process = subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=inner, cwd=ROOT, env=environment, start_new_session=True
        )
        self.written = b""

    def resize(self, columns: int, rows: int) -> None:
        """Another size, as a window manager would make it."""
        fcntl.ioctl(self._inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        """Types."""
        os.write(self.line, keys.encode())

    def until(self, words: bytes, seconds: float = 15.0) -> None:
        """Reads until the console has written something."""
        end = time.monotonic() + seconds
        while words not in self.written:
            assert time.monotonic() < end, self.written[-2000:]
            self.read(0.05)

    def read(self, seconds: float = 0.0) -> None:
        """Reads what is there."""
        while select.select([self.line], [], [], seconds)[0]:
            self.written += os.read(self.line, 65536)
            seconds = 0.0

    def ends(self, seconds: float = 10.0) -> int:
        """Its exit code; what it writes meanwhile is read."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, "the console has not ended"
            self.read(0.05)
        self.read()
        return self.process.returncode

    @property
    def is_restored(self) -> bool:
        """Whether the terminal is as it was."""
        left = self.written.rfind(LEFT) > self.written.rfind(b"\x1b[?1049h") and SHOWN in self.written
        return left and termios.tcgetattr(self._inner) == self.before

    def cpu_seconds(self) -> float:
        """How much it has worked so far."""
        told = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")

    def cut(self) -> None:
        """The line is gone."""
        os.close(self._inner)
        os.close(self.line)

    def close(self) -> None:
        """Ends whatever is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for file in (self.line, self._inner):
            try:
                os.close(file)
            except OSError:
                continue


def stop_reading(pty: Pty) -> None:
    """Makes a console draw until the line is full."""
    for i in range(40):
        pty.resize(180 + i % 2, 60)
        pty.process.send_signal(signal.SIGWINCH)
        time.sleep(0.02)
    time.sleep(0.3)


@pytest.fixture
def console() -> Iterator[Pty]:
    """A console that has drawn its Dashboard."""
    pty = Pty()
    pty.until(b"attempts.cache_day")
    yield pty
    pty.close()


def test_quitting_leaves_the_terminal_as_it_was(console: Pty) -> None:
    assert termios.tcgetattr(console._inner) != console.before
    console.press("q")
    assert console.ends() == 0
    assert console.is_restored
    assert b"\x1b[?1000h" not in console.written  # the mouse is the terminal's own


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_in_good_order(console: Pty, number: int, code: int) -> None:
    console.process.send_signal(number)
    assert console.ends() == code
    assert console.is_restored


def test_a_line_that_is_cut_ends_it_without_a_spin(console: Pty) -> None:
    before, began = console.cpu_seconds(), time.monotonic()
    console.cut()
    _, status, usage = os.wait4(console.process.pid, 0)
    console.process.returncode = os.waitstatus_to_exitcode(status)
    assert console.process.returncode == terminal.HANGUP
    assert time.monotonic() - began < GOOD_ORDER_SECONDS
    assert usage.ru_utime + usage.ru_stime - before < 0.5


def test_nobody_who_has_hung_up_is_waited_for(console: Pty) -> None:
    stop_reading(console)
    time.sleep(terminal.STALLED_SECONDS)
    began = time.monotonic()
    console.process.send_signal(signal.SIGHUP)
    assert console.process.wait(timeout=10) == terminal.HANGUP  # nothing is read meanwhile
    assert time.monotonic() - began < GOOD_ORDER_SECONDS


def test_a_resize_storm_ends_in_the_last_size(console: Pty) -> None:
    for size in [(1, 1), (500, 200), (79, 24), (120, 40)] * 10:
        console.resize(*size)
        console.process.send_signal(signal.SIGWINCH)
        console.read(0.01)
    console.written = b""
    console.resize(119, 41)
    console.process.send_signal(signal.SIGWINCH)
    console.until(b"Success")
    console.press("q")
    assert console.ends() == 0


def test_a_reader_that_stops_does_not_keep_it_from_ending(console: Pty) -> None:
    stop_reading(console)
    console.process.send_signal(signal.SIGTERM)
    time.sleep(terminal.STALLED_SECONDS)
    assert console.ends() == 143
    assert console.is_restored


def test_a_mistake_of_its_own_ends_it_with_a_sentence_and_shows_no_values() -> None:
    console = Pty("mistaken")
    console.until(b"attempts.cache_day")
    console.press("?")
    assert console.ends() == 1
    assert console.is_restored
    assert b"internal error in the console (ValueError)" in console.written
    assert b"canary" not in console.written
    console.close()


@pytest.fixture
def hung() -> Iterator[Pty]:
    """A console whose loop is blocked for a minute."""
    pty = Pty("hung")
    pty.until(b"attempts.cache_day")
    pty.press("?")
    time.sleep(0.3)
    yield pty
    pty.close()


def test_a_loop_that_hangs_is_ended_by_the_watchdog(hung: Pty) -> None:
    hung.process.send_signal(signal.SIGTERM)
    assert hung.ends() == 143
    assert hung.is_restored


def test_a_second_signal_ends_it_at_once(hung: Pty) -> None:
    hung.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    hung.process.send_signal(signal.SIGTERM)
    assert hung.ends(2.0) == 143
    assert hung.is_restored


def taken(line: int) -> bytes:
    """What there is to read; the kernel may still be about to pass it on."""
    read = b""
    while select.select([line], [], [], 0.1)[0]:
        read += os.read(line, 65536)
    return read


def test_what_is_drawn_while_nobody_reads_is_dropped_and_all_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "STALLED_SECONDS", 0.05)
    line, inner = os.openpty()
    told: list[str] = []
    writer = terminal.TerminalWriter(
        inner, on_close=lambda: told.append("gone"), on_resume=lambda: told.append("reads again")
    )
    writer.write("x" * 100_000)
    writer.write("dropped")
    while not told:
        taken(line)
        writer.write("dropped too")
    written = taken(line)
    writer.write("drawn")
    while not written.endswith(b"n"):
        written += taken(line)
    assert written.strip(b"x") == b"drawn"
    os.close(inner)
    os.close(line)
    writer.write("y")
    writer.write("y")
    assert told == ["reads again", "gone"]
    writer.close()


def test_importing_the_package_costs_nothing() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys, screens; print('textual' in sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "False"
