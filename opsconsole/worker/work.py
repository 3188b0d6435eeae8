"""Executes one batch: all of it, then halves, until each failing item is alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from opsconsole.authoring.batch import DETAILED_FAILURES, Batch, BatchResult, Failure
from opsconsole.authoring.context import Context, Items, Resources, TryOutcome
from opsconsole.authoring.failures import failure
from opsconsole.authoring.job import Job
from opsconsole.authoring.scope import Scope
from opsconsole.core.database import ErrorKind, error_kind, reason
from opsconsole.core.errors import Unavailable


def work(batch: Batch, job: Job, tools: Resources, options: Mapping[str, Any] | None = None) -> BatchResult:
    """Executes a batch and returns the outcome of each of its keys. Never raises an exception of job code.

    After a transient error the keys are in `again`; an unreachable dependency ends the batch, and what was done before
    counts; any other error halves the keys until the items that cause it are alone.
    """
    started = time.perf_counter()
    scope = Scope(batch.window, batch.as_of, batch.facts, options or {})
    result = BatchResult(batch.run, batch.seq, batch.attempt)
    failures: dict[str, Failure] = {}
    waiting = [batch.keys]
    while waiting:
        keys = waiting.pop()
        ctx = Context(scope, tools, run=batch.run)
        try:
            job.apply(ctx, Items(keys, sqlite=tools.data.is_sqlite))
        except Exception as error:
            gone = unreachable(error)
            if gone is not None:
                result.broken, result.reason = gone.dependency, gone.reason
                result.permanent = gone.permanent
                result.again += [key for part in (keys, *reversed(waiting)) for key in part]
                break
            if error_kind(error) is ErrorKind.TRANSIENT:
                result.again += keys
                result.reason = reason(error)
            elif len(keys) == 1:
                failures[keys[0]] = failure(keys[0], error)
            else:
                middle = len(keys) // 2
                waiting += [keys[middle:], keys[:middle]]
        else:
            _add_outcome(result, ctx.outcome, keys)
    _add_failures(result, failures)
    result.seconds = time.perf_counter() - started
    return result


def unreachable(error: Exception) -> Unavailable | None:
    """The dependency whose absence an exception means, if any."""
    if isinstance(error, Unavailable):
        return error
    return Unavailable("data", reason(error)) if error_kind(error) is ErrorKind.UNREACHABLE else None


def _add_outcome(result: BatchResult, outcome: TryOutcome, keys: list[str]) -> None:
    in_try = set(keys)
    failures = {key: failed for key, failed in outcome.failures.items() if key in in_try}
    skipped = {key: why for key, why in outcome.skipped.items() if key in in_try and key not in failures}
    result.ok += len(keys) - len(failures) - len(skipped)
    result.skipped = dict(Counter(result.skipped) + Counter(skipped.values()))
    for metric, n in outcome.metrics.items():
        result.metrics[metric] = result.metrics.get(metric, 0) + n
    result.log += outcome.log
    _add_failures(result, failures)


def _add_failures(result: BatchResult, failures: Mapping[str, Failure]) -> None:
    for failed in failures.values():
        result.failed.append(failed.item)
        result.kinds[failed.kind] = result.kinds.get(failed.kind, 0) + 1
        if len(result.failures) < DETAILED_FAILURES:
            result.failures.append(failed)
