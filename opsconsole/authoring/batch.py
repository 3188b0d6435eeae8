"""The unit of work: a batch of item keys for a worker, and its result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from opsconsole.authoring.metrics import MAX_METRICS
from opsconsole.calendar.windows import Window
from opsconsole.core.bounds import MAX_NOTE, number_problem, text_problem

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
    params: dict[str, Any] = {}


class Lost(StrEnum):
    """Why a batch came back without a result. The values are kinds of failures as well."""

    WORKER_DIED = "worker_died"
    BATCH_TIMEOUT = "batch_timeout"
    BAD_RESULT = "bad_result"
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


def result_problem(result: BatchResult, keys: Sequence[str]) -> str | None:
    """Why a result cannot be the outcome of a batch with these keys; None when it can. A worker executes job code, so
    its results are checked before they are recorded.
    """
    named = [*result.failed, *result.again]
    if named and (len(set(named)) != len(named) or not set(keys).issuperset(named)):
        return "it names items that are not in the batch"
    counts = (result.ok, *result.skipped.values(), *result.kinds.values())
    skipped, kinds = sum(result.skipped.values()), sum(result.kinds.values())
    if min(counts) < 0 or result.ok + len(named) + skipped != len(keys) or kinds != len(result.failed):
        return "its counts do not add up to the batch"
    if len(result.failures) > DETAILED_FAILURES or len(result.metrics) > MAX_METRICS + 1:
        return "it is too large"
    if any(map(number_problem, (result.seconds, *result.metrics.values()))):
        return "it has a number that is out of range"
    texts = [*result.kinds, *result.metrics, *result.log, result.reason or "", result.broken or "", result.ended or ""]
    texts += [text for failed in result.failures for text in (failed.item, failed.kind, failed.message)]
    if any(text_problem(text, MAX_NOTE) for text in texts):
        return "it has a text that cannot be stored"
    return None
