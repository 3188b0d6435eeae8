"""Executes one batch: all of it, then halves, until each failing item is alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Mapping
from typing import Any

from opsconsole.authoring import metrics
from opsconsole.authoring.batch import DETAILED_FAILURES, Batch, BatchResult, Failure, result_problem
from opsconsole.authoring.context import Context, Items, Resources, TryOutcome
from opsconsole.authoring.failures import failure
from opsconsole.authoring.job import Job
from opsconsole.authoring.scope import Scope
from opsconsole.core.bounds import MAX_NAME
from opsconsole.core.database_errors import ErrorKind, error_kind, lacks_right, reason
from opsconsole.core.errors import BadValue, LeaseExpired, OpsconsoleError, Unavailable
from opsconsole.core.text import safe


def work(batch: Batch, job: Job, tools: Resources, options: Mapping[str, Any] | None = None) -> BatchResult:
    """Executes a batch and returns the outcome of each of its keys. Never raises an exception of job code.

    After a transient error the keys are in `again`; an unreachable dependency ends the batch, and what was done before
    counts; any other error halves the keys until the items that cause it are alone. Raises LeaseExpired.
    """
    started = time.perf_counter()
    scope = Scope(batch.window, batch.as_of, batch.facts, options or {})
    result = BatchResult(batch.run, batch.seq, batch.attempt)
    failures: dict[str, Failure] = {}
    waiting = [batch.keys]
    while waiting:
        keys = waiting.pop()
        ctx = Context(scope, tools, run=batch.run, keys=keys)
        try:
            apply: Callable[[Context, Items], object] = job.apply
            _check_was_executed(apply(ctx, Items(keys, sqlite=tools.data.is_sqlite)))
            tried = _result_of(batch, ctx.outcome, keys)
        except LeaseExpired:
            raise
        except BaseException as raised:  # SystemExit and CancelledError too
            error = _describable(raised)
            gone = unreachable(error)
            if gone is not None:
                result.broken, result.reason = safe(gone.dependency, MAX_NAME), safe(gone.reason)
                result.permanent = gone.permanent is True
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
            _add(result, tried)
    _add_failures(result, failures.values())
    result.seconds = time.perf_counter() - started
    return result


def _check_was_executed(returned: object) -> None:
    """Raises BadValue for what a function returns that has not been executed: `async def`, or one with `yield`."""
    if isinstance(returned, Coroutine | Generator):
        returned.close()
    if isinstance(returned, Coroutine | Generator | AsyncGenerator):
        raise BadValue("apply must be a plain function, without `async` and `yield`")


class BadException(OpsconsoleError):
    """An exception of a job that raises when it is looked at."""

    def __init__(self) -> None:
        super().__init__("the job raised an exception that cannot be described")


def _describable(error: BaseException) -> BaseException:
    """The exception, or BadException when it cannot be classified and described."""
    try:
        unreachable(error)
        error_kind(error)
        failure("", error)
    except Exception:
        return BadException()
    return error


def unreachable(error: BaseException) -> Unavailable | None:
    """The dependency whose absence an exception means, if any."""
    if isinstance(error, Unavailable):
        return error
    if lacks_right(error):
        return Unavailable("data", reason(error), permanent=True)
    return Unavailable("data", reason(error)) if error_kind(error) is ErrorKind.UNREACHABLE else None


def _result_of(batch: Batch, outcome: TryOutcome, keys: list[str]) -> BatchResult:
    """The result of a try that returned. Raises BadValue when job code has changed the outcome by itself."""
    skipped = Counter(why for key, why in outcome.skipped.items() if key not in outcome.failures)
    result = BatchResult(batch.run, batch.seq, batch.attempt, skipped=dict(skipped), log=outcome.log)
    result.ok = len(keys) - len(outcome.failures) - skipped.total()
    result.metrics = outcome.metrics
    _add_failures(result, outcome.failures.values())
    if outcome.skipped and not set(keys).issuperset(outcome.skipped):
        raise BadValue("it skipped items that are not in the batch")
    if problem := result_problem(result, keys):
        raise BadValue(f"what it reported cannot be used: {problem}")
    return result


def _add(result: BatchResult, tried: BatchResult) -> None:
    result.ok += tried.ok
    result.skipped = dict(Counter(result.skipped) + Counter(tried.skipped))
    for metric, n in tried.metrics.items():
        metrics.add(result.metrics, metric, n)
    result.log += tried.log
    result.failed += tried.failed
    result.failures += tried.failures[: DETAILED_FAILURES - len(result.failures)]
    for kind, n in tried.kinds.items():
        result.kinds[kind] = result.kinds.get(kind, 0) + n


def _add_failures(result: BatchResult, failures: Iterable[Failure]) -> None:
    for failed in failures:
        result.failed.append(failed.item)
        result.kinds[failed.kind] = result.kinds.get(failed.kind, 0) + 1
        if len(result.failures) < DETAILED_FAILURES:
            result.failures.append(failed)
