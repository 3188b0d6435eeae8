"""The Dashboard as a whole: how the room is shared among its panels, and where the cursor goes."""

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


def places(view: View) -> list[Key]:
    """Every row that the cursor can stand on, in the order of the panels."""
    return [*running.keys(view), *success.keys(view), *health.keys(view)]


def settled(cursor: Key | None, now: Sequence[Key], before: Sequence[Key]) -> Key | None:
    """Where the cursor stands after the rows have changed: on the same row, else on the one in its place."""
    if cursor is None or cursor in now:
        return cursor
    rows, others = ([key for key in keys if key[0] == cursor[0]] for keys in (now, before))
    if not rows:
        return now[0] if now else None
    return rows[min(others.index(cursor) if cursor in others else 0, len(rows) - 1)]


def moved(cursor: Key | None, rows: Sequence[Key], step: int) -> Key | None:
    """The row `step` further; it stops at both ends."""
    if not rows:
        return None
    if cursor not in rows:
        return rows[0]
    return rows[max(0, min(len(rows) - 1, rows.index(cursor) + step))]


def next_panel(cursor: Key | None, rows: Sequence[Key], step: int) -> Key | None:
    """The first row of the next panel that has rows, round and round."""
    panels = list(dict.fromkeys(panel for panel, _ in rows))
    if not panels:
        return None
    here = cursor[0] if cursor is not None else None
    target = panels[(panels.index(here) + step) % len(panels)] if here in panels else panels[0]
    return next(key for key in rows if key[0] == target)


def _column(view: View, names: Sequence[str], cells: int, rows: int) -> list[Line]:
    heights = shared(names, rows, len(view.snapshot.jobs))
    lines: list[Line] = []
    for name in names:
        drawn = _PANELS[name](view, cells, heights[name])[: 1 + heights[name]]
        lines += [*drawn, *[EMPTY] * (1 + heights[name] - len(drawn))]
    return lines[:rows]


def shared(names: Sequence[str], rows: int, jobs: int) -> dict[str, int]:
    """How many rows each panel has. It follows from the terminal and the number of jobs alone: nothing jumps when a
    run starts or ends.
    """
    some = len(names) < len(_PANELS) or rows > 30
    most = {
        "running": max(10, rows // 3),
        "next": max(1, jobs),
        "success": max(1, jobs),
        "redis": 4 if some else 1,
        "health": 16,
    }
    heights = {name: min(_LEAST[name], most[name]) for name in names}
    room = rows - len(names) - sum(heights.values())
    while room > 0:
        able = [name for name in names if heights[name] < most[name]]
        if not able:
            break
        wants = min(able, key=lambda name: heights[name] / _SHARES[name])
        step = 3 if wants == "redis" and heights["redis"] == 1 else 1  # one line, or all four
        heights[wants] += min(step, room)
        room -= min(step, room)
    return heights
