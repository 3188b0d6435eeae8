"""A pack for tests: a minutely job that often has nothing to do, with the tables of `counting`."""

from __future__ import annotations

from opsconsole import Context, Items, Job, Limits, Pack, Scope, minutes
from tests.packs.counting import everything, leave_marks, metadata


def fails_to_answer(_scope: Scope) -> tuple[str, ...]:
    """A population that cannot be read."""
    raise RuntimeError("no idea")


def nothing(_ctx: Context, _items: Items) -> None:
    """Does nothing."""


queue = Job(
    "sparse.queue",
    everything,
    leave_marks("sparse.queue"),
    cron="* * * * *",
    skip_when_empty=True,
    limits=Limits(max_age=minutes(30)),
)
unclear = Job("sparse.unclear", fails_to_answer, nothing, cron="0 * * * *", skip_when_empty=True)

pack = Pack("sparse", jobs=(queue, unclear), metadata=metadata)
