"""Names in a column that is too narrow for them: cut in the middle, and never so that two look alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from functools import lru_cache

from rich.cells import cell_len

from screens.widgets.lines import text

LIMIT = 200


def middle(name: str, cells: int, *, shift: int = 0) -> str:
    """A name in at most `cells`, with an ellipsis in its middle, or `shift` characters further right."""
    shown = text(name, limit=LIMIT).text
    if cell_len(shown) <= cells:
        return shown
    if cells <= 1:
        return "…"[: max(0, cells)]
    head = min(cells - 1, max(0, (cells - 1) // 2 + shift))
    while cell_len(shown[:head]) > cells - 1:  # of characters that take two cells
        head -= 1
    end, room = "", cells - 1 - cell_len(shown[:head])
    for character in reversed(shown[head:]):
        if cell_len(character + end) > room:
            break
        end = character + end
    return f"{shown[:head]}…{end}"


def shortened(names: Iterable[str], cells: int) -> dict[str, str]:
    """Each name in at most `cells`; of names that would look alike, the cut is where they differ."""
    return dict(_shortened(frozenset(names), cells))


@lru_cache(maxsize=64)  # the same names are drawn once a second
def _shortened(names: Collection[str], cells: int) -> dict[str, str]:
    shown = {name: middle(name, cells) for name in sorted(names)}
    alike = {each for each, count in Counter(shown.values()).items() if count > 1}
    for name in [name for name in shown if shown[name] in alike]:
        others = set(shown.values())
        tries = (middle(name, cells, shift=shift) for step in range(cells) for shift in (step, -step))
        shown[name] = next((each for each in tries if each not in others), _numbered(name, cells, others))
    return shown


def _numbered(name: str, cells: int, others: Collection[str]) -> str:
    """For names that differ only in what is always cut: the ellipsis and a number."""
    numbers = (f"…{n}" for n in range(2, 10_000))
    tries = (middle(name, cells - len(number)) + number for number in numbers)
    return next((each for each in tries if each not in others and cell_len(each) <= cells), middle(name, cells))
