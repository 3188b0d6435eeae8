"""The console on a real terminal: signals, a closed terminal, a terminal that stops reading."""

from __future__ import annotations

import fcntl
import os
import random
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from screens import terminal
from tests.screens.test_keyboard import SEQUENCES, strange
from tests.soak import others_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, sys, threading, time
from screens import terminal
from screens.app import ConsoleApp, run
from screens.files import Installation
from tests.screens import fakes, samples

class Service(fakes.FakeService):
    def watch(self, callback):
        threading.Thread(target=callback, args=(samples.BUSY,), daemon=True).start()

def blocks(self):
    os.write(1, b"the loop is blocked")
    time.sleep(3600)

def errs(self):
    secret = "canary"
    raise ValueError(secret)

if "error" in sys.argv:
    ConsoleApp.action_help = lambda self: self.set_timer(0.01, lambda: errs(self))
if "hangs" in sys.argv:
    ConsoleApp.action_help = blocks
if "watchdog" in sys.argv:
    terminal.HUNG_SECONDS = 0.5
if "no-timeouts" in sys.argv:
    terminal.HUNG_SECONDS = terminal.CLOSE_SECONDS = 3600.0
if "marks" in sys.argv:
    receive = terminal.Received.receive
    def marked(self, number, frame):
        receive(self, number, frame)
        os.write(1, b"a signal was received")
    terminal.Received.receive = marked
sys.exit(run(Service(), Installation()))
"""
LEFT = b"\x1b[?1049l"
SHOWN = b"\x1b[?25h"


class Pty:
    """A console on a pseudo terminal, and its output. It has no controlling terminal: the kernel sends no SIGHUP, so it
    has to notice a closed terminal itself.
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
        """Changes the size, as a window manager does."""
        fcntl.ioctl(self._inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        """Types keys."""
        os.write(self.line, keys.encode())

    def until(self, words: bytes) -> None:
        """Reads until the console has written these words."""

        def is_written() -> bool:
            self.read(0.05)
            is_there = words in self.written
            assert is_there or self.process.poll() is None, f"the console has exited: {self.written[-1000:]!r}"
            return is_there

        eventually(is_written, f"{words!r} in the output")

    def read(self, seconds: float = 0.0) -> None:
        """Reads the pending output."""
        while select.select([self.line], [], [], seconds)[0]:
            self.written += os.read(self.line, 65536)
            seconds = 0.0

    def exit_code(self) -> int:
        """Reads until the console has exited."""

        def has_exited() -> bool:
            self.read(0.05)
            return self.process.poll() is not None

        eventually(has_exited, "exit of the console")
        self.read()
        return self.process.returncode

    @property
    def is_restored(self) -> bool:
        """Whether the terminal has its former modes."""
        left = self.written.rfind(LEFT) > self.written.rfind(b"\x1b[?1049h") and SHOWN in self.written
        return left and termios.tcgetattr(self._inner) == self.before

    def cpu_seconds(self) -> float:
        """The CPU time of the console so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cut(self) -> None:
        """Closes the terminal."""
        os.close(self._inner)
        os.close(self.line)

    def close(self) -> None:
        """Kills the console and closes the terminal."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for file in (self.line, self._inner):
            try:
                os.close(file)
            except OSError:
                continue


def stop_reading(pty: Pty) -> None:
    """Makes a console draw until the terminal's buffer is full."""
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
    assert console.exit_code() == 0
    assert console.is_restored
    assert b"\x1b[?1000h" not in console.written  # the mouse is left to the terminal


@pytest.mark.parametrize(("number", "code"), others_in_soak((signal.SIGTERM, 143), (signal.SIGHUP, 129)))
def test_a_signal_exits_cleanly(console: Pty, number: int, code: int) -> None:
    console.process.send_signal(number)
    assert console.exit_code() == code
    assert console.is_restored


def test_a_closed_terminal_ends_the_console_without_spinning(console: Pty) -> None:
    before = console.cpu_seconds()
    console.cut()
    _, status, usage = os.wait4(console.process.pid, 0)
    console.process.returncode = os.waitstatus_to_exitcode(status)
    assert console.process.returncode == terminal.HANGUP
    assert usage.ru_utime + usage.ru_stime - before < 0.5


def test_a_terminal_that_hung_up_is_not_waited_for() -> None:
    console = Pty("no-timeouts")
    console.until(b"attempts.cache_day")
    stop_reading(console)
    time.sleep(terminal.STALLED_SECONDS)
    console.process.send_signal(signal.SIGHUP)
    assert console.process.wait(timeout=PATIENCE_SECONDS) == terminal.HANGUP  # without reading
    console.close()


def test_a_resize_storm_ends_in_the_last_size(console: Pty) -> None:
    for size in [(1, 1), (500, 200), (79, 24), (120, 40)] * 10:
        console.resize(*size)
        console.process.send_signal(signal.SIGWINCH)
        console.read(0.01)
    console.written = b""
    console.resize(119, 41)
    console.process.send_signal(signal.SIGWINCH)
    console.until(b"Jobs")
    console.press("q")
    assert console.exit_code() == 0


def test_a_terminal_that_stops_reading_does_not_prevent_exit(console: Pty) -> None:
    stop_reading(console)
    console.process.send_signal(signal.SIGTERM)
    time.sleep(terminal.STALLED_SECONDS)
    assert console.exit_code() == 143
    assert console.is_restored


def test_an_internal_error_exits_with_one_line_without_values() -> None:
    console = Pty("error")
    console.until(b"attempts.cache_day")
    console.press("?")
    assert console.exit_code() == 1
    assert console.is_restored
    assert b"internal error in the console (ValueError)" in console.written
    assert b"canary" not in console.written
    console.close()


@contextmanager
def hung(*arguments: str) -> Iterator[Pty]:
    """A console whose event loop is blocked."""
    pty = Pty("hangs", *arguments)
    pty.until(b"attempts.cache_day")
    pty.press("?")
    pty.until(b"the loop is blocked")
    try:
        yield pty
    finally:
        pty.close()


def test_the_watchdog_ends_a_loop_that_hangs() -> None:
    with hung("watchdog") as console:
        console.process.send_signal(signal.SIGTERM)
        assert console.exit_code() == 143
        assert console.is_restored


def test_a_second_signal_exits_without_the_watchdog() -> None:
    with hung("no-timeouts", "marks") as console:
        console.process.send_signal(signal.SIGTERM)
        console.until(b"a signal was received")
        console.process.send_signal(signal.SIGTERM)
        assert console.exit_code() == 143
        assert console.is_restored


def pending_output(line: int) -> bytes:
    """Reads until nothing arrives for a moment: the kernel may pass it on late."""
    output = b""
    while select.select([line], [], [], 0.1)[0]:
        output += os.read(line, 65536)
    return output


def test_output_is_dropped_while_the_terminal_stops_reading_and_then_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "STALLED_SECONDS", 0.05)
    line, inner = os.openpty()
    events: list[str] = []
    writer = terminal.TerminalWriter(
        inner, on_close=lambda: events.append("closed"), on_resume=lambda: events.append("resumed")
    )
    writer.write("x" * 100_000)
    writer.write("dropped")
    while not events:
        pending_output(line)
        writer.write("dropped too")
    written = pending_output(line)
    writer.write("drawn")
    while not written.endswith(b"n"):
        written += pending_output(line)
    assert written.strip(b"x") == b"drawn"
    os.close(inner)
    os.close(line)
    writer.write("y")
    writer.write("y")
    assert events == ["resumed", "closed"]
    writer.close()


def test_importing_the_package_costs_nothing() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import sys, screens; print('textual' in sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "False"


# --- what a terminal may send -------------------------------------------------------------------------------------


def quits(console: Pty) -> bool:
    """Presses q until the console has exited: what is not finished may swallow some keys at first."""

    def has_exited() -> bool:
        if console.process.poll() is None:
            console.press("q")
        console.read(0.2)
        return console.process.poll() is not None

    eventually(has_exited, "q quits the console")
    console.read()
    return console.process.returncode == 0 and console.is_restored


@pytest.mark.parametrize(
    "sent", others_in_soak("all sequences", "random bytes", "an unfinished paste", "half a character")
)
def test_q_quits_after_anything_that_a_terminal_may_send(sent: str, console: Pty) -> None:
    rng = random.Random(12)
    data = {
        "all sequences": list(SEQUENCES.values()),
        "random bytes": [rng.randbytes(500).replace(b"q", b"x") for _ in range(20)],
        "an unfinished paste": [b"\x1b[200~", b"pasted \x1bq \xff" * 2000],
        "half a character": [b"\xe2", b"\x82"],
    }[sent]
    for piece in data:
        os.write(console.line, piece)
        console.read(0.05)

    assert quits(console)


def test_a_console_that_was_stopped_and_continued_reads_keys_with_one_thread(console: Pty) -> None:
    tasks = Path(f"/proc/{console.process.pid}/task")
    threads = len(list(tasks.iterdir()))

    for _ in range(3):
        os.kill(console.process.pid, signal.SIGSTOP)
        time.sleep(0.1)
        os.kill(console.process.pid, signal.SIGCONT)
        console.read(0.3)

    assert len(list(tasks.iterdir())) <= threads
    assert quits(console)


def redrawn(console: Pty) -> None:
    """Waits until what stands at both ends of the screen is written again, although it has not changed."""
    start = len(console.written)

    def is_drawn() -> bool:
        console.read(0.1)
        return b"staging" in console.written[start:] and b"find" in console.written[start:]

    eventually(is_drawn, "it is drawn")


def test_everything_is_drawn_again_on_request_and_after_a_stop(console: Pty) -> None:
    console.read(0.3)
    os.write(console._inner, b"\x1b[HBroadcast message from root: going down")
    console.press("\x0c")
    redrawn(console)
    os.kill(console.process.pid, signal.SIGTSTP)
    eventually(lambda: "T (stopped)" in Path(f"/proc/{console.process.pid}/status").read_text(), "it is stopped")
    console.read(0.1)
    os.kill(console.process.pid, signal.SIGCONT)
    redrawn(console)
    os.kill(console.process.pid, signal.SIGSTOP)
    os.kill(console.process.pid, signal.SIGCONT)

    redrawn(console)
    assert quits(console)


@pytest.mark.soak
def test_q_quits_after_hundreds_of_random_strings(console: Pty) -> None:
    rng = random.Random(8)
    for _ in range(300):
        os.write(console.line, strange(rng).replace(b"q", b"x").replace(b"\x03", b"x").replace(b"\x11", b"x"))
        console.read(0.02)

    assert quits(console)


def test_a_size_that_nobody_can_draw_is_ignored(console: Pty) -> None:
    for columns, rows in ((65535, 65535), (0, 65535), (65535, 0), (80, 24)):
        console.resize(columns, rows)
        os.kill(console.process.pid, signal.SIGWINCH)
        console.read(0.3)

    assert quits(console)
