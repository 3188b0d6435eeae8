"""The unit of work: a batch of item keys for a worker, and its result."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from opsconsole.calendar.windows import Window

DETAILED_FAILURES = 100
"""How many failures of a batch, and of a run, are kept in full; the rest are counted by kind."""


class BatchState(StrEnum):
    """The state of a batch; `replaced` by its halves, or by a batch of the keys to retry."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REPLACED = "replaced"
    NOT_REACHED = "not_reached"


class Batch(msgspec.Struct, frozen=True, tag=True):
    """Everything that a worker needs to process a batch; sent as JSON."""

    run: int
    seq: int
    attempt: int
    job: str
    window: Window
    as_of: datetime
    keys: list[str]
    facts: dict[str, Any]
    timeout_seconds: float


class Lost(StrEnum):
    """Why a batch came back without a result. The values are kinds of failures as well."""

    WORKER_DIED = "worker_died"
    BATCH_TIMEOUT = "batch_timeout"
    STOPPED = "stopped"


class Failure(msgspec.Struct, frozen=True):
    """One item that failed. `kind` is a token that groups failures of one cause; `message` is for people."""

    item: str
    kind: str
    message: str


class BatchResult(msgspec.Struct, tag=True):
    """The outcome of a batch; sent as JSON. `ok + failed + skipped + again` are its keys.

    `broken` names an unreachable dependency, one that stays so if `permanent`, and `lost` means that the worker ended
    without a result; `reason` is the message for either. `ended` names that worker's process and how it ended.
    """

    run: int
    seq: int
    attempt: int
    ok: int = 0
    failed: list[str] = []
    skipped: dict[str, int] = {}
    again: list[str] = []
    broken: str | None = None
    permanent: bool = False
    reason: str | None = None
    lost: Lost | None = None
    ended: str | None = None
    failures: list[Failure] = []
    kinds: dict[str, int] = {}
    metrics: dict[str, int | float] = {}
    log: list[str] = []
    seconds: float = 0.0
