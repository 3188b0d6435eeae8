"""Executes one batch: all of it, then halves, until each failing item is alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from opsconsole.authoring.batch import DETAILED_FAILURES, Batch, BatchResult, Failure
from opsconsole.authoring.context import Context, Items, Resources, TryOutcome
from opsconsole.authoring.failures import failure
from opsconsole.authoring.job import Job
from opsconsole.authoring.scope import Scope
from opsconsole.core.database import ErrorKind, error_kind, reason
from opsconsole.core.errors import OpsconsoleError, StaleNotSupported, Unavailable
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from sqlalchemy.sql import Select


class BadPopulation(OpsconsoleError):
    """A population that cannot be used."""

    def __init__(self, job: str, why: str) -> None:
        super().__init__(f"the population of {job} {why}")


def population(job: Job, scope: Scope) -> Select[tuple[str]] | tuple[str, ...]:
    """The items of a run. Raises BadPopulation, also for any exception of the job."""
    try:
        items = job.population(scope)
    except Exception as error:
        raise BadPopulation(job.name, f"raised {type(error).__name__}: {safe(error, 200)}") from error
    if isinstance(items, tuple):
        texts(job, list(items))
    elif len(items.selected_columns) != 1:
        raise BadPopulation(job.name, f"must select one column, not {len(items.selected_columns)}")
    return items


class BadPreparation(OpsconsoleError):
    """A preparation that failed."""

    def __init__(self, job: str, why: str) -> None:
        super().__init__(f"the preparation of {job} failed: {why}")


def prepared(job: Job, scope: Scope, tools: Resources, run: int) -> dict[str, Any]:
    """The facts that all batches of a run share. Raises BadPreparation, or Unavailable when a retry may help."""
    assert job.prepare is not None  # noqa: S101 - called only for jobs that prepare
    try:
        facts = dict(job.prepare(Context(scope, tools, run=run)) or {})
        msgspec.json.encode(facts)
    except Exception as error:
        unreachable = _unreachable(error)
        if unreachable is not None:
            raise unreachable from error
        if error_kind(error) is ErrorKind.TRANSIENT:
            raise Unavailable("data", reason(error)) from error
        raise BadPreparation(job.name, failure("", error).message) from error
    return facts


def stale(job: Job, scope: Scope) -> Select[tuple[str]]:
    """The items that are missing or out of date. Raises StaleNotSupported, or BadPopulation for other exceptions."""
    if job.stale is None:
        raise StaleNotSupported(job.name)
    try:
        return job.stale(scope)
    except Exception as error:
        raise BadPopulation(job.name, f"raised {type(error).__name__}: {safe(error, 200)}") from error


def texts(job: Job, keys: list[Any]) -> list[str]:
    """The keys, if all are strings. Raises BadPopulation."""
    for key in keys:
        if type(key) is not str:
            raise BadPopulation(job.name, f"must yield strings, not {type(key).__name__}")
    return keys


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
            unreachable = _unreachable(error)
            if unreachable is not None:
                result.broken, result.reason = unreachable.dependency, unreachable.reason
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


def _unreachable(error: Exception) -> Unavailable | None:
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
