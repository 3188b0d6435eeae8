"""Rules about services, leaders, workers and the clock: what makes each fire and resolve, and what does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from opsconsole.authoring.batch import Lost
from opsconsole.cache.figures import RedisStats
from opsconsole.calendar.windows import minutes
from opsconsole.core.errors import NAMES
from opsconsole.rules.finding_text import sentence
from opsconsole.rules.findings import Finding, FindingKind, Severity
from opsconsole.rules.leadership import Identity, Lease
from opsconsole.rules.system_health import (
    SLOW_PROBES,
    ClockRecord,
    RedisRecord,
    ServiceRecord,
    WorkerLoss,
    clock_jump,
    leader_lost,
    not_leading,
    redis_memory,
    services,
    workers_lost,
)

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
DEAD = Identity("a", "alpha", 7, "1", "m/b/n", "asha")
STATS = RedisStats(1.0, uptime_seconds=1000, memory=50, max_memory=100, evicted=0)


def kinds(found: list[Finding]) -> list[tuple[FindingKind, Severity]]:
    return [(finding.kind, finding.severity) for finding in found]


def texts(found: list[Finding]) -> list[str]:
    return [sentence(finding, NOON) for finding in found]


# --- services -----------------------------------------------------------------------------------------------------


def test_a_service_is_unreachable_from_its_first_failure_to_its_next_response() -> None:
    record = ServiceRecord(NAMES["data"])
    first = record.failed(NOON, "refused")
    second = first.failed(NOON + SECOND, "timed out")

    (finding,) = services([second])
    assert (finding.severity, finding.subject, finding.since) == (Severity.CRITICAL, NAMES["data"], NOON)
    assert texts([finding]) == ["is unreachable: timed out"]
    assert not list(services([record, second.responded(NOON + 2 * SECOND, 0.1)]))


def test_a_service_is_slow_when_several_probes_in_a_row_are() -> None:
    record = ServiceRecord(NAMES["redis"])
    for n in range(SLOW_PROBES - 1):
        record = record.responded(NOON + n * SECOND, 0.5)
    assert not list(services([record])), "one fewer than it takes"
    record = record.responded(NOON + SLOW_PROBES * SECOND, 0.4)

    (finding,) = services([record])
    assert kinds([finding]) == [(FindingKind.SLOW, Severity.WARNING)]
    assert finding.since == NOON + SLOW_PROBES * SECOND
    assert texts([finding]) == ["responds slowly: it took 0.4 s, more than 0.25 s"]
    once = record.responded(NOON, 0.01)
    assert list(services([once])) == [finding], "one fast probe proves nothing"
    for _ in range(SLOW_PROBES - 1):
        once = once.responded(NOON, 0.01)
    assert not list(services([once]))


def test_a_slow_probe_between_fast_ones_is_nothing() -> None:
    record = ServiceRecord(NAMES["store"])
    for n in range(50):
        record = record.responded(NOON + n * SECOND, 5.0 if n % SLOW_PROBES else 0.1)

    assert not list(services([record]))


# --- Redis --------------------------------------------------------------------------------------------------------


def redis_after(*evicted: int, every: timedelta = MINUTE) -> RedisRecord:
    record = RedisRecord()
    for n, count in enumerate(evicted):
        record = record.after(NOON + n * every, replace(STATS, evicted=count))
    return record


def test_evictions_of_the_last_minutes_are_counted() -> None:
    (finding,) = redis_memory(redis_after(100, 100, 150, 175))

    assert kinds([finding]) == [(FindingKind.EVICTING, Severity.WARNING)]
    assert (finding.count, finding.since) == (75, NOON + minutes(2))
    assert texts([finding]) == ["has evicted 75 keys in the last 5 minutes because its memory is full"]


@pytest.mark.parametrize(
    "evicted",
    [
        (100, 100, 100),  # long ago
        (0, 900, *(900,) * 7),  # more than five minutes ago
        (900, 0, 0),  # restarted
    ],
)
def test_no_evictions_of_late_are_nothing(evicted: tuple[int, ...]) -> None:
    assert not list(redis_memory(redis_after(*evicted)))


def test_a_restart_does_not_count_as_evictions() -> None:
    record = RedisRecord().after(NOON, replace(STATS, evicted=5))
    record = record.after(NOON + minutes(1), replace(STATS, evicted=9, uptime_seconds=3))

    assert not list(redis_memory(record))


def test_few_samples_are_kept_however_often_they_are_taken() -> None:
    record = redis_after(*range(1000), every=SECOND)

    assert len(record.samples) < 70
    (finding,) = redis_memory(record)
    assert finding.count == pytest.approx(300, abs=6)


@pytest.mark.parametrize(
    ("memory", "limit", "expected"),
    [
        (89, 100, None),
        (90, 100, Severity.WARNING),
        (96, 100, Severity.WARNING),
        (97, 100, Severity.CRITICAL),
        (97, 0, None),  # no limit
        (97, None, None),  # the Redis user may not read it
        (None, 100, None),
    ],
)
def test_memory_is_judged_by_its_limit(memory: int | None, limit: int | None, expected: Severity | None) -> None:
    record = RedisRecord().after(NOON, replace(STATS, memory=memory, max_memory=limit))

    found = list(redis_memory(record))

    assert kinds(found) == ([] if expected is None else [(FindingKind.MEMORY_NEARLY_FULL, expected)])


def test_memory_is_shown_with_its_limit() -> None:
    record = RedisRecord().after(NOON, replace(STATS, memory=250 << 20, max_memory=256 << 20))

    assert texts(list(redis_memory(record))) == ["uses 97 % of its 256 MB of memory"]


# --- leader and workers -------------------------------------------------------------------------------------------


def lease(renewed_at: datetime, holder: Identity | None = DEAD) -> Lease:
    return Lease(3, 9, holder, NOON - minutes(60), renewed_at)


def test_nobody_leads_once_the_lease_is_not_renewed() -> None:
    (held,) = not_leading(lease(NOON - minutes(1)), NOON, scheduled=True)
    (released,) = not_leading(lease(NOON - minutes(1), None), NOON, scheduled=True)

    assert held.since == released.since == NOON - minutes(1)
    assert kinds([held]) == [(FindingKind.NOT_LEADING, Severity.CRITICAL)]
    end = "; start `opsconsole headless` or the console"
    assert texts([held, released]) == [
        f"is missing, and no job runs: process 7 on alpha does not renew its lease{end}",
        f"is missing, and no job runs{end}",
    ]
    (never,) = not_leading(None, NOON, scheduled=True)
    assert never.since == NOON


def test_a_restart_or_jobs_without_a_schedule_need_no_leader() -> None:
    assert not list(not_leading(lease(NOON - 15 * SECOND, None), NOON, scheduled=True))
    assert not list(not_leading(lease(NOON - 5 * SECOND), NOON, scheduled=True))
    assert not list(not_leading(lease(NOON - minutes(60)), NOON, scheduled=False))
    assert not list(not_leading(None, NOON, scheduled=False))
    assert not list(not_leading(lease(NOON - minutes(1)), NOON, scheduled=True, grace=minutes(2)))


def test_a_leader_that_died_is_shown_for_a_while() -> None:
    (finding,) = leader_lost(NOON, DEAD, NOON + minutes(14))

    assert kinds([finding]) == [(FindingKind.LEADER_LOST, Severity.WARNING)]
    assert texts([finding]) == ["died (process 7 on alpha); another process took over"]
    assert not list(leader_lost(NOON, DEAD, NOON + minutes(15)))
    assert not list(leader_lost(NOON, None, NOON)), "the last one released the lease"


def test_lost_workers_are_counted_by_cause() -> None:
    losses = [
        WorkerLoss(NOON - minutes(11), Lost.WORKER_DIED),
        WorkerLoss(NOON - minutes(9), Lost.BATCH_TIMEOUT),
        WorkerLoss(NOON - minutes(2), Lost.WORKER_DIED),
        WorkerLoss(NOON - minutes(1), Lost.WORKER_DIED),
    ]

    (finding,) = workers_lost(losses, NOON)

    assert (finding.severity, finding.count, finding.since) == (Severity.WARNING, 3, NOON - minutes(9))
    assert texts([finding]) == ["lost 3 processes in the last 10 minutes: 1 batch timeout, 2 worker died"]
    assert not list(workers_lost(losses, NOON + minutes(10)))
    assert not list(workers_lost([], NOON))


# --- the clock ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jump", "words"), [(90, "was set forward by 1 min 30 s"), (-3600, "was set back by 1 h")])
def test_a_clock_that_was_set_is_shown_for_a_while(jump: int, words: str) -> None:
    record = ClockRecord(NOON, 100.0).after(NOON + timedelta(seconds=jump + 1), 101.0)

    (finding,) = clock_jump(record)

    assert kinds([finding]) == [(FindingKind.CLOCK_JUMP, Severity.WARNING)]
    assert texts([finding]) == [words]
    later = record.after(record.wall + minutes(14), 101.0 + 14 * 60)
    assert list(clock_jump(later)) == [finding]
    assert not list(clock_jump(later.after(later.wall + minutes(1), later.steady + 60)))


def test_time_that_passes_on_both_clocks_is_no_jump() -> None:
    record = ClockRecord(NOON, 100.0)
    for seconds in (1, 59, 7200, 30):  # the process, or the whole machine, was stopped for two hours
        record = record.after(record.wall + timedelta(seconds=seconds + 0.5), record.steady + seconds)
        assert not list(clock_jump(record))
