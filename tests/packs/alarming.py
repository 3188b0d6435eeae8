"""A pack of many manual jobs, each of which fails for a cause of its own."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import MetaData

from opsconsole import Context, Items, Job, Pack

JOBS = 400


def fails(number: int) -> Callable[[Context, Items], None]:
    """An effect that raises an exception of its own type: what fails for one cause is one alert."""
    broken = type(f"Broken{number}", (Exception,), {})

    def apply(ctx: Context, items: Items) -> None:
        raise broken("as always")

    return apply


def name(number: int) -> str:
    """The name of a job."""
    return f"alarming.job{number}"


pack = Pack(
    "alarming",
    jobs=tuple(Job(name(n), lambda scope: ("one",), fails(n), cron=None) for n in range(JOBS)),
    metadata=MetaData(),
)
