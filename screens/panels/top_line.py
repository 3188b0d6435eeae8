"""The top line and the verdict: environment, leader, connections, and the worst problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from opsconsole.core import humanize
from opsconsole.rules import finding_text
from opsconsole.service import confirmations
from opsconsole.service.snapshot import Finding, FindingKind, Outage, Preparation, Severity, Work
from screens.panels import fixes, pauses
from screens.panels.health import READING, fix_of, shown
from screens.panels.view import View, stale
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Line, Piece, bar, ends, line, text, width

CONSOLE = "console"
_LEADER_FORMS = ((" since {}", True), (" since {}", False), ("", False))
"""Whether the start of the leadership and other operators are shown: the first form that fits is used."""

RECONNECTS = "start it again; this console reconnects automatically"
_RECONNECTS, _WAIT = line(Piece(RECONNECTS, "key")), line(Piece("wait, or quit and start again", "key"))


def top_line(view: View, cells: int) -> Line:
    """Environment, leader, operators, connections of store, data database and Redis, firing alerts, and the time.

    Where there is little room, other operators are left out first, then the start of the leadership, then that of an
    outage. All times have the zone of the clock at the end of the line.
    """
    environment = _environment(view)
    start: Line = ()
    end: Line = ()
    for outage, (since, with_operators) in product((" since {} UTC", " {}", ""), _LEADER_FORMS):
        end = _services(view, outage)
        start = (*environment, _leader(view, since), *(_operators(view) if with_operators else ()))
        if width(start) + width(end) <= cells:
            break
    return ends(start, end, cells)


def _environment(view: View) -> Line:
    name = view.snapshot.environment
    if confirmations.is_production(name):
        start = line(" ", text(f" {name.upper()} ", "alarm", 24), " ")
    else:
        start = line(" ", text(name or "opsconsole", "title", 24), "  ")
    return (*start, Piece("read-only", "warn"), Piece("  ")) if view.read_only else start


def _operators(view: View) -> Line:
    """Who has a console open; empty when this is the only one."""
    consoles = [each.who for each in view.snapshot.attached if each.interface == CONSOLE]
    if len(consoles) < 2:
        return EMPTY
    names = [f"{who} ({n})" if n > 1 else who for who, n in Counter(consoles).items()]
    return line("  ", text(", ".join(names), "quiet", 60))


class Verdict(NamedTuple):
    """A problem: how bad it is, what is wrong, what to do about it, and for how long it has been so."""

    symbol: symbols.Symbol
    message: Line
    remedy: Line = EMPTY
    ago: Line = EMPTY


def verdict(view: View, cells: int, keys: Sequence[tuple[str, str]] = ()) -> Line:
    """The worst problem and the keys for it, or its remedy; empty without problems."""
    if (preparation := view.snapshot.preparation) is not None:
        return _preparation(preparation, cells)
    worst = _verdicts(view)
    if not worst:
        return EMPTY
    symbol, message, remedy, ago = worst[0]
    start = line(" ", Piece(f"{symbol.char} {symbol.word.upper()}", symbol.style), "  ", *message)
    more = [Piece(f"  +{len(worst) - 1} more ", "quiet")] if len(worst) > 1 else [Piece(" ")]
    end = [Piece("  "), *remedy, *more] if remedy else more
    if keys and remedy != _RECONNECTS:
        for chosen in (keys, keys[1:], keys[1:2]):  # the one that fixes it is the last to give way
            words = [
                each for key, word in chosen or keys for each in (Piece(f"  {key}", "key"), Piece(f" {word}", "quiet"))
            ]
            end = [*words, *more]
            if width(start) + width(end) <= cells:
                break
    if remedy == _RECONNECTS and width(start) + width(end) > cells:
        end = more
    whole = (*start, *ago)
    return ends(whole if width(whole) + width(end) <= cells else start, tuple(end), cells)


def _preparation(preparation: Preparation, cells: int) -> Line:
    """What the demo still prepares, as a progress bar."""
    if preparation.problem:
        problem = text(preparation.problem, limit=300)
        return line(" ", Piece("✗ NOT PREPARED", "bad"), "  ", problem, Piece("; quit and start again", "quiet"))
    end = line("  ", *bar(preparation.share, cells // 4), Piece(f" {int(100 * preparation.share):3} % "))
    return ends(line(" ", Piece("◷ PREPARING", "live"), "  ", text(preparation.step, limit=100)), end, cells)


def _verdicts(view: View) -> list[Verdict]:
    snapshot = view.snapshot
    if view.step and not snapshot.findings:
        return [Verdict(symbols.STARTING, line(text(view.step)))]
    critical, warning = symbols.SEVERITY[Severity.CRITICAL], symbols.SEVERITY[Severity.WARNING]
    found: list[Verdict] = []
    is_leading = snapshot.leader is not None and snapshot.leader.is_me
    is_found = snapshot.store_lock is not None or any(each.subject == Work.ENGINE for each in snapshot.findings)
    if snapshot.engine_problem and not is_leading and not is_found:
        found.append(Verdict(critical, line("this process cannot lead: ", text(snapshot.engine_problem, limit=300))))
    findings = shown(view)[0]
    found += [_finding(view, finding) for finding in findings[:1]]
    found += [Verdict(symbols.SEVERITY[each.severity], EMPTY) for each in findings[1:]]  # only counted
    is_known = snapshot.store_outage is snapshot.store_lock is None and snapshot.why_unknown(Work.LEADER) is None
    if snapshot.leader is None and is_known and snapshot.jobs:
        no_leader = Verdict(warning, line("no leader: no run starts until a process leads"))
        found.insert(sum(severity is critical for severity, *_ in found), no_leader)
    pause = pauses.of_all(snapshot.pauses, view.now)
    if pause is not None:
        status = pauses.status(pause, view.now, "UTC", 60, symbols.PAUSED.word)
        offer = view.offer(fixes.RESUME)
        remedy = line(Piece(offer[0], "key"), Piece(f" {offer[1]}", "quiet")) if offer is not None else EMPTY
        found.append(Verdict(symbols.PAUSED, line("all jobs are ", *status), remedy))
    if not found and Work.HEALTH in snapshot.unread:
        found.append(Verdict(symbols.STARTING, line(READING)))
    if not found and stale(view):
        found.append(Verdict(warning, line("no update from the store"), _WAIT))
    return found


def _finding(view: View, finding: Finding) -> Verdict:
    sentence = text(finding_text.sentence(finding, view.now), limit=300)
    message = line(text(finding_text.subject(finding), "strong", 80), " ", sentence)
    # A page that offers keys draws those instead; without them, the key acts on something else here.
    fix = fix_of(view, finding)
    remedy = _RECONNECTS if finding.kind is FindingKind.UNREACHABLE else line(text(fix, "quiet", 60)) if fix else EMPTY
    ago = line(Piece(f" · {humanize.age(view.now - finding.since)}", "quiet"))
    return Verdict(symbols.SEVERITY[finding.severity], message, remedy, ago)


def _leader(view: View, since: str) -> Piece:
    leader = view.snapshot.leader
    if view.snapshot.store_outage is not None or view.snapshot.why_unknown(Work.LEADER) is not None or stale(view):
        # The lease that was last read may have expired.
        return Piece("leader unknown", "warn")
    if leader is None and view.step:
        return Piece("starting", "quiet")
    if leader is None:
        return Piece("no leader", "warn")
    start = since.format(humanize.date_and_time(leader.since, view.now).removesuffix(" UTC"))
    style = ""
    if leader.is_late:
        start, style = f", lease {leader.age_seconds:.0f} s old", "warn"
    if leader.is_me:
        return Piece(f"leading{start}", style)
    return text(f"observing {leader.host}/{leader.pid}{start}", style, limit=90)


def _services(view: View, form: str) -> Line:
    snapshot = view.snapshot
    if view.step and not snapshot.jobs:
        return line(" ", humanize.clock(view.now, seconds=True), " ")
    locked = snapshot.store_lock
    store = (
        _service("store", snapshot.store_outage, form) if locked is None else _service("store", locked, form, "locked")
    )
    parts = [Piece(" "), store]
    if snapshot.data_outage is not None:
        parts += [Piece(" · ", "quiet"), _service("data", snapshot.data_outage, form)]
    redis = snapshot.redis
    is_known = redis.outage is not None or redis.stats is not None
    unknown = Piece("redis unknown", "quiet" if redis.unknown is None else "warn")
    status = _service("redis", redis.outage, form) if is_known else unknown
    parts += [Piece(" · ", "quiet"), status]
    if firing := snapshot.firing:
        style = symbols.SEVERITY[max(card.alert.severity for card in firing)].style
        parts += [Piece(" · ", "quiet"), Piece(humanize.count(len(firing), "alert"), style)]
    return line(*parts, Piece(" · ", "quiet"), humanize.clock(view.now, seconds=True), " ")


def _service(name: str, outage: Outage | None, form: str, how: str = "down") -> Piece:
    if outage is None:
        return Piece(f"{name} ok", "ok")
    return Piece(f"{name} {how}{form.format(f'{outage.since:%H:%M}')}", "bad")
