"""What is said of cached keys before they are cleared, and while they are: counts, a question, how far it is."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from opsconsole.cache.clearing import ClearFilter, ClearProgress
from opsconsole.core import humanize
from opsconsole.service import confirmations as guard
from opsconsole.service.snapshot import CommandProgress
from screens.panels.questions import CANCEL, Question
from screens.widgets.lines import EMPTY, Line, Piece, crop, line, right, tell, wrapped

ANY_FAMILY = "any"
TOLD_LINES = 11
"""The dialog keeps its height whatever it has to say."""
FAMILIES, SAMPLES, ALONE = 5, 3, 2
NOTHING_NAMED = "name a user, a subject, a family or a date; all that is named must be so"


def found(swept: ClearProgress, wanted: ClearFilter, cells: int) -> list[Line]:
    """What a count has found, or has found so far: keys of each family, a few of them, families left alone."""
    there = sorted(((name, keys) for name, keys in swept.found.items() if keys), key=lambda row: (-row[1], row[0]))
    lines = [_headline(swept, wanted, len(there)), *_families(there)]
    for index, key in enumerate(swept.samples[:SAMPLES]):
        lines.append(line(Piece("such as  " if index == 0 else "         ", "quiet"), tell(key, limit=200)))
    lines += _skipped_families(swept.skipped_families, cells)
    return [crop(each, cells) for each in lines]


def of_height(lines: Sequence[Line]) -> list[Line]:
    """So many lines as the dialog has room for, whatever there is to say."""
    return [*lines, *[EMPTY] * (TOLD_LINES - len(lines))][:TOLD_LINES]


def question(wanted: ClearFilter, counted: ClearProgress, environment: str) -> Question:
    """Whether what was counted shall go. The cursor stands on Cancel."""
    same = f"The same: {command(wanted)}"
    jobs = "What jobs have cached comes back when they run; what is read through the cache, when it is read."
    asked = guard.clear_question(counted, environment)
    return Question("Clear cached keys", (asked, f"All of {wanted}.", jobs, "", same), (_button(counted), CANCEL), 1)


def command(wanted: ClearFilter) -> str:
    """What does the same, typed at a prompt."""
    named = {**wanted.parts, "family": wanted.family}
    options = [f"--{name} {shlex.quote(value)}" for name, value in named.items() if value is not None]
    return " ".join(("opsconsole cache clear", *options))


def how_far(name: str, now: CommandProgress) -> str:
    """How far a command is that goes through the server's keys."""
    gone = f", {now.cleared:,} cleared" if now.cleared else ""
    return f"{name}: {now.step}, {now.scanned:,} of {humanize.count(now.of, 'key')} looked at{gone}"


def _headline(swept: ClearProgress, wanted: ClearFilter, families: int) -> Line:
    what = f"{humanize.count(swept.total, 'key')} of {humanize.count(families, 'family', 'families')}"
    if not swept.done:
        share = f"counting: {swept.scanned:,} of {swept.of:,} keys looked at, {swept.total:,} found"
        return line(Piece(share, "live"))
    if swept.total:
        return line(Piece(what, "strong"))
    return line(Piece("nothing to clear: ", "quiet"), "no key is cached of ", tell(wanted))


def _families(there: Sequence[tuple[str, int]]) -> list[Line]:
    shown = there if len(there) <= FAMILIES else there[: FAMILIES - 1]
    lines = [line(right(f"{keys:,}", 9), "  ", tell(name, limit=60)) for name, keys in shown]
    more = there[len(shown) :]
    if more:
        keys = sum(keys for _, keys in more)
        lines.append(line(right(f"{keys:,}", 9), Piece(f"  of {len(more)} more families", "quiet")))
    return lines


def _skipped_families(families: Sequence[str], cells: int) -> list[Line]:
    """All their names where two lines have room for them, else the first and how many there are."""
    if not families:
        return []
    said = "left alone, having no such part: "
    whole = wrapped([said + ", ".join(families)], cells, "quiet")
    if len(whole) <= ALONE:
        return whole
    return wrapped([f"{said}{families[0]} and {len(families) - 1} more families"], cells, "quiet")[:ALONE]


def _button(counted: ClearProgress) -> str:
    return f"Clear {humanize.count(counted.total, 'key')}"
