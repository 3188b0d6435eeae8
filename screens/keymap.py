"""Bindings by the ids under which `[console.keys]` rebinds them, and keys as people read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from textual.binding import Binding

from opsconsole.core.keys import DEFAULTS

NAMES = {
    "question_mark": "?",
    "equals_sign": "=",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "plus": "+",
    "slash": "/",
    "comma": ",",
    "asterisk": "*",
    "number_sign": "#",
    "escape": "esc",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "shift+tab": "shift tab",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}
"""The keys whose names are not what people read."""
UP_AND_DOWN = NAMES["up"] + NAMES["down"]


def bind(action_id: str, action: str, description: str, *, priority: bool = False) -> Binding:
    """A binding of the default keys of an id."""
    return Binding(",".join(DEFAULTS[action_id]), action, description, id=action_id, priority=priority)


PANEL_BINDINGS = (
    bind("up", "move(-1)", "row above"),
    bind("down", "move(1)", "row below"),
    bind("right", "panel(1)", "next panel"),
    bind("next_panel", "panel(1)", "next panel"),
    bind("left", "panel(-1)", "previous panel"),
    bind("previous_panel", "panel(-1)", "previous panel"),
)
"""Those of a page with a cursor in several panels."""


def readable(key: str) -> str:
    """A key as people read it: `?`, `^p`, `esc`."""
    if key in NAMES:
        return NAMES[key]
    return f"^{key.removeprefix('ctrl+')}" if key.startswith("ctrl+") else key


def first_key(action_id: str, rebound: Mapping[str, str]) -> str:
    """The first key of an id as people read it; empty for an id that has none."""
    return readable(next(iter(keys_of(action_id, rebound)), ""))


def keys_of(action_id: str, rebound: Mapping[str, str]) -> Sequence[str]:
    """The keys of an id, those of the configuration first."""
    return rebound[action_id].split(",") if action_id in rebound else DEFAULTS.get(action_id, ())


def last_key(action_id: str, rebound: Mapping[str, str]) -> str:
    """The last key of an id as people read it."""
    return readable(keys_of(action_id, rebound)[-1])


def default_keys(ids: Iterable[str]) -> frozenset[str]:
    """The default keys of these ids as people read them, as footers have them."""
    return frozenset(readable(key) for each in ids for key in DEFAULTS[each])


def key_names(rebound: Mapping[str, str], hidden: Collection[str] = ()) -> dict[str, str]:
    """The first key of each id as people read it, without those of the ids that are hidden."""
    return {each: first_key(each, rebound) for each in DEFAULTS if each not in hidden}


def rebound_key(written: str, rebound: Mapping[str, str], ids: frozenset[str]) -> str:
    """What to show where a footer names a default key, or the two arrows: the key that replaces it, if one of `ids` is
    rebound.
    """
    if written == UP_AND_DOWN:
        return "".join(rebound_key(each, rebound, ids) for each in written)
    for action_id in rebound:
        if action_id in ids and written in map(readable, DEFAULTS[action_id]):
            return first_key(action_id, rebound)
    return written
