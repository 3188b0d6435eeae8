"""Finds and ends the processes that job code starts, also those that have detached themselves. Only on Linux: elsewhere
a worker is ended with its process group.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

MARK = "OPSCONSOLE_WORKER"
"""The environment variable that a worker's processes inherit: the identity of its leader, and a number."""
PROC = Path("/proc")
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
END_SECONDS = 5.0
ROUNDS = 3
"""A process can start another one while they are being ended."""


def mark(worker: int) -> str:
    """The mark of this process's n-th worker and of the processes that it starts."""
    return f"{_identity(os.getpid())}.{worker}"


def die_with(parent: int) -> None:
    """Ends this process when `parent` ends, even during a batch. Only Linux can; elsewhere it ends after the batch."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def adopt_orphans() -> None:
    """Makes this process the parent of each descendant whose parent ends, so that `end_children` finds it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_children() -> int:
    """Kills the children of this process and theirs, and returns how many were running."""
    ended: set[int] = set()
    limit = time.monotonic() + END_SECONDS
    while sys.platform == "linux" and time.monotonic() < limit:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            children = _children_of(os.getpid())
            _kill(children)
            ended.update(children)
            time.sleep(0.001)
    return len(ended)


def end_marked(mark: str) -> None:
    """Kills every process with this mark."""
    _end(lambda found: found == mark)


def end_abandoned() -> None:
    """Kills the processes that are left of leaders that were killed."""
    _end(_is_abandoned)


def _is_abandoned(mark: str) -> bool:
    leader = mark.rpartition(".")[0]
    space, _, pid = leader.rpartition(".")[0].partition(".")
    # In another namespace, such as that of a container, process ids have another meaning.
    return space == _identity(os.getpid()).partition(".")[0] and _identity(pid) != leader


def _end(selects: Callable[[str], bool]) -> None:
    for _ in range(ROUNDS):
        found = [pid for pid, mark in _marked() if selects(mark)]
        if not found:
            return
        _kill(found)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(OSError):  # it has ended
            os.kill(pid, signal.SIGKILL)


def _marked() -> Iterator[tuple[int, str]]:
    prefix = f"{MARK}=".encode()
    for folder in PROC.glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # of another user, or ended
            continue
        for variable in environment:
            if variable.startswith(prefix):
                yield int(folder.name), variable.removeprefix(prefix).decode(errors="replace")


def _children_of(parent: int) -> list[int]:
    status = {int(folder.name): _fields(folder.name) for folder in PROC.glob("[0-9]*")}
    return [pid for pid, fields in status.items() if fields[1:2] == [str(parent)] and fields[0] not in "ZX"]


def _identity(pid: int | str) -> str:
    """The namespace of process ids, a process's number, and when it started: numbers are used again."""
    try:
        space = (PROC / "self" / "ns" / "pid").stat().st_ino
    except OSError:
        space = 0
    return ".".join([str(space), str(pid), *(_fields(pid)[19:20] or ["0"])])


def _fields(pid: int | str) -> list[str]:
    """The fields of a process's status from the third one on: its state, its parent, ...; none if it has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
