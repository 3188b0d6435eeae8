"""A case: one odd job, and how each of its runs must end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from opsconsole import Context, Items, Job, Retry, Scope
from opsconsole.authoring.run import Run, RunState, Selection
from opsconsole.calendar.windows import Covers

PACK = "hostile"
SOON = Retry(times=2, first=timedelta(seconds=0.05))
BATCH_SECONDS, HANGING_BATCH_SECONDS = 20.0, 2.0
"""The timeouts of batches: of those that end by themselves on a busy machine, too, and of those that never do."""
RUN_SECONDS = 60.0
ENDLESS_RUN_SECONDS = 4.0
"""The timeout of a run that nothing else ends."""

Function = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """An odd job, and how its runs must end: the state, and one of the `causes`, each a kind of failure or words of the
    run's error. A run that succeeds has none. `description` is what the job does.

    `database` is the only kind it is for; `quick` cases take part in the short campaign.
    """

    job: Job
    description: str
    state: RunState
    causes: tuple[str, ...] = ()
    selection: Selection = Selection.ALL
    database: str | None = None
    quick: bool = False

    def mismatch(self, run: Run) -> str | None:
        """How a run ended differently; None when it ended as it must."""
        found = {*run.kinds}
        error = run.error or ""
        as_expected = not self.causes or any(cause in found or cause in error for cause in self.causes)
        if run.state is self.state and as_expected and (self.causes or not (found or error)):
            return None
        how = f"{run.state} ({', '.join(sorted(found)) or 'no kinds'}; {error or 'no error'})"
        return f"run {run.id} of {self.job.name} ended {how}, not {self.outcome}"

    @property
    def outcome(self) -> str:
        """Its state and causes in words."""
        return self.state + (f": {' or '.join(self.causes)}" if self.causes else "")


def one_item(scope: Scope) -> tuple[str, ...]:
    """A population of one item."""
    return ("one",)


def three_items(scope: Scope) -> tuple[str, ...]:
    """A population of three items."""
    return ("one", "two", "three")


def no_effect(ctx: Context, items: Items) -> None:
    """Does nothing."""


class Cases:
    """The cases of one module: decorators add a job for each function. Its docstring describes what the job does."""

    def __init__(self) -> None:
        self._cases: list[Case] = []

    def __iter__(self) -> Iterator[Case]:
        return iter(self._cases)

    def apply(self, state: RunState, *causes: str, population: Function = one_item, **how: Any) -> _Adding:
        """A job with this `apply`."""
        if "batch_timeout" in causes:
            how = {"batch_seconds": HANGING_BATCH_SECONDS} | how
        return self._adding(state, causes, lambda function: {"population": population, "apply": function}, how)

    def population(self, state: RunState, *causes: str, **how: Any) -> _Adding:
        """A job with this population."""
        return self._adding(state, causes, lambda function: {"population": function, "apply": no_effect}, how)

    def prepare(self, state: RunState, *causes: str, **how: Any) -> _Adding:
        """A job with this preparation."""
        given = {"population": one_item, "apply": no_effect}
        return self._adding(state, causes, lambda function: given | {"prepare": function}, how)

    def stale(self, state: RunState, *causes: str, **how: Any) -> _Adding:
        """A job with this function for stale items, whose run is over those."""
        given = {"population": one_item, "apply": no_effect}
        how = {"selection": Selection.STALE} | how
        return self._adding(state, causes, lambda function: given | {"stale": function}, how)

    def _adding(
        self, state: RunState, causes: tuple[str, ...], functions: Callable[[Function], Mapping[str, Any]], how: Any
    ) -> _Adding:
        return _Adding(self._cases, state, causes, functions, how)


class _Adding:
    """A decorator that adds a case and returns the function unchanged."""

    def __init__(
        self,
        cases: list[Case],
        state: RunState,
        causes: tuple[str, ...],
        functions: Callable[[Function], Mapping[str, Any]],
        how: dict[str, Any],
    ) -> None:
        self._cases, self._state, self._causes, self._functions, self._how = cases, state, causes, functions, how

    def __call__(self, function: Function) -> Function:
        of_case = {name: self._how.pop(name) for name in ("selection", "database", "quick") if name in self._how}
        job = _job(function.__name__, **self._functions(function), **self._how)
        description = " ".join((function.__doc__ or "").split())
        self._cases.append(Case(job, description, self._state, self._causes, **of_case))
        return function


def _job(
    name: str,
    population: Function,
    apply: Function,
    *,
    batch_seconds: float = BATCH_SECONDS,
    seconds: float = RUN_SECONDS,
    covers: Covers | None = None,
    **more: Any,
) -> Job:
    more |= {"covers": covers} if covers is not None else {}
    return Job(
        f"{PACK}.{name}",
        population,
        apply,
        cron=None,
        batch_timeout=timedelta(seconds=batch_seconds),
        timeout=timedelta(seconds=seconds),
        retry=SOON,
        **more,
    )
