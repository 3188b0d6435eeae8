"""The keys of the console by the id of what they do, and how `[console.keys]` rebinds them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from opsconsole.core.bounds import shown

DEFAULTS: Mapping[str, tuple[str, ...]] = {
    # pages
    "dashboard": ("1",),
    "jobs": ("2",),
    "runs": ("3",),
    "backfills": ("4",),
    "cache": ("5",),
    "alerts": ("6",),
    "packs": ("7",),
    "audit": ("8",),
    # on every page
    "help": ("?",),
    "palette": ("ctrl+p",),
    "copy": ("y", "ctrl+y"),
    "command": ("=", "ctrl+e"),
    "export": ("e",),
    "zone": ("z",),
    "redraw": ("ctrl+l",),
    "quit": ("q",),
    "quit_anywhere": ("ctrl+c", "ctrl+q"),
    # what is done to the row under the cursor
    "open": ("enter",),
    "back": ("escape",),
    "trigger": ("t",),
    "backfill": ("b",),
    "clear": ("c",),
    "cancel": ("x",),
    "retry": ("r",),
    "pause": ("p",),
    "resume": ("u",),
    "acknowledge": ("a",),
    "silence": ("s",),
    "why": ("w",),
    "write_up": ("i",),
    "filter": ("/",),
    "follow": ("f",),
    "try_schedule": ("*",),
    "schedule": ("S",),
    # moving
    "up": ("up", "k"),
    "down": ("down", "j"),
    "left": ("left", "h"),
    "right": ("right", "l"),
    "next_panel": ("tab",),
    "previous_panel": ("shift+tab",),
    "page_up": ("pageup",),
    "page_down": ("pagedown", "space"),
    "first": ("home",),
    "last": ("end",),
    "worst": ("home",),
    "maximise": ("v",),
    # the calendar of a job
    "mark": ("space",),
    "only": ("m",),
    "order": ("o",),
    "at_once": ("#",),
    "add": ("+",),
    "plan": ("enter",),
    "previous_year": ("pageup",),
    "next_year": ("pagedown",),
    "previous_job": ("[",),
    "next_job": ("]",),
    # dialogs
    "confirm": ("enter",),
    "erase": ("backspace",),
    "export_svg": ("s",),
    "export_csv": ("c",),
    "export_json": ("j",),
}
"""The default keys of each id. Ids that share one are never on one page or dialog together."""

NAMED = (
    *("up", "down", "left", "right", "home", "end", "pageup", "pagedown"),
    *("enter", "escape", "tab", "space", "backspace", "insert", "delete", "comma"),
    *(f"f{n}" for n in range(1, 13)),
)
"""Keys that have a name instead of a character."""
SAME = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+h": "backspace", "ctrl+[": "escape"}
"""Terminals send the same bytes for both."""
_WITH_CONTROL = re.compile(r"ctrl\+[a-z@\\\]^_[]|(ctrl\+|alt\+|shift\+)+(" + "|".join(NAMED) + ")")


def read_keys(console: Any, problems: list[str]) -> dict[str, str]:
    """Takes the keys that `[console.keys]` rebinds out of the section `console`; several keys of an id are separated by
    commas. What is wrong is added to `problems`.
    """
    given = console.pop("keys", {}) if isinstance(console, dict) else {}
    if not isinstance(given, Mapping):
        problems.append("[console.keys] must be a section with keys")
        return {}
    rebound: dict[str, tuple[str, ...]] = {}
    for action, value in given.items():
        problem = _problem(action, value)
        if problem is not None:
            problems.append(f"console.keys.{action} {problem}")
        else:
            rebound[action] = tuple(_normal(key) for key in _split(value))
    problems += _clashes(rebound)
    return {action: ",".join(keys) for action, keys in rebound.items()}


def _split(value: Any) -> list[str]:
    return [key.strip() for key in value.split(",")] if isinstance(value, str) else []


def _normal(key: str) -> str:
    return SAME.get(key, key)


def _problem(action: str, value: Any) -> str | None:
    """Why a setting cannot be used."""
    if action not in DEFAULTS:
        close = get_close_matches(action, DEFAULTS, n=1)
        hint = f"did you mean {close[0]}?" if close else "docs/reference.md lists them"
        return f"is not the id of a key; {hint}"
    if not isinstance(value, str) or not value.strip():
        return f"must be a key such as t, f5 or ctrl+t, or several with commas, not {shown(value)}"
    for key in _split(value):
        is_character = len(key) == 1 and key.isprintable()
        if not (is_character or key in NAMED or _WITH_CONTROL.fullmatch(key)):
            return f"is {shown(key)}, which is not a key; use a character, a name such as up, or ctrl+ and a letter"
    return None


def _clashes(rebound: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Keys that would do two things. Ids that share a key by default are never on one page together."""
    effective = {**DEFAULTS, **rebound}
    reported: set[frozenset[str]] = set()
    for action, keys in rebound.items():
        for other, taken in effective.items():
            shared = [key for key in keys if key in taken]
            pair = frozenset((action, other))
            if other == action or not shared or pair in reported or set(DEFAULTS[action]) & set(DEFAULTS[other]):
                continue
            reported.add(pair)
            hint = f"choose another, or rebind {other} as well"
            yield f"console.keys.{action} is {shared[0]}, which is also the key of {other}; {hint}"
            break
