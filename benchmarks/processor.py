"""Processor time of this process and of all that it started, servers included."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds() -> float:
    """User and system time, in seconds, of this process and its descendants, ended ones included."""
    return sum(processor_seconds_by(lambda _command: "all").values())


def processor_seconds_by(group_of: Callable[[str], str]) -> dict[str, float]:
    """The same by the group of each process, which `group_of` finds by its command line. What a process that has ended
    used belongs to its parent.
    """
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                # The name of the program, in brackets, may have blanks.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                pid = int(folder.name)
                parents.setdefault(int(fields[1]), []).append(pid)
                used[pid] = sum(map(int, fields[11:15])) / _TICKS
    total: dict[str, float] = {}
    waiting = [os.getpid()]
    while waiting:
        pid = waiting.pop()
        group = group_of(_command(pid))
        total[group] = total.get(group, 0.0) + used.get(pid, 0.0)
        waiting += parents.get(pid, [])
    return total


def _command(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
