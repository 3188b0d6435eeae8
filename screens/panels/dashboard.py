"""The Dashboard as a whole: how its panels share the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from screens.panels import health, redis, running, success, upcoming
from screens.panels.view import Key, View
from screens.widgets.lines import EMPTY, Line, side_by_side

TWO_COLUMNS = 120

Panel = Callable[[View, int, int], list[Line]]

_PANELS: dict[str, Panel] = {
    "running": running.panel,
    "next": upcoming.panel,
    "success": success.panel,
    "redis": redis.panel,
    "health": health.panel,
}
_LEAST = {"running": 3, "next": 3, "success": 3, "redis": 1, "health": 2}
_LEFT, _RIGHT = ("running", "next", "health"), ("success", "redis")
_SHARES = {"running": 3, "next": 2, "success": 2, "redis": 1, "health": 2}


def dashboard(view: View, cells: int, rows: int) -> list[Line]:
    """All five panels in `rows` lines of `cells`."""
    if cells < TWO_COLUMNS:
        return _column(view, tuple(_PANELS), cells, rows)
    right = max(65, (cells - 1) * 9 // 20)
    left = cells - 1 - right
    return side_by_side(_column(view, _LEFT, left, rows), left, _column(view, _RIGHT, right, rows), right)


def keys(view: View) -> list[Key]:
    """The keys of all rows that the cursor can stand on, in the order of the panels."""
    return [*running.keys(view), *success.keys(view), *health.keys(view)]


def _column(view: View, names: Sequence[str], cells: int, rows: int) -> list[Line]:
    heights = row_counts(names, rows, len(view.snapshot.jobs))
    lines: list[Line] = []
    for name in names:
        drawn = _PANELS[name](view, cells, heights[name])[: 1 + heights[name]]
        lines += [*drawn, *[EMPTY] * (1 + heights[name] - len(drawn))]
    return lines[:rows]


def row_counts(names: Sequence[str], rows: int, jobs: int) -> dict[str, int]:
    """How many rows each panel has. Only the terminal and the number of jobs decide, so that nothing moves when a run
    starts or ends.
    """
    is_roomy = len(names) < len(_PANELS) or rows > 30
    most = {
        "running": max(10, rows // 3),
        "next": max(1, jobs),
        "success": max(1, jobs),
        "redis": 4 if is_roomy else 1,
        "health": 16,
    }
    heights = {name: min(_LEAST[name], most[name]) for name in names}
    room = rows - len(names) - sum(heights.values())
    while room > 0:
        growing = [name for name in names if heights[name] < most[name]]
        if not growing:
            break
        name = min(growing, key=lambda name: heights[name] / _SHARES[name])
        step = 3 if name == "redis" and heights["redis"] == 1 else 1  # one line, or all four
        heights[name] += min(step, room)
        room -= min(step, room)
    return heights
