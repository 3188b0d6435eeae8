"""Metrics for Prometheus: each is declared once, and /metrics and the reference are made from the declarations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from opsconsole.authoring.run import OPEN
from opsconsole.core.errors import OpsconsoleError, Unavailable
from opsconsole.core.supervision import log_failure
from opsconsole.core.text import safe
from opsconsole.core.version import VERSION
from opsconsole.rules.alerts import AlertState
from opsconsole.rules.findings import Severity
from opsconsole.service.figures import Figures
from opsconsole.service.service import Service

CONTENT_TYPE = CONTENT_TYPE_LATEST
PREFIX = "opsconsole_"
DURATIONS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
DELAYS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
RESPONSES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
MAX_VALUES = 100
"""Values of a label that comes from data, such as the kind of a failure. Further ones are counted as `other`."""
MAX_JOBS = 2000
"""Jobs that have labels of their own. A job that is no longer configured has none."""
OTHER = "other"


class Kind(StrEnum):
    """The type of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric without the prefix `opsconsole_`. `buckets` are the upper bounds of a histogram."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """The name as Prometheus stores it."""
        return PREFIX + self.name


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, Kind.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, Kind.GAUGE, text, labels)


INFO = _gauge("build_info", "Always 1, with the version of this process", "version")
RUNS = _counter("runs_total", "Runs that ended, by state", "job", "state")
DURATION = Metric(
    "run_duration_seconds", Kind.HISTOGRAM, "Duration of runs, from start to end", ("job",), buckets=DURATIONS
)
DELAY = Metric(
    "run_start_delay_seconds", Kind.HISTOGRAM, "Delay of scheduled runs: scheduled time to start", buckets=DELAYS
)
ITEMS = _counter("items_total", "Items processed by runs: ok, failed, skipped or not_reached", "job", "outcome")
FAILURES = _counter("failures_total", "Failed items, by kind of failure", "job", "kind")
OPEN_RUNS = _gauge("open_runs", "Runs that have not ended: queued, running or interrupted", "state")
QUEUE_AGE = _gauge("queue_oldest_seconds", "Age of the oldest queued run; 0 when none is queued")
COMMANDS = _gauge("commands_waiting", "Commands that wait for the leader")
LAST_GOOD = _gauge(
    "job_last_good_run_timestamp_seconds", "End of the last good run; missing before the first one", "job"
)
MAX_AGE = _gauge("job_max_age_seconds", "Age of the last good run above which an alert fires (max_age)", "job")
PAUSED = _gauge("job_paused", "1 while the job is paused", "job")
ALERTS = _gauge("alerts", "Open alerts: firing, acknowledged or silenced", "severity", "state")
LEADING = _gauge("leading", "1 while this process holds the lease")
LED = _gauge("leader_present", "1 while any process holds the lease")
LEASE_AGE = _gauge("lease_age_seconds", "Seconds since the lease was renewed; NaN when no process leads")
STORE_UP = _gauge("store_up", "1 if the store could be read for this scrape; otherwise, figures from it are older")
SIZE = _gauge("database_size_bytes", "Size of the tables, as measured last: store or data", "database")
REDIS_UP = _gauge("redis_up", "1 if Redis answers")
REDIS_PING = _gauge("redis_ping_seconds", "Duration of a PING")
REDIS_MEMORY = _gauge("redis_memory_bytes", "Memory that Redis uses")
REDIS_MAX_MEMORY = _gauge("redis_max_memory_bytes", "Limit of Redis's memory; 0 for none")
REDIS_KEYS = _gauge("redis_keys", "Keys in the database")
REDIS_CLIENTS = _gauge("redis_clients", "Connections to Redis")
REDIS_READS = _counter("redis_reads_total", "Reads of all clients of Redis: hit or miss", "result")
REDIS_EVICTED = _counter("redis_evicted_keys_total", "Keys that Redis removed for want of memory")
REDIS_EXPIRED = _counter("redis_expired_keys_total", "Keys that expired")
LOOP_FAILING = _gauge("loop_failing", "1 while a loop of this process fails or is stuck", "loop")
LOOP_SUCCESS = _gauge("loop_last_success_seconds", "Seconds since a loop of this process last succeeded", "loop")
REQUESTS = _counter("http_requests_total", "Requests to the HTTP API, by route", "method", "route", "status")
RESPONSE = Metric("http_response_seconds", Kind.HISTOGRAM, "Duration of requests", ("route",), buckets=RESPONSES)
EVENT_CLIENTS = _gauge("http_event_clients", "Clients of /api/events")

METRICS = (
    INFO,
    RUNS,
    DURATION,
    DELAY,
    ITEMS,
    FAILURES,
    OPEN_RUNS,
    QUEUE_AGE,
    COMMANDS,
    LAST_GOOD,
    MAX_AGE,
    PAUSED,
    ALERTS,
    LEADING,
    LED,
    LEASE_AGE,
    STORE_UP,
    SIZE,
    REDIS_UP,
    REDIS_PING,
    REDIS_MEMORY,
    REDIS_MAX_MEMORY,
    REDIS_KEYS,
    REDIS_CLIENTS,
    REDIS_READS,
    REDIS_EVICTED,
    REDIS_EXPIRED,
    LOOP_FAILING,
    LOOP_SUCCESS,
    REQUESTS,
    RESPONSE,
    EVENT_CLIENTS,
)
"""All metrics, in the order of the reference. prometheus-client adds those of the process: `process_*`."""

_REDIS: tuple[tuple[Metric, str], ...] = (
    (REDIS_MEMORY, "memory"),
    (REDIS_MAX_MEMORY, "max_memory"),
    (REDIS_KEYS, "keys"),
    (REDIS_CLIENTS, "clients"),
)


class Metrics:
    """The metrics of this process, in a registry of their own. Counters start at 0 with the process; those about runs
    count what any leader has recorded since, so that two processes report the same runs.
    """

    def __init__(self, service: Service) -> None:
        self._service, self._lock = service, threading.Lock()
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each counter, which nobody reads
        self._registry = CollectorRegistry(auto_describe=True)
        self._reader = service.figure_reader()
        self._metrics = {metric: _registered(metric, self._registry) for metric in METRICS}
        self._values: dict[Metric, set[str]] = {}
        self._totals: dict[tuple[Metric, tuple[str, ...]], int] = {}
        ProcessCollector(registry=self._registry)
        self._set(INFO, 1, VERSION)

    def exposition(self) -> bytes:
        """All metrics in the text format of Prometheus. Blocks: reads the store and Redis."""
        with self._lock:  # otherwise two scrapes at once would each count a part of the changes
            self._read_store()
            self._read_redis()
            self._read_loops()
            return generate_latest(self._registry)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts a response. `route` is the path of a declared route, so that its values are bounded."""
        self._labelled(REQUESTS, method, route, str(status)).inc()
        self._labelled(RESPONSE, route).observe(seconds)

    def set_event_clients(self, count: int) -> None:
        """Sets how many clients follow /api/events."""
        self._set(EVENT_CLIENTS, count)

    # --- reading ------------------------------------------------------------------------------------------------

    def _read_store(self) -> None:
        jobs = {job.name: job for job in list(self._service.catalog)[:MAX_JOBS]}
        self._replace(
            MAX_AGE, {(name,): job.limits.max_age.total_seconds() for name, job in jobs.items() if job.limits.max_age}
        )
        try:
            figures = self._reader.read()
        except OpsconsoleError:
            self._set(STORE_UP, 0)
            return
        except Exception as error:  # noqa: BLE001 - a scrape reports what it can
            log_failure("reading the figures", error)
            self._set(STORE_UP, 0)
            return
        self._set(STORE_UP, 1)
        self._count(figures, jobs)
        self._show(figures, jobs)

    def _count(self, figures: Figures, jobs: Mapping[str, object]) -> None:
        def label(job: str) -> str:
            return job if job in jobs else OTHER

        for run in figures.ended:
            self._labelled(RUNS, label(run.job), run.state).inc()
            if run.seconds is not None:
                self._labelled(DURATION, label(run.job)).observe(max(0.0, run.seconds))
            if run.late_seconds is not None:
                self._labelled(DELAY).observe(max(0.0, run.late_seconds))
        for (job, outcome), n in figures.items.items():
            self._labelled(ITEMS, label(job), outcome).inc(max(0, n))
        for (job, kind), n in figures.failures.items():
            self._labelled(FAILURES, label(job), self._bounded(FAILURES, kind)).inc(max(0, n))

    def _show(self, figures: Figures, jobs: Mapping[str, object]) -> None:
        leader = figures.leader
        self._replace(OPEN_RUNS, {(state,): figures.open_runs[state] for state in OPEN})
        self._set(QUEUE_AGE, figures.queued_seconds)
        self._set(COMMANDS, figures.commands)
        self._replace(LAST_GOOD, {(job,): at.timestamp() for job, at in figures.last_good.items() if job in jobs})
        self._replace(PAUSED, {(job,): job in figures.paused for job in jobs})
        states = [
            (severity, state) for severity in Severity for state in AlertState if state is not AlertState.RESOLVED
        ]
        self._replace(ALERTS, {(each.name.lower(), state): figures.alerts[each, state] for each, state in states})
        self._set(LEADING, leader is not None and leader.is_me)
        self._set(LED, leader is not None)
        self._set_or_none(LEASE_AGE, leader.age_seconds if leader is not None else None)
        self._replace(SIZE, {(database,): n for database, n in figures.bytes.items()})

    def _read_redis(self) -> None:
        try:
            stats = self._service.cache.statistics()
        except Unavailable:
            self._set(REDIS_UP, 0)
            for metric in (REDIS_PING, *(each for each, _ in _REDIS)):
                self._set_or_none(metric, None)
            return
        self._set(REDIS_UP, 1)
        self._set_or_none(REDIS_PING, stats.ping_ms / 1000)
        for metric, name in _REDIS:
            self._set_or_none(metric, getattr(stats, name))
        self._advance(REDIS_READS, stats.hits, "hit")
        self._advance(REDIS_READS, stats.misses, "miss")
        self._advance(REDIS_EVICTED, stats.evicted)
        self._advance(REDIS_EXPIRED, stats.expired)

    def _read_loops(self) -> None:
        statuses = self._service.status()
        self._replace(LOOP_FAILING, {(each.work,): each.problem is not None for each in statuses})
        succeeded = {(each.work,): each.succeeded_seconds for each in statuses}
        self._replace(LOOP_SUCCESS, {loop: at for loop, at in succeeded.items() if at is not None})

    # --- values -------------------------------------------------------------------------------------------------

    def _labelled(self, metric: Metric, *values: str) -> Any:
        held = self._metrics[metric]
        return held.labels(*values) if metric.labels else held

    def _set(self, metric: Metric, value: float, *values: str) -> None:
        self._labelled(metric, *values).set(value)

    def _set_or_none(self, metric: Metric, value: float | None) -> None:
        """Sets a gauge; to NaN while its value is unknown."""
        self._set(metric, float("nan") if value is None else value)

    def _replace(self, metric: Metric, values: Mapping[tuple[str, ...], float]) -> None:
        """Sets a gauge with these labels, and removes it with all others."""
        self._metrics[metric].clear()
        for labels, value in values.items():
            self._set(metric, value, *labels)

    def _advance(self, metric: Metric, total: int | None, *values: str) -> None:
        """Adds the growth of a total of another server, which starts at 0 when that server is restarted."""
        if total is None:
            return
        before = self._totals.get((metric, values), total)
        self._labelled(metric, *values).inc(total - before if total >= before else total)
        self._totals[metric, values] = total

    def _bounded(self, metric: Metric, value: str) -> str:
        held = self._values.setdefault(metric, set())
        text = safe(value, 100)
        if text not in held and len(held) >= MAX_VALUES:
            return OTHER
        held.add(text)
        return text


_MAKERS: Mapping[Kind, Callable[..., Any]] = {Kind.COUNTER: Counter, Kind.GAUGE: Gauge, Kind.HISTOGRAM: Histogram}


def _registered(metric: Metric, registry: CollectorRegistry) -> Any:
    options = {"buckets": metric.buckets} if metric.kind is Kind.HISTOGRAM else {}
    return _MAKERS[metric.kind](metric.full_name, metric.help, metric.labels, registry=registry, **options)


def reference(metrics: Iterable[Metric] = METRICS) -> str:
    """The metrics as a Markdown table."""
    rows = [
        f"| `{each.full_name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.help} |"
        for each in metrics
    ]
    return "\n".join(["| metric | type | labels | |", "|---|---|---|---|", *rows])
