"""One batch to one result: tries the whole, then halves, until every bad item stands alone."""

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
from opsconsole.core.database import Trouble, reason, trouble
from opsconsole.core.errors import OpsconsoleError, StaleNotSupported, Unavailable
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from sqlalchemy.sql import Select


class BadPopulation(OpsconsoleError):
    """A population that does not say which items there are."""

    def __init__(self, job: str, why: str) -> None:
        super().__init__(f"the population of {job} {why}")


def population(job: Job, scope: Scope) -> Select[tuple[str]] | tuple[str, ...]:
    """Which items a run has. Raises BadPopulation, also for whatever job code raises."""
    try:
        found = job.population(scope)
    except Exception as error:
        raise BadPopulation(job.name, f"raised {type(error).__name__}: {safe(error, 200)}") from error
    if isinstance(found, tuple):
        texts(job, list(found))
    elif len(found.selected_columns) != 1:
        raise BadPopulation(job.name, f"must select one column, not {len(found.selected_columns)}")
    return found


class BadPreparation(OpsconsoleError):
    """What all batches of a run share could not be found out."""

    def __init__(self, job: str, why: str) -> None:
        super().__init__(f"the preparation of {job} failed: {why}")


def prepared(job: Job, scope: Scope, tools: Resources, run: int) -> dict[str, Any]:
    """What all batches of a run share. Raises BadPreparation, or Unavailable when trying again may help."""
    assert job.prepare is not None  # noqa: S101 - asked only of jobs that prepare
    try:
        facts = dict(job.prepare(Context(scope, tools, run=run)) or {})
        msgspec.json.encode(facts)
    except Exception as error:
        away = _away(error)
        if away is not None:
            raise away from error
        if trouble(error) is Trouble.TRANSIENT:
            raise Unavailable("data", reason(error)) from error
        raise BadPreparation(job.name, failure("", error).message) from error
    return facts


def stale(job: Job, scope: Scope) -> Select[tuple[str]]:
    """The items that are missing or outdated. Raises StaleNotSupported, or BadPopulation for an error of job code."""
    if job.stale is None:
        raise StaleNotSupported(job.name)
    try:
        return job.stale(scope)
    except Exception as error:
        raise BadPopulation(job.name, f"raised {type(error).__name__}: {safe(error, 200)}") from error


def texts(job: Job, keys: list[Any]) -> list[str]:
    """The keys, when all are texts. Raises BadPopulation."""
    for key in keys:
        if type(key) is not str:
            raise BadPopulation(job.name, f"must give texts, not {type(key).__name__}")
    return keys


def work(batch: Batch, job: Job, tools: Resources, options: Mapping[str, Any] | None = None) -> BatchResult:
    """Carries out a batch and says what became of each of its keys. Never raises for what job code does.

    A transient error gives the keys back to be tried again; an unreachable dependency ends the batch, with what was
    done before it counted; any other error halves the keys until the items that cause it are alone.
    """
    began = time.perf_counter()
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
            away = _away(error)
            if away is not None:
                result.broken, result.reason = away.dependency, away.reason
                result.again += [key for part in (keys, *reversed(waiting)) for key in part]
                break
            if trouble(error) is Trouble.TRANSIENT:
                result.again += keys
                result.reason = reason(error)
            elif len(keys) == 1:
                failures[keys[0]] = failure(keys[0], error)
            else:
                middle = len(keys) // 2
                waiting += [keys[middle:], keys[:middle]]
        else:
            _count(result, ctx.said, keys)
    _fail(result, failures)
    result.seconds = time.perf_counter() - began
    return result


def _away(error: Exception) -> Unavailable | None:
    if isinstance(error, Unavailable):
        return error
    return Unavailable("data", reason(error)) if trouble(error) is Trouble.AWAY else None


def _count(result: BatchResult, said: TryOutcome, keys: list[str]) -> None:
    mine = set(keys)
    said.failures = {key: told for key, told in said.failures.items() if key in mine}
    skipped = {key: why for key, why in said.skipped.items() if key in mine and key not in said.failures}
    result.ok += len(keys) - len(said.failures) - len(skipped)
    result.skipped = dict(Counter(result.skipped) + Counter(skipped.values()))
    for metric, n in said.metrics.items():
        result.metrics[metric] = result.metrics.get(metric, 0) + n
    result.log += said.log
    _fail(result, said.failures)


def _fail(result: BatchResult, failures: dict[str, Failure]) -> None:
    for told in failures.values():
        result.failed.append(told.item)
        result.kinds[told.kind] = result.kinds.get(told.kind, 0) + 1
        if len(result.failures) < DETAILED_FAILURES:
            result.failures.append(told)
