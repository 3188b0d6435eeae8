"""Leadership: the lease that one process holds, and the identity of its holder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from opsconsole.core.problems import Problem


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that can lead. `owner` is its UUID; `pid`, `pid_started` and `boot` show whether it is still alive."""

    owner: str
    host: str
    pid: int
    pid_started: str
    boot: str
    who: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The stored lease. `holder` is None while it is free; every renewal increments `beat`, and writes the `problems`
    that the holder has with its own work.
    """

    token: int
    beat: int
    holder: Identity | None
    since: datetime | None
    renewed_at: datetime | None
    problems: tuple[Problem, ...] = ()
