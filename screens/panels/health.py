"""The panel of everything that is wrong, worst first."""

from __future__ import annotations

from opsconsole.core import humanize
from opsconsole.rules.health import Remedy
from opsconsole.service import wording
from opsconsole.service.snapshot import Finding
from screens.panels.view import WIDE, Block, Key, View, fit
from screens.widgets import symbols as look
from screens.widgets.lines import Line, Piece, ends, line, rule, tell

PANEL = "health"
REMEDIES = {Remedy.TRIGGER: "t trigger", Remedy.RETRY: "r retry"}


def key(finding: Finding) -> Key:
    """The identity of a finding for as long as it lasts."""
    run = finding.run.id if finding.run is not None else None
    return PANEL, f"{finding.subject}|{finding.kind}|{finding.since.isoformat()}|{run}"


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
    remedy = (Piece("  "), Piece(REMEDIES[finding.remedy], "key")) if finding.remedy else ()
    subject, told = tell(finding.subject, "strong", 80), tell(wording.finding(finding, view.now), limit=300)
    mark = line(" ", Piece(seen.symbol, seen.style), " ")
    if cells >= WIDE:
        return (ends((*mark, Piece(f"{since}  "), subject, Piece(" "), told), (ago, *remedy, Piece(" ")), cells),)
    return (
        ends((*mark, subject), line(Piece("  since ", "quiet"), since, ago, " "), cells),
        ends(line("   ", told), (*remedy, Piece(" ")), cells),
    )
