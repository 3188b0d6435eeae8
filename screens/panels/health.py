"""The panel of everything that is wrong, worst first."""

from __future__ import annotations

from opsconsole.core import humanize
from opsconsole.service.snapshot import Finding
from screens.panels.view import WIDE, Block, Key, View, fit
from screens.widgets import symbols as look
from screens.widgets.lines import Line, Piece, ends, line, rule, tell

PANEL = "health"


def key(finding: Finding) -> Key:
    """What names a finding for as long as it lasts, though its sentence counts."""
    return PANEL, f"{finding.subject}|{finding.since.isoformat()}|{finding.run}|{finding.mend}"


def keys(view: View) -> list[Key]:
    """The rows that the cursor can stand on."""
    return [key(finding) for finding in view.snapshot.findings]


def panel(view: View, cells: int, rows: int) -> list[Line]:
    """The rule and `rows` lines."""
    findings = view.snapshot.findings
    if not findings:
        well = line(" ", Piece("✓", "ok"), " all is well: nothing is overdue or has failed")
        if not view.snapshot.jobs:
            well = line("   ", Piece("no job is watched", "quiet"))
        away = view.snapshot.store_outage is not None
        return [
            rule("Health", cells),
            line("   ", Piece("not known while the store is unreachable", "warn")) if away else well,
        ]
    shown, hidden = fit([Block(_lines(view, each, cells), key(each)) for each in findings], rows, cells, view.cursor)
    more = line(Piece(f"{hidden} more", "quiet")) if hidden else ()
    return [rule("Health", cells, more), *shown]


def _lines(view: View, finding: Finding, cells: int) -> tuple[Line, ...]:
    seen = look.SEVERITY[finding.severity]
    since = humanize.date_and_time(finding.since, view.now)
    ago = Piece(f"  {humanize.age(view.now - finding.since):>6}", "quiet")
    mend = (Piece("  "), tell(finding.mend, "key", 30)) if finding.mend else ()
    subject, told = tell(finding.subject, "strong", 80), tell(finding.sentence, limit=300)
    mark = line(" ", Piece(seen.symbol, seen.style), " ")
    if cells >= WIDE:
        return (ends((*mark, Piece(f"{since}  "), subject, Piece(" "), told), (ago, *mend, Piece(" ")), cells),)
    return (
        ends((*mark, subject), line(Piece("  since ", "quiet"), since, ago, " "), cells),
        ends(line("   ", told), (*mend, Piece(" ")), cells),
    )
