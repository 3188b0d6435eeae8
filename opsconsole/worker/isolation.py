"""Executes the work of each pack in a child process of the worker: what job code does to its process ends with it, and
other packs do not see it.
"""

from __future__ import annotations

import os
import select
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import msgspec

from opsconsole.worker.descendants import adopt_orphans, die_with, end_children
from opsconsole.worker.messages import Ended, Trouble

IDLE_SECONDS = 0.5
"""A child without work ends after this time, and with it what its jobs left open: transactions, locks, connections."""
WATCH_SECONDS = 0.2
"""The longest time between two checks of the lease: a waiting process does not notice that the machine slept."""
END_SECONDS = 0.5
"""How long a child may take to end after its pipe was closed."""
CHUNK_BYTES = 1 << 16
DONE, SPENT = b".", b"!"
"""What a child reports when it has executed a line; after the second it must not execute another."""


class _Work(msgspec.Struct):
    """The part of a line that matters here."""

    job: str

    @property
    def pack(self) -> str:
        return self.job.partition(".")[0]


_work = msgspec.json.Decoder(_Work)


class Isolation:
    """Has children of this process execute the lines of the pipe `source`, one child at a time, for one pack.

    `execute` is called in a child, and returns whether that process is unchanged. `report_end` reports a child that
    ended during its work. `close_answers` closes what no process that a job starts may write to. `check_lease` ends
    this process, its child and its group once the leader's lease has expired. This process executes no job code, has
    no threads, and opens no connection.
    """

    def __init__(
        self,
        source: int,
        execute: Callable[[bytes], bool],
        *,
        report_end: Callable[[Ended], None],
        close_answers: Callable[[], None],
        check_lease: Callable[[], None],
    ) -> None:
        self._check_lease = check_lease
        self._source, self._execute = source, execute
        self._report_end, self._close_answers = report_end, close_answers
        self._waiting: deque[bytes] = deque()
        self._unread = bytearray()
        self._child: _Child | None = None

    def serve(self) -> None:
        """Serves until the pipe is closed."""
        is_open = True
        while is_open:
            self._send()
            child = self._child
            reports = [child.reports] if child is not None else []
            ready, _, _ = select.select([self._source, *reports], [], [], None if child is None else WATCH_SECONDS)
            if child is not None:
                self._check_lease()
                self._attend(child, ready)
            if self._source in ready:
                is_open = self._read()

    def _attend(self, child: _Child, ready: list[int]) -> None:
        """Reads the child's report. Ends a child that sent none, that is idle, or that its work has changed."""
        trouble = child.read_report() if child.reports in ready else None
        if trouble is not None and not child.is_idle:
            ended = Ended(child.pid, trouble, child.wait())
            self._end_child()
            self._report_end(ended)
        elif trouble is not None or child.is_spent or child.idle_seconds > IDLE_SECONDS:
            self._end_child()

    def _send(self) -> None:
        """Sends the next line to the child of its pack."""
        if not self._waiting or (self._child is not None and not self._child.is_idle):
            return
        line = self._waiting.popleft()
        pack = _work.decode(line).pack
        if self._child is not None and self._child.pack != pack:
            self._end_child()
        if self._child is None:
            self._child = _Child(pack, self._source, self._execute, self._close_answers)
        self._child.send(line)

    def _read(self) -> bool:
        chunk = os.read(self._source, CHUNK_BYTES)
        self._unread += chunk
        if b"\n" in chunk:
            *lines, rest = bytes(self._unread).split(b"\n")
            self._waiting += lines
            self._unread = bytearray(rest)
        return bool(chunk)

    def _end_child(self) -> None:
        """Ends the child, and the processes that it has left."""
        end_children()
        if self._child is not None:
            self._child.close()
            self._child = None


class _Child:
    """A fork of this process. It reports each line that it has executed on the pipe `reports`; one that `is_spent` must
    not execute another.
    """

    def __init__(
        self, pack: str, source: int, execute: Callable[[bytes], bool], close_answers: Callable[[], None]
    ) -> None:
        self.pack = pack
        self.is_idle, self.is_spent = True, False
        self._idle_since = time.monotonic()
        parent = os.getpid()
        lines, self._lines = os.pipe()
        self.reports, reports = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for descriptor in (source, self._lines, self.reports):
                os.close(descriptor)
            _execute_lines(parent, lines, reports, execute, close_answers)
        os.close(lines)
        os.close(reports)

    @property
    def idle_seconds(self) -> float:
        """How long it has had nothing to execute."""
        return time.monotonic() - self._idle_since if self.is_idle else 0.0

    def send(self, line: bytes) -> None:
        """Sends a line to execute; `is_idle` is False until it is reported."""
        self.is_idle = False
        unsent = memoryview(line + b"\n")
        with suppress(BrokenPipeError):  # its end is reported as well
            while unsent:
                unsent = unsent[os.write(self._lines, unsent) :]

    def read_report(self) -> Trouble | None:
        """Reads a report; returns None for a valid one, otherwise what is wrong with the child."""
        received = os.read(self.reports, CHUNK_BYTES)
        if received in (DONE, SPENT) and not self.is_idle:
            self.is_idle, self.is_spent = True, received == SPENT
            self._idle_since = time.monotonic()
            return None
        return Trouble.FOREIGN if received else Trouble.CLOSED

    def wait(self) -> int | None:
        """Its exit code, negative for a signal; None when it does not end and has to be killed."""
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.001)
        return None

    def close(self) -> None:
        """Closes the pipes."""
        os.close(self._lines)
        os.close(self.reports)


def _execute_lines(
    parent: int, lines: int, reports: int, execute: Callable[[bytes], bool], close_answers: Callable[[], None]
) -> NoReturn:
    """Executes lines until the pipe is closed: the whole life of a child."""
    try:
        die_with(parent)
        adopt_orphans()
        _keep_private(lines, reports, close_answers)
        for line in os.fdopen(lines, "rb"):
            is_unchanged = execute(line)
            with suppress(Exception):  # the job may have closed or replaced them
                sys.stdout.flush()
                sys.stderr.flush()
            os.write(reports, DONE if is_unchanged else SPENT)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _keep_private(lines: int, reports: int, close_answers: Callable[[], None]) -> None:
    """Keeps the pipes from the processes that jobs start: a copy of this one must neither read work nor send a result,
    and a pipe that is open elsewhere does not end with this process.
    """

    def close() -> None:
        close_answers()
        os.close(lines)
        os.close(reports)

    os.register_at_fork(after_in_child=close)
