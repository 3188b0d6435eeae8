"""Where the cursor goes: pure functions over the keys of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from screens.panels.view import Key

Option = TypeVar("Option")


def settled(cursor: Key | None, now: Sequence[Key], before: Sequence[Key]) -> Key | None:
    """Where the cursor is after the rows have changed: on the same row, otherwise on the one in its place."""
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


def stepped(options: Sequence[Option], chosen: Option, step: int) -> Option:
    """The option `step` further; the first one follows the last."""
    return options[(options.index(chosen) + step) % len(options)]


def next_panel(cursor: Key | None, rows: Sequence[Key], step: int) -> Key | None:
    """The first row of the next panel that has rows; the first panel follows the last."""
    panels = list(dict.fromkeys(panel for panel, _ in rows))
    if not panels:
        return None
    current = cursor[0] if cursor is not None else None
    target = panels[(panels.index(current) + step) % len(panels)] if current in panels else panels[0]
    return next(key for key in rows if key[0] == target)
