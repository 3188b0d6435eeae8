"""Joins findings that likely have one cause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from opsconsole.authoring.failures import unreachable
from opsconsole.core.errors import NAMES
from opsconsole.rules.findings import Finding, FindingKey, FindingKind

TOGETHER = timedelta(minutes=10)
"""Failures of one kind that begin this close to each other have one cause."""

_OF_A_JOB: dict[FindingKind, tuple[FindingKind, ...]] = {
    FindingKind.FAILED_RUN: (
        FindingKind.FAILING_REPEATEDLY,
        FindingKind.FAILING_ITEMS,
        FindingKind.LOW_SUCCESS_RATE,
        FindingKind.NO_GOOD_RUN,
    ),
    FindingKind.FAILING_ITEMS: (FindingKind.LOW_SUCCESS_RATE,),
    FindingKind.SLOW_RUN: (FindingKind.LONG_RUN,),
    FindingKind.LATE: (FindingKind.NO_GOOD_RUN,),
    FindingKind.OVERDUE: (FindingKind.NO_GOOD_RUN,),
}
"""What a finding explains of the same job."""
_NOT_STARTED = (FindingKind.LATE, FindingKind.OVERDUE)
_FAILED = (FindingKind.FAILED_RUN, FindingKind.FAILING_REPEATEDLY)


def causes(findings: Iterable[Finding]) -> dict[FindingKey, FindingKey]:
    """For each finding that another one likely explains, the key of that one, which nothing explains. A warning never
    explains what is critical: that would hide it.
    """
    found = sorted(findings, key=lambda finding: finding.since)
    severities = {each.key: each.severity for each in found}
    direct: dict[FindingKey, FindingKey] = {}
    for explain in (_unreachable, _not_leading, _same_job, _same_windows, _same_kind):
        for effect, cause in explain(found):
            root = _root(direct, cause.key)
            if root != effect.key and severities[root] >= effect.severity:  # no circle
                direct.setdefault(effect.key, cause.key)
    return {effect: _root(direct, effect) for effect in direct}


def _unreachable(found: list[Finding]) -> Iterator[tuple[Finding, Finding]]:
    for dependency, name in NAMES.items():
        outage = next((each for each in found if each.key == (FindingKind.UNREACHABLE, name)), None)
        if outage is None:
            outage = next((each for each in found if each.key == (FindingKind.LOCKED, name)), None)
        if outage is None:
            continue
        for each in found:
            is_failure = each.kind in _FAILED and each.reason == unreachable(dependency)
            is_waiting = each.kind in _NOT_STARTED and dependency in ("data", "store")
            is_leaderless = each.kind is FindingKind.NOT_LEADING and dependency == "store"
            if is_failure or is_waiting or is_leaderless:
                yield each, outage


def _not_leading(found: list[Finding]) -> Iterator[tuple[Finding, Finding]]:
    nobody = next((each for each in found if each.kind is FindingKind.NOT_LEADING), None)
    if nobody is not None:
        yield from ((each, nobody) for each in found if each.kind in _NOT_STARTED)


def _same_job(found: list[Finding]) -> Iterator[tuple[Finding, Finding]]:
    by_key = {each.key: each for each in found}
    for each in found:
        for kind in _OF_A_JOB.get(each.kind, ()):
            effect = by_key.get((kind, each.subject))
            if effect is not None:
                yield effect, each
        incomplete = by_key.get((FindingKind.INCOMPLETE_WINDOWS, each.subject))
        is_same = incomplete is not None and each.run is not None and set(incomplete.items) == {each.run.window.label}
        if incomplete is not None and each.kind is FindingKind.FAILED_RUN and is_same:
            yield incomplete, each


def _same_windows(found: list[Finding]) -> Iterator[tuple[Finding, Finding]]:
    """Windows that are incomplete in a job explain the same ones of a job that runs after it."""
    incomplete = {each.subject: each for each in found if each.kind is FindingKind.INCOMPLETE_WINDOWS}
    for each in incomplete.values():
        for name in each.jobs:
            if name in incomplete and set(each.items) <= set(incomplete[name].items):
                yield each, incomplete[name]


def _same_kind(found: list[Finding]) -> Iterator[tuple[Finding, Finding]]:
    """Of failures of one kind in several jobs, the oldest explains those that began soon after it."""
    oldest: dict[str, Finding] = {}
    for each in found:
        if each.kind is not FindingKind.FAILED_RUN or not each.reason:
            continue
        first = oldest.setdefault(each.reason, each)
        if each.since - first.since > TOGETHER:
            oldest[each.reason] = each
        elif first is not each:
            yield each, first


def _root(direct: dict[FindingKey, FindingKey], key: FindingKey) -> FindingKey:
    while key in direct:
        key = direct[key]
    return key
