"""How cached keys are described before and while they are cleared: counts, a question, progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opsconsole.cache.filters import ClearFilter
from opsconsole.core import humanize
from opsconsole.service import confirmations
from opsconsole.service.outcomes import CommandProgress
from screens import command_lines
from screens.panels.questions import CANCEL, Question
from screens.widgets.lines import EMPTY, Line, Piece, crop, line, right, text, wrapped

if TYPE_CHECKING:
    from opsconsole.cache.clearing import ClearProgress

ANY_FAMILY = "any"
RESULT_LINES = 11
"""The height of the dialog, the same for all contents."""
FAMILY_LINES, SAMPLES, EXCLUDED_LINES = 5, 3, 2
NOTHING_SELECTED = "type a user, a subject, a family or a date; a key has to match all of them"
PARTIAL_DATE = "type the whole date, or none"


def count_lines(counted: ClearProgress, selected: ClearFilter, cells: int) -> list[Line]:
    """What a count has found so far: keys of each family, sample keys, families that are excluded."""
    families = sorted(((name, keys) for name, keys in counted.found.items() if keys), key=lambda row: (-row[1], row[0]))
    lines = [_headline(counted, selected, len(families)), *_family_lines(families)]
    for index, key in enumerate(counted.samples[:SAMPLES]):
        lines.append(line(Piece("such as  " if index == 0 else "         ", "quiet"), text(key, limit=200)))
    lines += _skipped_families(counted.skipped_families, cells)
    return [crop(each, cells) for each in lines]


def fixed_height(lines: Sequence[Line]) -> list[Line]:
    """The lines, padded or cut to the height of the dialog."""
    return [*lines, *[EMPTY] * (RESULT_LINES - len(lines))][:RESULT_LINES]


def question(selected: ClearFilter, counted: ClearProgress, environment: str) -> Question:
    """The question before keys are cleared. The cursor is on Cancel."""
    effect = "Keys that jobs cache come back with their next run; keys cached on read, with the next read."
    title = confirmations.clear_question(counted, environment)
    sentences = (title, f"All of {selected}.", effect)
    return Question("Clear cached keys", sentences, (button(counted), CANCEL), 1, (command_lines.clear(selected),))


def button(counted: ClearProgress) -> str:
    """The button that clears what was counted."""
    return button_of(counted.total)


def button_of(keys: int) -> str:
    """The button that clears this many keys."""
    return f"Clear {humanize.count(keys, 'key')}"


def progress_message(name: str, progress: CommandProgress) -> str:
    """How far a command is that scans the server's keys."""
    cleared = f", {progress.cleared:,} cleared" if progress.cleared else ""
    total = humanize.count(progress.of, "key")
    return f"{name}: {progress.step}, {progress.scanned:,} of {total} scanned{cleared}"


def _headline(counted: ClearProgress, selected: ClearFilter, families: int) -> Line:
    if not counted.done:
        status = f"counting: {counted.scanned:,} of {counted.of:,} keys scanned, {counted.total:,} match"
        return line(Piece(status, "live"))
    if counted.total:
        keys, of = humanize.count(counted.total, "key"), humanize.count(families, "family", "families")
        return line(Piece(f"{keys} of {of}", "strong"))
    return line(Piece("nothing to clear: ", "quiet"), "no cached key of ", text(selected))


def _family_lines(families: Sequence[tuple[str, int]]) -> list[Line]:
    shown = families if len(families) <= FAMILY_LINES else families[: FAMILY_LINES - 1]
    lines = [line(right(f"{keys:,}", 9), "  ", text(name, limit=60)) for name, keys in shown]
    more = families[len(shown) :]
    if more:
        keys = sum(keys for _, keys in more)
        lines.append(line(right(f"{keys:,}", 9), Piece(f"  of {len(more)} more families", "quiet")))
    return lines


def _skipped_families(families: Sequence[str], cells: int) -> list[Line]:
    """All names where two lines are enough, otherwise the first and the number of others."""
    if not families:
        return []
    label = "kept, their keys have no such id: "
    whole = wrapped([label + ", ".join(families)], cells, "quiet")
    if len(whole) <= EXCLUDED_LINES:
        return whole
    return wrapped([f"{label}{families[0]} and {len(families) - 1} more families"], cells, "quiet")[:EXCLUDED_LINES]
