"""Who did what, whether that record is unchanged, and who is attached now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from opsconsole.core import humanize, times
from opsconsole.rules.audit import AuditEntry, AuditProblem, Verification
from opsconsole.service import wording
from opsconsole.service.snapshot import Work
from screens.exports import Cell, Table
from screens.panels.view import Block, Fitted, Key, View, empty, fitted, hint
from screens.widgets.lines import EMPTY, Line, Piece, crop, left, line, text, wrapped
from screens.widgets.names import middle
from screens.widgets.symbols import Symbol

if TYPE_CHECKING:
    from opsconsole.service.snapshot import Attached

PANEL = "audit"
MEDIUM, WIDE = 78, 110
LABEL_CELLS = 10
MAX_VALUE = 400
OUTCOMES = {
    "requested": Symbol("◷", "requested", "quiet"),
    "done": Symbol("✓", "done", "ok"),
    "refused": Symbol("✗", "refused", "bad"),
}
PROBLEMS = {
    AuditProblem.ROW_CHANGED: "row {} was changed",
    AuditProblem.PREVIOUS_ROW_MISSING: "the row before row {} is missing or was changed",
}
UNSHOWN = ("reads",)
"""What only the page of the cache uses."""
NO_ROW = "nothing has been requested yet"
NO_MATCH = "no row matches; {back} clears the filter"


def key(entry: AuditEntry) -> Key:
    return PANEL, str(entry.id)


def rows(
    entries: Sequence[AuditEntry] | None,
    now: datetime,
    cells: int,
    room: int,
    cursor: Key | None,
    *,
    nothing: str = NO_ROW,
    has_failed: bool = False,
) -> Fitted:
    """One line for each row, the one under the cursor included; `nothing` is shown without one. `entries` is None until
    they are loaded, or if that has failed.
    """
    if entries is None:
        return fitted([hint("unknown" if has_failed else "loading")], room, cells, None)
    if not entries:
        return fitted([hint(nothing)], room, cells, None)
    blocks = [Block((crop(_row(entry, now, cells), cells),), key(entry)) for entry in entries]
    return fitted(blocks, room, cells, cursor)


def _row(entry: AuditEntry, now: datetime, cells: int) -> Line:
    symbol = OUTCOMES.get(entry.outcome, Symbol("·", entry.outcome, ""))
    if cells < MEDIUM:
        return line(
            "   ",
            left(humanize.date_and_time(entry.at, now).removesuffix(" UTC"), 13),
            left(entry.who, 9, "strong"),
            Piece(f" {symbol.char} ", symbol.style),
            text(f"{humanize.words(entry.verb)} {entry.target}", limit=MAX_VALUE),
        )
    is_wide = cells >= WIDE
    target = max(12, cells - (71 if is_wide else 62))
    return line(
        "   ",
        left(humanize.date_and_time(entry.at, now), 17),
        left(entry.who, 20 if is_wide else 12, "strong"),
        " ",
        Piece(symbol.char, symbol.style),
        " ",
        left(humanize.words(entry.verb), 17 if is_wide else 16),
        left(middle(entry.target, target), target),
        " ",
        text(symbol.word, symbol.style, 40),
    )


def end(verified: Verification | None, *, is_running: bool, error: str = "") -> Line:
    """How much of the trail is proven to be unchanged."""
    if error:
        return line(text(f"not verified: {error}", "warn", 120))
    if verified is None:
        return line(Piece("verifying", "live")) if is_running else EMPTY
    if verified.problem is not None:
        sentence = PROBLEMS.get(verified.problem, humanize.words(verified.problem)).format(verified.broken)
        return line(Piece(f"✗ {sentence}", "bad"))
    if verified.seal is None:
        return EMPTY
    if is_running:
        return line(Piece(f"verifying: row {verified.seal.row:,}", "live"))
    return line(Piece("✓ ", "ok"), Piece(f"verified to seal {verified.seal.row}:{verified.seal.hash[:8]}", "quiet"))


def entry_end(entry: AuditEntry | None) -> Line:
    """The number of a row and of its command."""
    if entry is None:
        return EMPTY
    command = f" · command {entry.command}" if entry.command is not None else ""
    return line(Piece(f"row {entry.id}{command}", "quiet"))


def details(entry: AuditEntry, cells: int, room: int) -> list[Line]:
    """Who, from where and when; what was requested and what came of it."""
    return [crop(each, cells) for each in _details(entry, cells)][:room]


def _details(entry: AuditEntry, cells: int) -> Iterator[Line]:
    yield line(
        " ",
        left("who", LABEL_CELLS, "quiet"),
        text(entry.who, "strong", 80),
        Piece(" from ", "quiet"),
        text(entry.origin or "-", limit=80),
        Piece(f"  {humanize.timestamp(entry.at)}", "quiet"),
    )
    yield line(
        " ",
        left("what", LABEL_CELLS, "quiet"),
        text(humanize.words(entry.verb), "strong", 80),
        " ",
        text(entry.target, limit=MAX_VALUE),
    )
    sentence = _sentence(entry)
    if sentence:
        for index, each in enumerate(wrapped([sentence], cells - LABEL_CELLS - 2, OUTCOMES[entry.outcome].style)):
            yield line(" ", left(entry.outcome if index == 0 else "", LABEL_CELLS, "quiet"), *each)
    for label, values in (("with", entry.before), ("after", entry.after)):
        shown = [
            f"{humanize.words(str(name))} {_value(value)}"
            for name, value in (values or {}).items()
            if name not in UNSHOWN and value not in (None, "", [], {})
        ]
        for index, each in enumerate(wrapped([" · ".join(shown)], cells - LABEL_CELLS - 2) if shown else []):
            yield line(" ", left(label if index == 0 else "", LABEL_CELLS, "quiet"), *each)


def sentence(entry: AuditEntry) -> str:
    """A row as a line of text; contains untrusted text."""
    parts = (humanize.timestamp(entry.at), entry.who, humanize.words(entry.verb), entry.target, entry.outcome)
    return f"{' '.join(parts)} (row {entry.id})"


def table(entries: Sequence[AuditEntry]) -> Table:
    """Rows as a table; arguments and outcome as JSON."""
    rows: list[Sequence[Cell]] = []
    for each in entries:
        who = each.command, each.who, each.origin
        what = each.verb, each.target, each.outcome, _value(each.before or {}), _value(each.after or {})
        rows.append((each.id, times.utc(each.at), *who, *what))
    return Table(
        ("id", "at", "command", "actor", "origin", "action", "target", "outcome", "before", "after"),
        rows,
    )


def _sentence(entry: AuditEntry) -> str:
    """What came of a command; empty where that is only in its values."""
    outcome: Mapping[str, Any] = entry.after or {}
    if entry.outcome == "refused":
        return str(outcome.get("message", ""))
    if entry.outcome != "done":
        return ""
    try:
        return wording.done(entry.verb, outcome) or ""
    except (KeyError, TypeError, ValueError):  # written by another version
        return ""


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


# --- who is attached ----------------------------------------------------------------------------------------------


def attached_rows(view: View, cells: int, room: int) -> list[Line]:
    """The attached processes: who, the interface or page, the host, and since when; the leader is marked."""
    found = view.snapshot.attached
    if not found:
        return list(empty(view, Work.ATTACHED, "no console or headless process is attached").lines)
    lines = [crop(_attached(each, view, cells), cells) for each in found]
    if len(lines) > room:
        lines = [*lines[: room - 1], line(Piece(f"   and {len(lines) - room + 1} more", "quiet"))]
    return lines


def attached_end(view: View) -> Line:
    """How many consoles, headless processes and workers there are."""
    found = view.snapshot.attached
    consoles = sum(each.interface == "console" for each in found)
    workers = sum(each.interface == "worker" for each in found)
    others = len(found) - consoles - workers
    parts = [humanize.count(consoles, "console")] if consoles else []
    parts += [f"{others} headless"] if others else []
    parts += [humanize.count(workers, "worker")] if workers else []
    return line(Piece(" · ".join(parts), "quiet")) if parts else EMPTY


def _attached(process: Attached, view: View, cells: int) -> Line:
    leader = view.snapshot.leader
    leads = leader is not None and (leader.host, leader.pid) == (process.host, process.pid)
    where = process.screen or process.interface
    return line(
        "   ",
        left(process.who, 20 if cells >= WIDE else 12, "strong"),
        left(where, 24 if cells >= WIDE else 20),
        left(f"{process.host}/{process.pid}", 22 if cells >= WIDE else 19),
        left(f"from {process.origin}" if process.origin else "", 20 if cells >= WIDE else 0),
        Piece(f"since {humanize.date_and_time(process.since, view.now)}", "quiet"),
        Piece("  leads" if leads else "", "live"),
    )
