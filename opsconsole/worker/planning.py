"""Reads the items of a run: its prepared facts and its keys in pages, or only their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import SelectBase
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.context import Context, Resources, how_many
from opsconsole.authoring.failures import failure
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Selection
from opsconsole.authoring.scope import Scope
from opsconsole.core.bounds import json_problem, keys_problem
from opsconsole.core.database_errors import ErrorKind, error_kind, reason
from opsconsole.core.errors import BadValue, OpsconsoleError, StaleNotSupported, Unavailable
from opsconsole.core.row_pages import row_pages
from opsconsole.core.text import safe
from opsconsole.worker.messages import Counted, Counting, Planning, PlanningResult
from opsconsole.worker.work import unreachable

if TYPE_CHECKING:
    from sqlalchemy.sql import Select

PAGE_KEYS = 5000
PAGE_CHARACTERS = 1 << 20
"""The keys of one answer: no more than either, so that its size does not depend on the population."""


class BadPopulation(OpsconsoleError):
    """A population that cannot be used."""

    def __init__(self, job: str, why: str) -> None:
        super().__init__(f"the population of {job} {why}")


class BadPreparation(OpsconsoleError):
    """A preparation that failed."""

    def __init__(self, job: str, why: str) -> None:
        super().__init__(f"the preparation of {job} failed: {why}")


def plan(planning: Planning, job: Job, tools: Resources, options: Mapping[str, Any]) -> Iterator[PlanningResult]:
    """The answers to a planning. Never raises an exception of job code."""
    run, scope = planning.run, Scope(planning.window, planning.as_of, {}, options)
    try:
        if planning.prepare:
            yield PlanningResult(run, facts=prepared(job, scope, tools, run))
        last: list[str] = []
        for page in _pages(job, planning.selection, scope, tools):
            if last:
                yield PlanningResult(run, keys=last)
            last = page
        yield PlanningResult(run, keys=last, done=True)
    except OpsconsoleError as error:
        if isinstance(error, Unavailable) and not error.permanent:
            yield PlanningResult(run, broken=error.dependency, reason=error.reason)
        else:
            yield PlanningResult(run, reason=error.sentence)
    except Exception as error:  # such as a column type that cannot convert a value
        yield PlanningResult(run, reason=BadPopulation(job.name, f"could not be read: {_cause(error)}").sentence)


def counted(counting: Counting, job: Job, tools: Resources, options: Mapping[str, Any]) -> Counted:
    """The answer to a counting. Never raises an exception of job code."""
    scope = Scope(counting.window, counting.as_of, {}, options)
    try:
        items = stale(job, scope) if counting.stale else population(job, scope)
        return Counted(how_many(tools.data, items, at_most=counting.at_most))
    except Unavailable as error:
        return Counted(broken=error.dependency, reason=error.reason)
    except OpsconsoleError as error:
        return Counted(reason=error.sentence)
    except SQLAlchemyError as error:
        return Counted(reason=BadPopulation(job.name, f"could not be read: {reason(error)}").sentence)
    except Exception as error:
        return Counted(reason=BadPopulation(job.name, f"could not be read: {_cause(error)}").sentence)


def population(job: Job, scope: Scope) -> Select[tuple[str]] | tuple[str, ...]:
    """The items of a run. Raises BadPopulation, also for any exception of the job."""
    return _checked(job, job.population, scope)


def stale(job: Job, scope: Scope) -> Select[tuple[str]] | tuple[str, ...]:
    """The items that are missing or out of date. Raises StaleNotSupported, or BadPopulation as `population` does."""
    if job.stale is None:
        raise StaleNotSupported(job.name)
    return _checked(job, job.stale, scope)


def _checked(
    job: Job, select: Callable[[Scope], Select[tuple[str]] | tuple[str, ...]], scope: Scope
) -> Select[tuple[str]] | tuple[str, ...]:
    items: Any
    try:
        items = select(scope)
    except BaseException as error:  # SystemExit too
        raise BadPopulation(job.name, f"raised {_cause(error)}") from error
    if isinstance(items, tuple):
        texts(job, items)
    elif not isinstance(items, SelectBase):
        raise BadPopulation(job.name, f"must be a SELECT or a tuple of strings, not {type(items).__name__}")
    elif len(items.selected_columns) != 1:
        raise BadPopulation(job.name, f"must select one column, not {len(items.selected_columns)}")
    selected: Select[tuple[str]] | tuple[str, ...] = items
    return selected


def prepared(job: Job, scope: Scope, tools: Resources, run: int) -> dict[str, Any]:
    """The facts that all batches of a run share, as they are after a way through JSON. Raises BadPreparation, or
    Unavailable when a retry may help.
    """
    assert job.prepare is not None  # noqa: S101 - called only for jobs that prepare
    try:
        found = job.prepare(Context(scope, tools, run=run))
        if found is not None and not isinstance(found, Mapping):
            raise BadValue(f"it must return a dict or None, not {type(found).__name__}")
        facts = dict(found or {})
        if problem := json_problem(facts):
            raise BadValue(f"its facts {problem}")
    except BaseException as error:  # SystemExit too
        broken = unreachable(error)
        if broken is not None:
            raise broken from error
        if error_kind(error) is ErrorKind.TRANSIENT:
            raise Unavailable("data", reason(error)) from error
        raise BadPreparation(job.name, failure("", error).message) from error
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(facts))
    return plain


def texts(job: Job, keys: Sequence[Any]) -> list[str]:
    """The keys, if each is valid and occurs once. Raises BadPopulation."""
    problem = keys_problem(keys)
    if problem is not None:
        raise BadPopulation(job.name, f"must yield {problem}")
    return list(keys)


def _pages(job: Job, selection: Selection | None, scope: Scope, tools: Resources) -> Iterator[list[str]]:
    if selection is None:
        return
    items = stale(job, scope) if selection is Selection.STALE else population(job, scope)
    if isinstance(items, tuple):
        yield from _split(list(items))
        return
    try:
        with tools.data.reading() as db:
            for page in row_pages(db, items, PAGE_KEYS):
                yield from _split(texts(job, [key for (key,) in page]))
    except SQLAlchemyError as error:
        if error_kind(error) is ErrorKind.STATEMENT:
            raise BadPopulation(job.name, f"could not be read: {reason(error)}") from error
        raise Unavailable("data", reason(error)) from error


def _split(keys: list[str]) -> Iterator[list[str]]:
    """The keys in pages that are small enough."""
    if 0 < len(keys) <= PAGE_KEYS and sum(map(len, keys)) <= PAGE_CHARACTERS:
        yield keys
        return
    page: list[str] = []
    room = PAGE_CHARACTERS
    for key in keys:
        if page and (len(page) == PAGE_KEYS or len(key) > room):
            yield page
            page, room = [], PAGE_CHARACTERS
        page.append(key)
        room -= len(key)
    if page:
        yield page


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__}: {safe(error, 200)}"
