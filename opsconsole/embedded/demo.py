"""The demo: sample data, and a history made by really running the last days."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from opsconsole.clock import now
from opsconsole.cron import zone
from opsconsole.database import Database
from opsconsole.embedded import sample
from opsconsole.engine import Engine
from opsconsole.errors import OpsconsoleError
from opsconsole.windows import Unit

if TYPE_CHECKING:
    from opsconsole.desk import Desk
    from opsconsole.model import Job

PAST_DAYS = 4
LEAD_SECONDS = 20.0


@contextmanager
def prepared(desk: Desk, users: int, *, tell: Callable[[str], None]) -> Iterator[None]:
    """A desk whose data is there and whose past days have been run, with an engine that goes on."""
    at = now()
    data = Database(desk.settings.data_url.reveal())
    try:
        sample.fill(data, desk.catalog.packs, users, at, lambda pack, share: _progress(tell, pack, users, share))
    finally:
        data.close()
    engine = Engine(desk.settings, desk.store, desk.catalog)
    desk.engine = engine
    engine.start()
    try:
        _run_the_past(desk, at, tell)
        yield
    finally:
        engine.stop()


def opening_job(desk: Desk) -> str | None:
    """The job that is started when the demo opens, so that there is something to see at once."""
    return next((job.name for job in _daily(desk)), None)


def _run_the_past(desk: Desk, at: datetime, tell: Callable[[str], None]) -> None:
    for job in _daily(desk):
        done = {run.window.label for run in desk.runs(limit=100, job=job.name)}
        today = at.astimezone(zone(job.tz)).date()
        for back in range(PAST_DAYS, 0, -1):
            day = (today - timedelta(days=back)).isoformat()
            if day in done:
                continue
            outcome = desk.outcome(desk.trigger(job.name, day, backfill=True), LEAD_SECONDS)
            if outcome is None:
                tell("another process works on this demo; its history is left to it")
                return
            if outcome.run is None:
                raise OpsconsoleError(outcome.refused or "the demo's history could not be made")
            while (ended := desk.wait_for(outcome.run, LEAD_SECONDS)) is None:
                tell(f"{job.name} {day} goes on ...")
            tell(f"{job.name} {day}: {ended.counts.ok:,} ok, {ended.counts.failed:,} failed in {ended.seconds:.1f} s")


def _progress(tell: Callable[[str], None], pack: str, users: int, share: float) -> None:
    if share in (0, 1):
        tell(f"sample data of {pack} for {users:,} users " + ("is being made ..." if share == 0 else "is there"))


def _daily(desk: Desk) -> list[Job]:
    return [job for job in desk.catalog if job.covers.unit is Unit.DAY]
