"""The log of a run: it follows its end, is held where somebody reads, and shows the lines that contain a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from opsconsole.core import humanize, times
from screens.exports import Table
from screens.widgets.lines import Line, Piece, crop, line, text

LogLines = Sequence[tuple[datetime, str]]


@dataclass(frozen=True, slots=True)
class Log:
    """The lines of a log in the zone `tz`; `query` selects those that contain it. `held_at` is the number of the last
    line that is shown, None at the end of the log. `dropped` lines were not kept. The name of the `job` is left out
    where it starts a line.
    """

    lines: LogLines
    tz: str
    is_open: bool
    query: str = ""
    held_at: int | None = None
    dropped: int = 0
    job: str = ""


def matching(log: Log) -> LogLines:
    """The lines that contain the query, in any case."""
    query = log.query.casefold()
    return [each for each in log.lines if query in each[1].casefold()] if query else log.lines


def last_shown(log: Log, rows: int) -> int:
    """How many of the matching lines there are down to the last one that is shown."""
    total = len(matching(log))
    return total if log.held_at is None else max(min(rows, total), min(log.held_at, total))


def rows(log: Log, cells: int, room: int) -> list[Line]:
    """The newest `room` lines, or those where the log is held, the last one at the bottom."""
    found, end = matching(log), last_shown(log, room)
    if not found:
        nothing = "no log lines yet" if log.is_open else "no log lines"
        return [line("   ", Piece("no line contains this" if log.query else nothing, "quiet"))]
    return [_line(at, message, log, cells) for at, message in found[max(0, end - room) : end]]


def end(log: Log, query: Line, room: int, keys: Mapping[str, str]) -> Line:
    """The filter, whether the log is followed, and the zone of its times: what is cut off matters least."""
    found, last = matching(log), last_shown(log, room)
    below = len(found) - last
    parts: list[Line] = [query] if query else []
    if log.query:
        parts.append(line(Piece(f"{len(found):,} of {humanize.count(len(log.lines), 'line')}", "quiet")))
    if log.held_at is not None:
        held = f"held, {below:,} newer below" if below else "held"
        parts.append(line(Piece(f"{held} · {keys['follow']} follows", "warn")))
    else:
        parts.append(line(Piece("following" if log.is_open else "complete", "quiet")))
    if log.dropped:
        parts.append(line(Piece(f"{humanize.count(log.dropped, 'line')} not kept", "warn")))
    parts.append(line(text(log.tz, "quiet", 30)))
    gap = Piece(" · ", "quiet")
    return tuple(piece for part in parts for piece in (gap, *part))[1:]


def without_tag(message: str, job: str) -> str:
    """A line without the name of its job in front of it: the page has it above."""
    return message.removeprefix(f"[{job}] ")


def _line(at: datetime, message: str, log: Log, cells: int) -> Line:
    local = at.astimezone(humanize.zone(log.tz))
    time = Piece(f" {local:%H:%M:%S}.{local.microsecond // 1000:03d}  ", "quiet")
    shown = text(without_tag(message, log.job), _style(message))
    start = shown.text.casefold().find(log.query.casefold()) if log.query else -1
    if start < 0 or len(shown.text.casefold()) != len(shown.text):  # folding may change the length
        return crop((time, shown), cells)
    stop = start + len(log.query)
    found = Piece(shown.text[start:stop], "chosen")
    pieces = (time, Piece(shown.text[:start], shown.style), found, Piece(shown.text[stop:], shown.style))
    return crop(pieces, cells)


def _style(message: str) -> str:
    lowered = message.lower()
    return "bad" if "error" in lowered or "unreachable" in lowered else ""


def table(log: Log) -> Table:
    """The matching lines as rows to export."""
    return Table(("at", "line"), [(times.utc(at), message) for at, message in matching(log)])
