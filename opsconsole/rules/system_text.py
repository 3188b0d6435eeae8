"""Findings about services and this program in words, after their subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from opsconsole.core.humanize import count, duration, words
from opsconsole.rules.findings import Finding, FindingKind


def _locked(finding: Finding) -> str:
    return f"is locked{f' by {finding.reason}' if finding.reason else ''}: no run can start until it is released"


def _slow(finding: Finding) -> str:
    numbers = finding.numbers
    return f"responds slowly: it took {numbers['seconds']:g} s, more than {numbers['limit_seconds']:g} s"


def _evicting(finding: Finding) -> str:
    return f"has evicted {count(finding.count, 'key')} in the last 5 minutes because its memory is full"


def _memory(finding: Finding) -> str:
    limit = finding.numbers["limit_bytes"] / (1 << 20)
    return f"uses {finding.numbers['percent']} % of its {limit:,.0f} MB of memory"


def _not_leading(finding: Finding) -> str:
    why = f": {finding.reason} does not renew its lease" if finding.reason else ""
    return f"is missing, and no job runs{why}; start `opsconsole headless` or the console"


def _leader_lost(finding: Finding) -> str:
    return f"died ({finding.reason}); another process took over"


def _workers(finding: Finding) -> str:
    causes = ", ".join(f"{number} {words(why)}" for why, number in sorted(finding.numbers.items()))
    return f"lost {count(finding.count, 'process', 'processes')} in the last 10 minutes: {causes}"


def _clock(finding: Finding) -> str:
    seconds = finding.numbers["seconds"]
    direction = "forward" if seconds > 0 else "back"
    return f"was set {direction} by {duration(timedelta(seconds=abs(seconds)))}"


def _notifications(finding: Finding) -> str:
    reason = f": {finding.reason}" if finding.reason else ""
    return f"has not delivered {count(finding.count, 'notification')}{reason}"


def _disk(finding: Finding) -> str:
    numbers = finding.numbers
    return f"is on a disk with {numbers['free_mb']:,} MB free ({numbers['free_percent']:g} %)"


def _store_size(finding: Finding) -> str:
    parts = []
    if finding.items:
        parts.append(f"keeps rows that should have been removed days ago, in {', '.join(finding.items)}")
    if finding.numbers:
        free, total = finding.numbers["free_mb"], finding.numbers["total_mb"]
        parts.append(f"has {free:,} of {total:,} MB unused; reclaim them with VACUUM")
    return "; it ".join(parts)


def _growth(finding: Finding) -> str:
    numbers = finding.numbers
    usual = f"usually {numbers['usual_mb']:,g} MB ({numbers['days']} days)"
    return f"grew by {numbers['grown_mb']:,} MB on {finding.since:%Y-%m-%d}; {usual}"


def _unused(finding: Finding) -> str:
    numbers = finding.numbers
    used = f"no query has used it for {count(int(numbers['days']), 'day')}"
    return f"of {finding.reason} takes {numbers['mb']:,g} MB, and {used}"


def _bloated(finding: Finding) -> str:
    numbers = finding.numbers
    return (
        f"of {finding.reason} takes {numbers['mb']:,} MB for entries of {numbers['expected_mb']:,g} MB; "
        f"rebuild it with REINDEX INDEX CONCURRENTLY {finding.subject}"
    )


def _check(finding: Finding) -> str:
    return f"reports: {finding.reason}"


SENTENCES: Mapping[FindingKind, Callable[[Finding], str]] = {
    FindingKind.LOCKED: _locked,
    FindingKind.SLOW: _slow,
    FindingKind.EVICTING: _evicting,
    FindingKind.MEMORY_NEARLY_FULL: _memory,
    FindingKind.NOT_LEADING: _not_leading,
    FindingKind.LEADER_LOST: _leader_lost,
    FindingKind.WORKER_LOST: _workers,
    FindingKind.CLOCK_JUMP: _clock,
    FindingKind.NOTIFICATIONS: _notifications,
    FindingKind.DISK_NEARLY_FULL: _disk,
    FindingKind.STORE_SIZE: _store_size,
    FindingKind.TABLE_GROWTH: _growth,
    FindingKind.UNUSED_INDEX: _unused,
    FindingKind.BLOATED_INDEX: _bloated,
    FindingKind.CHECK: _check,
}
