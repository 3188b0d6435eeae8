"""A program on a pseudo-terminal whose output is time-stamped as it arrives, and interpreted later."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

CLOSE_SECONDS = 8.0


class Tty:
    """Runs a command on a terminal. A thread reads it unless it is `stalled`; `text` interprets what it has read."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path, size: tuple[int, int]) -> None:
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._chunks: list[tuple[float, bytes]] = []
        self._fed = 0
        self.stalled = self._ended = False
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            list(command),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**env, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_own_the_terminal,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, keys: str) -> float:
        """Presses keys; returns when."""
        at = time.perf_counter()
        os.write(self._ours, keys.encode())
        return at

    def until(self, holds: Callable[[str], bool], seconds: float = 60.0) -> float:
        """When the chunk arrived with which the text of the screen fulfilled a condition. Raises TimeoutError."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            while self._fed < len(self._chunks):
                at, chunk = self._chunks[self._fed]
                self._fed += 1
                self._stream.feed(chunk)
                if holds(self.text):
                    return at
            time.sleep(0.0005)
        raise TimeoutError(f"not within {seconds:g} s; the screen shows:\n{self.text}")

    def settle(self, seconds: float) -> int:
        """Interprets the output of the next seconds; returns its bytes."""
        before = self.received
        time.sleep(seconds)
        for _, chunk in self._chunks[self._fed :]:
            self._stream.feed(chunk)
        self._fed = len(self._chunks)
        return self.received - before

    @property
    def received(self) -> int:
        """Bytes so far."""
        return sum(len(chunk) for _, chunk in self._chunks)

    @property
    def text(self) -> str:
        """The text on the screen, as far as the output was interpreted."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def cpu_seconds(self) -> float:
        """Processor time of all threads of the program so far, without its child processes."""
        return cpu_seconds(self.process.pid)

    def memory(self) -> float:
        """Resident megabytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def close(self) -> None:
        """Quits with q, or kills the program and its children."""
        try:
            self.type("q")
            self.process.wait(CLOSE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._ended = True
        self._reader.join()
        os.close(self._ours)

    def _read(self) -> None:
        while not self._ended:
            if self.stalled or not select.select([self._ours], [], [], 0.05)[0]:
                time.sleep(0.05 if self.stalled else 0)
                continue
            try:
                chunk = os.read(self._ours, 65536)
            except OSError:
                return
            self._chunks.append((time.perf_counter(), chunk))


def cpu_seconds(process: int) -> float:
    """Processor time of all threads of a process that have not ended, without its child processes."""
    total = 0
    for task in Path(f"/proc/{process}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:  # the thread has ended
            continue
    return total / 1e9


def _own_the_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
