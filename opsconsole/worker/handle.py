"""The leader's side of a worker process: sends it work, reads its answers, and ends it with everything it started."""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from opsconsole.authoring.batch import Batch, BatchResult, Lost
from opsconsole.core.settings import environment
from opsconsole.worker.descendants import MARK, end_marked, mark
from opsconsole.worker.lease_deadline import LeaseDeadline
from opsconsole.worker.messages import (
    MAX_LINE_BYTES,
    Counted,
    Counting,
    Ended,
    Hello,
    Planning,
    PlanningResult,
    Result,
    Trouble,
    Work,
)

log = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 16
"""How much is read at a time from each worker: the others wait no longer than this takes."""
GRACE_SECONDS = 5.0
"""Between SIGTERM and SIGKILL."""
START_SECONDS = 60.0
"""A worker that is not ready after this time is replaced."""
TAKE_SECONDS = 15.0
"""A worker that has not read its work after this time is replaced."""
CLOSE_SECONDS = 1.0
"""A worker that lives longer than its pipe is replaced; one that ends normally closes it first."""

CLOSED = "its worker closed the pipe for its result"
FOREIGN = "its worker sent something that is not its result"

_numbers = itertools.count(1)
_hello = msgspec.json.Decoder(Hello)
_answers: msgspec.json.Decoder[Result | Counted | Ended] = msgspec.json.Decoder(Result | Counted | Ended)


class NotAnAnswer(Exception):
    """What a worker sent is not an answer to its work."""


class Worker:
    """A worker process, the leader of a session of its own. `work` is what it executes. It ends itself when its `lease`
    is over.

    Nothing here waits for the process, except `close`. Raises OSError when it cannot be started.
    """

    def __init__(self, wiring: Mapping[str, Any], errors: Path, *, lease: LeaseDeadline | None = None) -> None:
        inherited = () if lease is None else (lease.file,)
        self._mark = mark(next(_numbers))
        self.answers, writable = os.pipe()
        try:
            with _appending(errors) as output:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "opsconsole.worker.process"],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    bufsize=0,
                    pass_fds=(writable, *inherited),
                    start_new_session=True,
                    env={**environment(), MARK: self._mark},
                )
        except BaseException:
            os.close(self.answers)
            raise
        finally:
            os.close(writable)
        assert self.process.stdin is not None  # noqa: S101 - it was opened with a pipe
        self.input = self.process.stdin.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.answers, False)
        self.ready = False
        self.problem: str | None = None
        self.work: Work | Counting | None = None
        self.started = self.work_started = self._progressed = time.monotonic()
        self.terminated_at: float | None = None
        self.end_reason: tuple[Lost, str] | None = None
        self._closed_at: float | None = None
        self._unsent = b""
        self._unread = bytearray()
        own = {"parent": os.getpid(), "path": sys.path, "answers": writable}
        self._write({**wiring, **own, "lease": None if lease is None else lease.file})

    @property
    def idle(self) -> bool:
        """Whether it can take work."""
        return self.ready and self.work is None and self.terminated_at is None

    @property
    def has_unsent(self) -> bool:
        """Whether work waits until the process reads on: call `flush` when `input` is writable."""
        return bool(self._unsent)

    def take(self, work: Work | Counting) -> None:
        """Sends work; a worker that is not ready reads it when it is."""
        self.work = work
        self.work_started = self._progressed = time.monotonic()
        self._write(work)

    def flush(self) -> None:
        """Sends what the pipe has room for."""
        try:
            self._unsent = self._unsent[os.write(self.input, self._unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it has ended, or closed the pipe: its end shows which
            self._unsent = b""

    def read(self) -> list[Result | Counted] | None:
        """The answers received; None at the end of the pipe. Raises NotAnAnswer."""
        try:
            chunk = os.read(self.answers, CHUNK_BYTES)
        except BlockingIOError:
            return []
        if not chunk:
            self._closed_at = time.monotonic()
            return None
        self._unread += chunk
        if b"\n" not in chunk:
            if len(self._unread) > MAX_LINE_BYTES:
                raise NotAnAnswer(f"its worker sent more than {MAX_LINE_BYTES >> 20} MB in one answer")
            return []
        *lines, rest = bytes(self._unread).split(b"\n")
        self._unread = bytearray(rest)
        return [answer for line in lines if (answer := self._answer(line)) is not None]

    def is_late(self, now: float) -> tuple[Lost, str] | None:
        """Why it is to be replaced, if it is: it does not start, does not read its work, cannot answer any more, or has
        taken too long.
        """
        if self._closed_at is not None and now - self._closed_at > CLOSE_SECONDS:
            return Lost.WORKER_DIED, CLOSED
        if not self.ready:
            slow = now - self.started > START_SECONDS
            return (Lost.WORKER_DIED, f"a worker was not ready after {START_SECONDS:g} s") if slow else None
        if self.work is None or isinstance(self.work, Counting):
            return None
        if now - self._progressed > self.work.timeout_seconds:
            return Lost.BATCH_TIMEOUT, f"it took longer than {self.work.timeout_seconds:g} s"
        if now - self.work_started > TAKE_SECONDS and (self._unsent or self._has_not_read()):
            return Lost.WORKER_DIED, f"its worker did not read it within {TAKE_SECONDS:g} s"
        return None

    def end(self, why: Lost, message: str) -> None:
        """Terminates the process, and kills it when it does not end within the grace period."""
        now = time.monotonic()
        if self.terminated_at is None:
            self.terminated_at, self.end_reason = now, (why, message)
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # a stopped process would not notice
        elif now - self.terminated_at > GRACE_SECONDS:
            self._signal(signal.SIGKILL)

    @property
    def how_it_ended(self) -> str:
        """Its exit status in words, once it has ended."""
        return _ending(self.process.returncode)

    def lost(self) -> list[Result]:
        """The answer to its work when it has ended without one."""
        if self.work is None or isinstance(self.work, Counting):
            return []
        why, message = self.end_reason or (Lost.WORKER_DIED, f"its worker {self.how_it_ended}")
        return [lost(self.work, why, message, f"worker process {self.process.pid} {self.how_it_ended}")]

    def kill(self) -> None:
        """Kills the process and its group now."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Reaps the process, ends what it has left, and closes the pipes."""
        self.kill()
        try:
            self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("worker process %s does not end, even when it is killed", self.process.pid)
        end_marked(self._mark)
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()
        os.close(self.answers)

    def _answer(self, line: bytes) -> Result | Counted | None:
        """The answer in a line; None for the first line, which reports whether it is ready."""
        try:
            if not self.ready and self.problem is None:
                self.problem = _hello.decode(line).problem
                self.ready = self.problem is None
                self.work_started = self._progressed = time.monotonic()
                return None
            answer = _answers.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotAnAnswer(FOREIGN) from error
        work, self._progressed = self.work, time.monotonic()
        if isinstance(answer, Ended):
            self.work, message, ended = None, *_words(answer)
            if isinstance(work, Batch | Planning):
                return lost(work, Lost.WORKER_DIED, message, ended)
            raise NotAnAnswer(message)
        match work, answer:
            case Batch(run, seq, attempt, _, _, _, keys), BatchResult():
                is_for = (answer.run, answer.seq, answer.attempt) == (run, seq, attempt)
                if not is_for or answer.lost or not _accounts_for(answer, keys):
                    raise NotAnAnswer(FOREIGN)
                self.work = None
            case Counting(), Counted():
                self.work = None
            case None | Batch() | Counting(), _:
                raise NotAnAnswer(FOREIGN)
            case planning, PlanningResult(run=run, lost=None) if planning.run == run:
                self.work = None if answer.is_last else work
            case _:
                raise NotAnAnswer(FOREIGN)
        return answer

    def _has_not_read(self) -> bool:
        unread = struct.unpack("i", fcntl.ioctl(self.input, termios.FIONREAD, b"\0" * 4))[0]
        return bool(unread)

    def _write(self, message: object) -> None:
        self._unsent += msgspec.json.encode(message) + b"\n"
        self.flush()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(OSError):  # it has ended
            os.killpg(self.process.pid, number)


def lost(work: Work, why: Lost, reason: str, ended: str) -> Result:
    """The answer to work whose worker ended: `ended` names it and how it ended."""
    if isinstance(work, Batch):
        return BatchResult(work.run, work.seq, work.attempt, again=work.keys, lost=why, reason=reason, ended=ended)
    return PlanningResult(work.run, lost=why, reason=reason, ended=ended)


def _accounts_for(result: BatchResult, keys: list[str]) -> bool:
    """Whether a result has an outcome for each key of its batch."""
    skipped = result.skipped.values()
    counts = (result.ok, *skipped)
    named = [*result.failed, *result.again]
    return min(counts) >= 0 and sum(counts) + len(named) == len(keys) and (not named or set(named) <= set(keys))


def _ending(code: int) -> str:
    """An exit code in words; a negative one is a signal."""
    return f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"


def _words(ended: Ended) -> tuple[str, str]:
    """Why work was lost with a worker's child, and how that ended."""
    if ended.code is None:
        why = CLOSED if ended.trouble is Trouble.CLOSED else FOREIGN
        return why, f"worker process {ended.pid} {_ending(-signal.SIGKILL)}"
    return f"its worker {_ending(ended.code)}", f"worker process {ended.pid} {_ending(ended.code)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # such as a real-time signal
        return f"signal {number}"


def _appending(file: Path) -> IO[bytes]:
    """The file, or the null device: a log that cannot be written must not stop the workers."""
    try:
        return file.open("ab")
    except OSError as error:
        log.warning("the output of workers is not logged: %s: %s", file, error.strerror)
        return Path(os.devnull).open("ab")
