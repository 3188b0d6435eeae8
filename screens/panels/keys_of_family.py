"""The keys of a family, found by the parts that an operator types, and the value of the one under the cursor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from opsconsole.cache.families import Family
from opsconsole.cache.keys import KeysFound, KeyValue
from opsconsole.core import humanize
from screens.panels.view import Block, Fitted, Key, fitted, hint
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, line, text

PANEL = "keys"
NO_KEY = "no such key: it was never filled, has expired or was cleared"
DATE = "date"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def parts(family: Family, typed: str) -> tuple[dict[str, str], str]:
    """The parts of a key that an operator typed, `u0417 2026-01-19` or `user=u0417`, and a sentence about what was not
    understood, which is empty otherwise. What has no name is the date if it looks like one, otherwise the next part.
    """
    found: dict[str, str] = {}
    for word in typed.split():
        name, sign, value = word.partition("=")
        if not sign:
            free = [part for part in family.parts if part not in found]
            others = [part for part in free if part != DATE] or free
            name = DATE if DATE in free and _DAY.fullmatch(word) else next(iter(others), "")
            value = word
        if name not in family.parts:
            return found, f"{word}: a key of {family.name} has {described(family)}"
        found[name] = value
    return found, ""


def described(family: Family) -> str:
    """The parts of its keys: `date and user`."""
    return " and ".join(family.parts) or "no parts"


def header(family: Family, typed: Mapping[str, str], found: KeysFound | None, cells: int) -> Line:
    """The family, what was typed, and how many keys were found."""
    named = ", ".join(f"{name} {value}" for name, value in typed.items())
    start = line(
        " ", Piece("Keys", "title"), "  ", text(family.name, "strong", 60), "  ", text(named or "any", "", 120)
    )
    return ends(start, line(" ", Piece(_count(found), "quiet"), " "), cells)


def _count(found: KeysFound | None) -> str:
    if found is None:
        return "searching"
    if found.more:
        return f"the first {len(found.keys)}; more text narrows them"
    count = humanize.count(len(found.keys), "key")
    return count if found.done else f"searching: {count} in about {found.scanned:,}"


def rows(found: KeysFound | None, error: str, cells: int, room: int, cursor: Key | None) -> Fitted:
    """The keys, the one under the cursor included."""
    if error:
        return fitted([Block((line(" ", text(error, "bad", 300)),))], room, cells, None)
    if found is None:
        return fitted([hint("searching")], room, cells, None)
    if not found.keys:
        return fitted([hint(NO_KEY if found.done else "nothing found yet")], room, cells, None)
    blocks = [Block((crop(line("   ", text(key, limit=300)), cells),), (PANEL, key)) for key in found.keys]
    return fitted(blocks, room, cells, cursor)


def value(looked: KeyValue | None, cells: int, room: int, first: int) -> list[Line]:
    """A key's type, size and TTL, and its value from a line on."""
    if looked is None:
        return list(hint(NO_KEY).lines)
    lines = [crop(line("   ", text(each, limit=300)), cells) for each in looked.lines[first : first + room - 1]]
    return [crop(line(" ", text(facts(looked), "quiet", 200)), cells), *lines]


def value_end(looked: KeyValue | None, room: int, first: int) -> Line:
    """Which lines of the value are shown, and whether there is more than can be."""
    if looked is None:
        return EMPTY
    last = min(len(looked.lines), first + room - 1)
    place = "" if last == len(looked.lines) and first == 0 else f"lines {first + 1} to {last} of {len(looked.lines)}"
    cut = "the rest is not shown" if looked.cut and last == len(looked.lines) else ""
    note = " · ".join(part for part in (place, cut) if part)
    return line(Piece(note, "quiet")) if note else EMPTY


def facts(looked: KeyValue) -> str:
    """`string · 1,204 bytes compressed · 1,312 bytes of memory · expires in 56 min`."""
    parts = [looked.type]
    if looked.elements is not None:
        parts.append(humanize.count(looked.elements, "element"))
    if looked.length is not None:
        parts.append(f"{humanize.count(looked.length, 'byte')}{' compressed' if looked.compressed else ''}")
    if looked.memory is not None:
        parts.append(f"{looked.memory:,} of memory")
    ttl = looked.ttl_seconds
    parts.append("never expires" if ttl is None else f"expires in {humanize.duration(ttl)}")
    return " · ".join(parts)


def furthest(looked: KeyValue | None, room: int) -> int:
    """The first line when the value is scrolled to its end, with room for `room` lines."""
    return 0 if looked is None else max(0, len(looked.lines) - room)


def clear_parts(family: Family, key: str | None) -> dict[str, str]:
    """The parts of the key under the cursor, with which the dialog that clears keys starts."""
    found = family.parse(key) if key is not None else None
    return {name: value for name, value in (found or {}).items() if name in ("user", "subject", DATE)}


def listed(found: KeysFound | None) -> Sequence[Key]:
    return [(PANEL, key) for key in found.keys] if found is not None else []
