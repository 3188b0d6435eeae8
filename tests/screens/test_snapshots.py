"""The screens as pictures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from opsconsole.desk.values import Snapshot
from screens.app import ConsoleApp
from tests.screens import world

Compare = Callable[..., bool]
SIZES = {"80x24": (80, 24), "120x40": (120, 40)}


def looks_like_before(
    snap_compare: Compare, snapshot: Snapshot, size: tuple[int, int], *keys: str, shows: str = ""
) -> bool:
    """Compares the console, after some keys, with the picture that is kept of it; waits for words a thread tells."""
    app = ConsoleApp(world.Answers(), now=lambda: world.NOW)

    async def before(pilot: Pilot[None]) -> None:
        app.show(snapshot)
        await pilot.pause()
        await pilot.press(*keys)
        for _ in range(500):
            await pilot.pause(0.01)
            if shows in app.screen.query_one("Lines").text:  # type: ignore[attr-defined]
                return

    return snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", ["busy", "new", "empty", "trouble"])
def test_the_dashboard(snap_compare: Compare, state: str, size: str) -> None:
    snapshot = {"busy": world.BUSY, "new": world.NEW, "empty": world.EMPTY, "trouble": world.TROUBLE}[state]
    assert looks_like_before(snap_compare, snapshot, SIZES[size], "down")


def test_the_dashboard_on_a_large_terminal(snap_compare: Compare) -> None:
    assert looks_like_before(snap_compare, world.TROUBLE, (200, 60))


@pytest.mark.parametrize("size", ["80x24", "200x60"])
def test_a_run(snap_compare: Compare, size: str) -> None:
    large = SIZES.get(size, (200, 60))
    assert looks_like_before(snap_compare, world.QUIET, large, "down", "enter", shows="question q-7781")


def test_the_trigger_dialog(snap_compare: Compare) -> None:
    assert looks_like_before(snap_compare, world.BUSY, SIZES["80x24"], "t", shows="Items    10,000")


def test_the_help(snap_compare: Compare) -> None:
    assert looks_like_before(snap_compare, world.BUSY, SIZES["80x24"], "question_mark")
