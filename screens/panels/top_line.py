"""The top line and the verdict: where one is, who leads, and the worst that is wrong."""

from __future__ import annotations

from collections import Counter
from itertools import product

from opsconsole.core import humanize
from opsconsole.service import wording
from opsconsole.service.snapshot import Finding, FindingKind, Outage, Severity
from screens.panels import pauses
from screens.panels.health import REMEDIES
from screens.panels.view import View, stale
from screens.widgets import symbols as look
from screens.widgets.lines import EMPTY, Line, Piece, ends, line, tell, width

PRODUCTION = ("production", "prod")
CONSOLE = "console"
_LEADER_FORMS = ((" since {}", True), (" since {}", False), ("", False))
"""How since when somebody leads is said, and whether the others are named: the first that fits."""

COMES_BACK = "start it again; this console reconnects by itself"


def top_line(view: View, cells: int) -> Line:
    """Environment, who leads and who is attached, whether store, data and Redis answer, and the time.

    Where there is little room whoever else is attached gives way first, then since when somebody leads, then since when
    a service is unreachable. The zone of `since` is that of the time at the end of the line.
    """
    start = _environment(view)
    end: Line = ()
    told: Line = ()
    for away, (since, people) in product((" away since {} UTC", " away {}", " away"), _LEADER_FORMS):
        end = _services(view, away)
        told = (*start, _leader(view, since), *(_people(view) if people else ()))
        if width(told) + width(end) <= cells:
            break
    return ends(told, end, cells)


def _environment(view: View) -> Line:
    name = view.snapshot.environment
    if name.lower() in PRODUCTION:
        start = line(" ", tell(f" {name.upper()} ", "alarm", 24), " ")
    else:
        start = line(" ", tell(name or "opsconsole", "title", 24), "  ")
    return (*start, Piece("read-only", "warn"), Piece("  ")) if view.read_only else start


def _people(view: View) -> Line:
    """Who sits at a console, nobody when it is one alone: that is whoever reads this."""
    consoles = [each.who for each in view.snapshot.attached if each.interface == CONSOLE]
    if len(consoles) < 2:
        return EMPTY
    names = [f"{who} ({n})" if n > 1 else who for who, n in Counter(consoles).items()]
    return line("  ", tell(", ".join(names), "quiet", 60))


def verdict(view: View, cells: int) -> Line:
    """The worst that is wrong and what to do about it; empty when all is well."""
    worst = _verdicts(view)
    if not worst:
        return EMPTY
    seen, told, mend = worst[0]
    start = line(" ", Piece(f"{seen.symbol} {seen.word.upper()}", seen.style), "  ", *told)
    more = [Piece(f"  +{len(worst) - 1} more ", "quiet")] if len(worst) > 1 else [Piece(" ")]
    end = [Piece("  "), tell(mend, "key", 60), *more] if mend else more
    if mend == COMES_BACK and width(start) + width(end) > cells:
        end = more
    return ends(start, tuple(end), cells)


def _verdicts(view: View) -> list[tuple[look.Symbol, Line, str]]:
    snapshot = view.snapshot
    critical, warning = look.SEVERITY[Severity.CRITICAL], look.SEVERITY[Severity.WARNING]
    found: list[tuple[look.Symbol, Line, str]] = []
    if snapshot.engine_problem:
        found.append((critical, line("this process cannot lead: ", tell(snapshot.engine_problem, limit=300)), ""))
    found += [_finding(view, finding) for finding in snapshot.findings]
    if snapshot.leader is None and snapshot.store_outage is None and snapshot.jobs:
        nobody = (warning, line("nobody leads: no run starts until somebody does"), "")
        found.insert(sum(severity is critical for severity, *_ in found), nobody)
    everything = pauses.of_all(snapshot.pauses, view.now)
    if everything is not None:
        told = line("all jobs are ", *pauses.told(everything, view.now, "UTC", 60, look.PAUSED.word))
        found.append((look.PAUSED, told, "u resume"))
    if not found and stale(view):
        found.append((warning, line("nothing new is heard from the store"), "wait, or quit and start again"))
    return found


def _finding(view: View, finding: Finding) -> tuple[look.Symbol, Line, str]:
    ago = humanize.age(view.now - finding.since)
    sentence = tell(wording.finding(finding, view.now), limit=300)
    told = line(tell(finding.subject, "strong", 80), " ", sentence, Piece(f" · {ago}", "quiet"))
    if finding.kind is FindingKind.UNREACHABLE:
        return look.SEVERITY[finding.severity], told, COMES_BACK
    return look.SEVERITY[finding.severity], told, REMEDIES[finding.remedy] if finding.remedy else ""


def _leader(view: View, since: str) -> Piece:
    leader = view.snapshot.leader
    if view.snapshot.store_outage is not None:
        # What stood in the lease when the store was last read proves nothing now.
        return Piece("leader unknown", "warn")
    if leader is None:
        return Piece("nobody leads", "warn")
    began = since.format(humanize.date_and_time(leader.since, view.now).removesuffix(" UTC"))
    if leader.is_me:
        return Piece(f"leading{began}")
    return tell(f"observing {leader.host}/{leader.pid}{began}", limit=90)


def _services(view: View, form: str) -> Line:
    snapshot = view.snapshot
    parts = [Piece(" "), _service("store", snapshot.store_outage, form)]
    if snapshot.data_outage is not None:
        parts += [Piece(" · ", "quiet"), _service("data", snapshot.data_outage, form)]
    redis = snapshot.redis
    known = redis.outage is not None or redis.stats is not None
    parts += [
        Piece(" · ", "quiet"),
        _service("redis", redis.outage, form) if known else Piece("redis unknown", "quiet"),
    ]
    return line(*parts, Piece(" · ", "quiet"), humanize.clock(view.now, seconds=True), " ")


def _service(name: str, away: Outage | None, form: str) -> Piece:
    if away is None:
        return Piece(f"{name} ok", "ok")
    return Piece(name + form.format(f"{away.since:%H:%M}"), "bad")
