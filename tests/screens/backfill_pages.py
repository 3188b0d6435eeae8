"""Keys and helpers for the pages about backfills."""

from __future__ import annotations

from opsconsole.rules.backfill_status import Backfill
from tests.screens import fakes
from tests.screens.console import Console

REPORT = ("4", "enter")
"""Keys that open the calendar of the daily report."""
MARKED = (*REPORT, *["left"] * 7, "space", *["down"] * 4, "space")
"""Keys that mark Monday the 1st to Friday the 5th of December on it."""


def service_with(*backfills: Backfill) -> fakes.FakeService:
    """A service with these backfills."""
    service = fakes.FakeService()
    service.past_backfills = list(backfills)
    return service


async def planned(console: Console, *keys: str) -> None:
    """Presses keys and waits for the plan."""
    await console.press(*keys)
    await console.until(lambda: "─ Plan 12" in console.text)
