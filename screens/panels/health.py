"""The panel of problems, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from opsconsole.core import humanize
from opsconsole.rules import finding_text
from opsconsole.rules.alerts import AlertState
from opsconsole.rules.causes import causes
from opsconsole.rules.findings import FindingKey
from opsconsole.service.snapshot import Finding, Work
from screens.panels import alerts, fixes
from screens.panels.remembered import remembered
from screens.panels.view import UNKNOWN, WIDE, Blocks, Key, View, fitted
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Drawing, Line, Piece, crop, ends, line, text, wrapped

PANEL = "health"
READING = "reading the runs of all jobs"
"""What is shown until the jobs are judged."""


def key(finding: Finding) -> Key:
    """The key of a finding, the same for as long as it lasts, also over retries."""
    return PANEL, f"{finding.subject}|{finding.kind}"


def shown(view: View) -> tuple[Sequence[Finding], Counter[FindingKey]]:
    """The findings that no other one explains, and how many each of them explains."""
    return _shown(view.snapshot.findings)


@remembered
def _shown(findings: tuple[Finding, ...]) -> tuple[Sequence[Finding], Counter[FindingKey]]:
    explained = causes(findings)
    return [each for each in findings if each.key not in explained], Counter(explained.values())


def keys(view: View) -> list[Key]:
    return [key(finding) for finding in shown(view)[0]]


def panel(view: View, cells: int, rows: int) -> Drawing:
    """The findings that no other one explains."""
    title = line(Piece("Health", "title"))
    findings, explains = shown(view)
    if not findings:
        status = line(" ", Piece("✓", "ok"), " no problems: nothing is overdue or has failed")
        if not view.snapshot.jobs:
            status = line("   ", Piece("no jobs", "quiet"))
        if Work.HEALTH in view.snapshot.unread:
            status = line("   ", Piece(READING, "quiet"))
        if view.snapshot.store_outage is not None:
            status = line("   ", Piece(UNKNOWN, "warn"))
        return Drawing([status], title)
    blocks = Blocks(
        [key(each) for each in findings],
        lambda index: _lines(view, findings[index], cells, explains[findings[index].key]),
    )
    visible = fitted(blocks, rows, cells, view.cursor)
    more = line(Piece(f"{visible.hidden} more", "quiet")) if visible.hidden else EMPTY
    return Drawing(visible.lines, title, more, visible.rows)


def details(view: View, finding: Finding, cells: int) -> list[Line]:
    """A finding that is about no job, in full."""
    symbol = symbols.SEVERITY[finding.severity]
    since = humanize.date_and_time(finding.since, view.now)
    head = line(
        Piece(f" {symbol.char} {symbol.word}  ", symbol.style),
        text(finding_text.subject(finding), "strong", 80),
        Piece(f"  since {since}, {humanize.age(view.now - finding.since)}", "quiet"),
    )
    sentences = wrapped([finding_text.sentence(finding, view.now)], cells - 2)
    return [crop(head, cells), *(line(" ", *each) for each in sentences)]


def fix_of(view: View, finding: Finding) -> str:
    """The key and the word of what fixes a finding; empty where nothing does, or this operator may not."""
    return " ".join(view.offer(fixes.OF[finding.remedy] if finding.remedy else None) or ())


def _lines(view: View, finding: Finding, cells: int, explains: int) -> tuple[Line, ...]:
    symbol = symbols.SEVERITY[finding.severity]
    since = humanize.date_and_time(finding.since, view.now)
    ago = Piece(f"  {humanize.age(view.now - finding.since):>6}", "quiet")
    remedy: Line = (Piece("  "), Piece(fix, "key")) if (fix := fix_of(view, finding)) else ()
    card = alerts.of_finding(view.snapshot, finding.key)
    taken = alerts.status(card, view.now) if card is not None and card.state is not AlertState.FIRING else EMPTY
    if taken:
        remedy = (Piece("  "), *(Piece(piece.text, "quiet") for piece in taken))
    subject, sentence = (
        text(finding_text.subject(finding), "strong", 80),
        text(finding_text.sentence(finding, view.now), limit=300),
    )
    mark = line(" ", Piece(symbol.char, symbol.style), " ")
    if explains:
        ago = Piece(f"  explains {explains} more{ago.text}", "quiet")
    if cells >= WIDE:
        return (ends((*mark, Piece(f"{since}  "), subject, Piece(" "), sentence), (ago, *remedy, Piece(" ")), cells),)
    return (
        ends((*mark, subject), line(Piece("  since ", "quiet"), since, ago, " "), cells),
        ends(line("   ", sentence), (*remedy, Piece(" ")), cells),
    )
