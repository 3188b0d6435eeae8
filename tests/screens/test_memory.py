"""Pages that are closed leave nothing in memory, however often they are opened."""

from __future__ import annotations

import gc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from screens.dialogs.dialog import Dialog
from screens.pages.page import Page
from screens.widgets.panel import Panel
from tests.screens.console import Console, run_console

KEYS = ("2", "4", "6", "8", "t")
"""Of pages and of a dialog."""
OBJECTS = 20
"""What one opening may leave behind."""
KILOBYTES = 8
"""What one opening may add to the memory of the process. It leaves nothing, but 3 MB of garbage more or less wait to be
collected at the end of 500 openings.
"""


def test_pages_and_dialogs_that_are_closed_leave_nothing_behind() -> None:
    async def scenario(console: Console) -> None:
        async def open_and_close() -> None:
            for key in KEYS:
                await console.press(key)
                await console.until(lambda: len(console.app.screen_stack) == 2)
                await console.press("escape")
                await console.until(lambda: len(console.app.screen_stack) == 1)

        for _ in range(2):
            await open_and_close()
        gc.collect()
        before = len(gc.get_objects())
        await open_and_close()
        gc.collect()
        assert len(gc.get_objects()) - before < len(KEYS) * OBJECTS

        shown = {console.app.screen, *console.app.screen.walk_children()}
        left = [each for each in widgets() if each not in shown and each not in others]
        assert Counter(type(each).__name__ for each in left) == {}

    others = widgets()  # of other tests in this process
    run_console(scenario, size=(120, 40))


@pytest.mark.soak
def test_a_console_does_not_grow_with_a_thousand_openings(tmp_path: Path) -> None:
    from benchmarks.console import measures  # only here: it loads what no other test needs
    from benchmarks.console.place import Place

    place = Place(tmp_path / "place", users=500, runs=5_000)
    with place.console() as tty:
        measures.start(tty, next(iter(place.catalog)).pack + ".")
        tty.settle(measures.RETENTION_SECONDS)
        sizes = measures.memory(tty, 1_000)
    assert measures.left(sizes[measures.LOADED :]) < KILOBYTES, sizes[::100]


def widgets() -> list[Page | Dialog[Any] | Panel[Any]]:
    return [each for each in gc.get_objects() if isinstance(each, Page | Dialog | Panel)]
