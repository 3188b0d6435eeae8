"""Alerts from findings: which fire, become worse, change and are resolved; and the states that operators see."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from opsconsole.rules.alert_changes import SEVERITY_KEPT, Judgement, concerned, evidence, reconcile
from opsconsole.rules.alerts import (
    Acknowledgement,
    Alert,
    AlertState,
    Silence,
    causes_first,
    silence_of,
    state_of,
    target_of,
)
from opsconsole.rules.findings import ENDED, Finding, FindingKind, Severity

NOON = datetime(2026, 1, 19, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
JOB = "shop.invoices"


def finding(
    kind: FindingKind = FindingKind.FAILED_RUN,
    subject: str = JOB,
    severity: Severity = Severity.WARNING,
    *,
    count: int = 1,
) -> Finding:
    return Finding(severity, kind, subject, NOON, count=count, reason="because")


def alert(number: int = 1, of: Finding | None = None, **values: object) -> Alert:
    found = of or finding()
    made = Alert(
        number,
        found.kind,
        found.subject,
        found.severity,
        NOON,
        NOON,
        "failed",
        evidence=evidence(found),
        job=JOB,
        pack="shop",
        baseline=found.count,
    )
    return replace(made, **values)  # type: ignore[arg-type]


def found(*findings: Finding, unknown: frozenset[FindingKind] = frozenset()) -> Judgement:
    return Judgement(findings, {}, unknown)


# --- firing and resolving -----------------------------------------------------------------------------------------


def test_a_new_finding_fires_once() -> None:
    first = reconcile([], found(finding(), finding(severity=Severity.CRITICAL)), (), NOON)
    assert [(each.key, each.severity) for each in first.fired] == [
        ((FindingKind.FAILED_RUN, JOB), Severity.CRITICAL)
    ], "one of a rule and subject, the worst"

    again = reconcile([alert(message="failed")], found(finding()), (), NOON, refresh=False)
    assert not again


def test_an_alert_is_resolved_when_two_looks_in_a_row_do_not_find_it() -> None:
    open_alert = alert()

    first = reconcile([open_alert], found(), (), NOON)
    second = reconcile([open_alert], found(), first.absent, NOON)

    assert (first.resolved, first.absent) == ((), frozenset({1}))
    assert second.resolved == (open_alert,)


def test_a_finding_that_is_back_after_one_look_resolves_nothing() -> None:
    open_alert = alert()
    absent = reconcile([open_alert], found(), (), NOON).absent

    back = reconcile([open_alert], found(finding()), absent, NOON, refresh=False)
    gone = reconcile([open_alert], found(), back.absent, NOON)

    assert (back.resolved, back.absent) == ((), frozenset())
    assert (gone.resolved, gone.absent) == ((), frozenset({1})), "counting starts again"


def test_facts_that_cannot_be_read_resolve_nothing() -> None:
    unknown = frozenset({FindingKind.FAILED_RUN})
    other = alert(2, finding(FindingKind.UNREACHABLE, "Redis"))

    changes = reconcile([alert(), other], found(unknown=unknown), {1, 2}, NOON)

    assert changes.resolved == (other,)
    assert changes.absent == frozenset()


# --- getting worse ------------------------------------------------------------------------------------------------


def test_a_higher_severity_is_worse_and_a_lower_one_a_change() -> None:
    warning, critical = finding(), finding(severity=Severity.CRITICAL)

    up = reconcile([alert(of=warning)], found(critical), (), NOON)
    down = reconcile([alert(of=critical)], found(warning), (), NOON + SEVERITY_KEPT)

    assert [each.severity for _, each in up.worse] == [Severity.CRITICAL]
    assert (down.worse, [each.severity for _, each in down.changed]) == ((), [Severity.WARNING])


def test_a_severity_that_falls_and_rises_again_is_not_worse_again() -> None:
    warning, critical = finding(), finding(severity=Severity.CRITICAL)
    fired = alert(of=critical)
    risen = alert(of=critical, worse_at=NOON + HOUR)

    for open_alert, at in ((fired, NOON), (risen, NOON + HOUR)):
        soon = at + SEVERITY_KEPT - MINUTE
        assert not reconcile([open_alert], found(warning), (), soon, refresh=False)
        lower = reconcile([open_alert], found(replace(warning, reason="less")), (), soon)
        assert [each.severity for _, each in lower.changed] == [Severity.CRITICAL], "only the words change"
        assert not reconcile([open_alert], found(critical), (), soon, refresh=False).worse

        later = reconcile([open_alert], found(warning), (), at + SEVERITY_KEPT)
        assert [each.severity for _, each in later.changed] == [Severity.WARNING]


def test_an_alert_that_fired_as_a_warning_is_worse_at_once() -> None:
    assert reconcile([alert()], found(finding(severity=Severity.CRITICAL)), (), NOON, refresh=False).worse


def test_failures_that_double_are_worse_while_the_severity_is_kept() -> None:
    open_alert = alert(of=finding(severity=Severity.CRITICAL, count=2))

    ((_, worse),) = reconcile([open_alert], found(finding(count=4)), (), NOON, refresh=False).worse
    assert (worse.severity, worse.count) == (Severity.CRITICAL, 4)


def test_twice_as_many_failures_are_worse_but_not_a_few_more() -> None:
    open_alert = alert(of=finding(count=10))

    assert not reconcile([open_alert], found(finding(count=19)), (), NOON, refresh=False).worse
    assert reconcile([open_alert], found(finding(count=20)), (), NOON, refresh=False).worse


def test_a_count_that_is_no_count_of_failures_makes_nothing_worse() -> None:
    check = finding(FindingKind.CHECK, "shop.queue", count=10)

    assert not reconcile([alert(of=check)], found(replace(check, count=40)), (), NOON).worse


def test_words_and_figures_are_compared_only_with_refresh() -> None:
    more = finding(count=3)
    open_alert = alert(of=finding(count=2))

    assert not reconcile([open_alert], found(more), (), NOON, refresh=False)
    assert [each.count for _, each in reconcile([open_alert], found(more), (), NOON).changed] == [3]


# --- states -------------------------------------------------------------------------------------------------------


def test_an_alert_about_a_run_that_takes_long_changes_when_the_run_ends() -> None:
    running = replace(finding(FindingKind.SLOW_RUN), numbers={"seconds": 12.0, ENDED: 0})
    later, over = (replace(running, numbers={"seconds": 13.0, ENDED: ended}) for ended in (0, 1))
    open_alert = alert(of=running)

    assert not reconcile([open_alert], found(later), (), NOON, refresh=False)
    assert [each for _, each in reconcile([open_alert], found(over), (), NOON, refresh=False).changed] == [over]


def acknowledged(at: datetime = NOON, until: datetime | None = None) -> Acknowledgement:
    return Acknowledgement("asha", at, until, "ticket 81")


def silence(target: str) -> Silence:
    return Silence(1, target, NOON, None, "ben", "")


def test_an_acknowledgement_lasts_until_it_expires_or_the_alert_is_worse() -> None:
    until_resolved = alert(acknowledged=acknowledged())
    for_an_hour = alert(acknowledged=acknowledged(until=NOON + HOUR))
    worse = replace(until_resolved, worse_at=NOON + MINUTE)
    again = replace(worse, acknowledged=acknowledged(NOON + 2 * MINUTE))

    assert state_of(until_resolved, (), NOON + 100 * HOUR) is AlertState.ACKNOWLEDGED
    assert state_of(for_an_hour, (), NOON + 59 * MINUTE) is AlertState.ACKNOWLEDGED
    assert state_of(for_an_hour, (), NOON + HOUR) is AlertState.FIRING
    assert state_of(worse, (), NOON + HOUR) is AlertState.FIRING
    assert state_of(again, (), NOON + HOUR) is AlertState.ACKNOWLEDGED


def test_a_silence_applies_to_an_alert_its_job_its_pack_and_its_rule() -> None:
    mine = alert()

    for target in (target_of(mine), JOB, "shop", "failed_run"):
        assert silence_of(mine, [silence("other"), silence(target)]) == silence(target)
        assert state_of(mine, [silence(target)], NOON) is AlertState.SILENCED
    assert state_of(mine, [silence("slow_run shop.invoices"), silence("shop.orders")], NOON) is AlertState.FIRING


def test_a_resolved_alert_is_resolved_whatever_else_it_was() -> None:
    over = alert(acknowledged=acknowledged(), resolved_at=NOON)

    assert state_of(over, [silence(JOB)], NOON) is AlertState.RESOLVED


# --- causes -------------------------------------------------------------------------------------------------------


def test_alerts_are_listed_worst_first_each_followed_by_what_it_explains() -> None:
    listed = [
        alert(1, finding(FindingKind.SLOW_RUN)),
        alert(2, finding(FindingKind.FAILED_RUN), cause=3),
        alert(3, finding(FindingKind.UNREACHABLE, "Redis", Severity.CRITICAL)),
        alert(4, finding(FindingKind.LATE, severity=Severity.CRITICAL), cause=99, since=NOON + HOUR),
    ]

    assert [each.id for each in causes_first(listed)] == [3, 2, 4, 1]


def test_an_alert_names_the_job_and_pack_that_it_is_about() -> None:
    jobs, packs = {JOB}, {"shop"}

    assert concerned(finding(), jobs, packs) == (JOB, "shop")
    assert concerned(finding(FindingKind.CHECK, "shop.queue"), jobs, packs) == (None, "shop")
    assert concerned(finding(FindingKind.UNREACHABLE, "Redis"), jobs, packs) == (None, None)
