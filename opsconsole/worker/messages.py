"""What the leader and its worker processes send each other: one JSON value on each line."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from opsconsole.authoring.batch import Batch, BatchResult, Lost
from opsconsole.authoring.run import Selection
from opsconsole.calendar.windows import Window
from opsconsole.core.settings import CompressOver, JobOverride

MAX_LINE_BYTES = 16 << 20
"""A worker that sends a longer line is ended: the leader's memory does not grow with what job code returns."""


class Wiring(msgspec.Struct):
    """The first line a worker reads: its connections, packs and limits. `answers` is the file descriptor it writes to,
    `lease` that of its leader's LeaseDeadline, and `memory_mb` the memory it may allocate, 0 for any amount.
    """

    parent: int
    answers: int
    path: list[str]
    data_url: str
    redis_url: str
    packs: list[str]
    overrides: dict[str, JobOverride]
    options: dict[str, dict[str, Any]]
    compress_over: CompressOver = None
    memory_mb: int = 0
    lease: int | None = None


class Hello(msgspec.Struct, omit_defaults=True):
    """The first line a worker writes; `problem` is set when it cannot work."""

    problem: str | None = None


class Planning(msgspec.Struct, frozen=True, tag=True):
    """A request for what a run needs before its batches: the prepared facts with `prepare`, and the keys of
    `selection`, if any. The time limit starts again with each answer.
    """

    run: int
    job: str
    window: Window
    as_of: datetime
    prepare: bool
    selection: Selection | None
    timeout_seconds: float
    params: dict[str, Any] = {}


class PlanningResult(msgspec.Struct, tag=True, omit_defaults=True):
    """An answer to a Planning: facts, or a page of keys. The last one is `done`, or has the reason for its end.

    `broken` names an unreachable dependency, and `lost` means that the worker ended; `reason` is the message for
    either, and without them that of a job that cannot be planned. `ended` names that worker's process and how it ended.
    """

    run: int
    facts: dict[str, Any] | None = None
    keys: list[str] = []
    done: bool = False
    broken: str | None = None
    reason: str | None = None
    lost: Lost | None = None
    ended: str | None = None
    log: list[str] = []

    @property
    def is_last(self) -> bool:
        """Whether no other answer follows."""
        return self.done or self.reason is not None


class Counting(msgspec.Struct, frozen=True, tag=True):
    """A request for the number of a window's items, or of its stale ones. It counts no further than `at_most`."""

    job: str
    window: Window
    as_of: datetime
    stale: bool
    at_most: int | None = None
    params: dict[str, Any] = {}


class Counted(msgspec.Struct, tag=True, omit_defaults=True):
    """The answer to a Counting. `reason` is set when the items could not be counted, `broken` names the dependency that
    is unreachable.
    """

    items: int = 0
    broken: str | None = None
    reason: str | None = None


class Trouble(StrEnum):
    """What was wrong with a process that executed work: its pipe was closed, or it wrote what is no report."""

    CLOSED = "closed"
    FOREIGN = "foreign"


class Ended(msgspec.Struct, frozen=True, tag=True):
    """What a worker sends instead of an answer when the process that executed the work is gone; the worker continues.
    `code` is its exit code, negative for a signal, and None when it had to be killed.
    """

    pid: int
    trouble: Trouble
    code: int | None


Work = Batch | Planning
Result = BatchResult | PlanningResult
