"""Every page as a picture: with data, empty and in trouble, on a small, a usual and a large terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import pytest
from textual.pilot import Pilot

from opsconsole.authoring.run import Counts
from opsconsole.core.errors import Unavailable
from opsconsole.service.snapshot import Snapshot
from screens.app import ConsoleApp
from tests.screens import fakes, past_alerts, past_runs, samples
from tests.screens.console import text_of
from tests.waiting import PATIENCE_SECONDS

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}
USUAL = "120x40"


class Shown(NamedTuple):
    """What a page shows once it has loaded, in each state."""

    data: str
    empty: str
    trouble: str


PAGES = {
    "dashboard": ("1", Shown("attempts.cache_day", "no jobs", "the store is unreachable")),
    "jobs": ("2", Shown("59 23 * * *", "no jobs", "connection refused")),
    "runs": ("3", Shown("q-7781", "no run", "connection refused")),
    "backfill": ("4", Shown("350", "no job has windows", "connection refused")),
    "cache": ("5", Shown("38,200", "nothing cleared yet", "connection refused")),
    "alerts": ("6", Shown("twice in 30 days", "no alerts", "connection refused")),
    "packs": ("7", Shown("Leaderboards", "no loaded pack has a panel", "connection refused")),
    "audit": ("8", Shown("date 2026-01-19", "nothing has been requested yet", "connection refused")),
    "run": ("", Shown("question q-7781 is missing", "no item failed", "connection refused")),
}
"""The key that opens each page, and what it shows; a run is opened by its number."""
RUN = samples.PAGE.progress.run
NOTHING_DONE = replace(
    samples.PAGE,
    progress=replace(samples.PAGE.progress, run=samples.a_run(RUN.id, counts=Counts(), batches=0, log_lines=0)),
    grid=(),
    causes=(),
    log=(),
)
SNAPSHOTS = {"data": past_alerts.SOME, "empty": samples.EMPTY, "trouble": past_alerts.LOST}


def cases() -> list[Any]:
    """Everything at the usual size, and pages with data at each; the soak tests have the rest."""
    return [
        pytest.param(page, state, size, marks=() if size == USUAL or state == "data" else pytest.mark.soak)
        for page, state, size in product(PAGES, Shown._fields, SIZES)
    ]


def service(state: str) -> fakes.FakeService:
    """A service whose reads return something, nothing, or fail."""
    made = fakes.FakeService([samples.PAGE, past_runs.PAGE])
    made.history.items = made.history.items[: RUN.counts.failed]
    if state == "empty":
        made.cache_families = made.surveys = made.cache_days = made.past_clearings = ()
        made.panel_views = made.jobs_with_windows = made.audit_entries = ()
        made.history.runs = ()
        made.pages[RUN.id] = NOTHING_DONE
    if state == "trouble":
        made.unreachable = made.history.error = Unavailable("store", "connection refused")
    return made


@pytest.mark.parametrize(("page", "state", "size"), cases())
def test_a_page(snap_compare: Callable[..., bool], page: str, state: str, size: str) -> None:
    key, shown = PAGES[page]
    snapshot: Snapshot = SNAPSHOTS[state]
    app = ConsoleApp(service(state), now=lambda: samples.NOW)

    async def before(pilot: Pilot[None]) -> None:
        app.show(snapshot)
        await pilot.pause()
        if page == "run":
            app.open_run(RUN.id)
        else:
            await pilot.press(key, *(["down"] if page == "runs" and state == "data" else []))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while getattr(shown, state) not in text_of(app):
                await pilot.pause(0.01)

    assert snap_compare(app, terminal_size=SIZES[size], run_before=before)
