"""Injects causes of alerts into real processes: how long until an alert, and until the first delivery is tried.

Then it kills leaders at every point between a cause and its delivery, and checks that each message arrives.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from sqlalchemy import select

from opsconsole.core.failpoints import Point
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.rules.alerts import Alert
from opsconsole.rules.findings import FindingKey, FindingKind
from opsconsole.store import alerts, lease, notifications
from opsconsole.store.tables import notifications as outbox
from tests.faults.fork_server import Child, ForkServer
from tests.installation import Installation
from tests.packs import alarming
from tests.receivers import HttpReceiver, MailReceiver, http_receiver, mail_receiver
from tests.waiting import PATIENCE_SECONDS

RAISED_SECONDS, TRIED_SECONDS = 2.0, 5.0
"""The limits for the slowest of a hundred."""
OUTAGE_EVERY = 20
"""One injection in this many stops Redis; the others make a job fail."""
POINTS = (
    Point.RUN_ENDED,
    Point.ALERTS_WRITTEN,
    Point.ALERTS_COMMITTED,
    Point.NOTIFICATION_CLAIMED,
    Point.NOTIFICATION_SENT,
)
LEASE_SECONDS = 3.0
POLL_SECONDS = 0.02
REDIS_KEY = (FindingKind.UNREACHABLE, "Redis")


@dataclass
class AlertsReport:
    """The outcome of a campaign; times in seconds."""

    database: str
    seed: int
    raised: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    tried: list[float] = field(default_factory=list)
    actions: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    @property
    def all_raised(self) -> list[float]:
        """From any cause to its alert."""
        return [each for times in self.raised.values() for each in times]

    def lines(self) -> list[str]:
        """The report, in lines."""
        done = ", ".join(f"{n:,} {what}" for what, n in sorted(self.actions.items()))
        return [
            f"alerts on {self.database}, seed {self.seed}: {done}, {len(self.violations)} violations",
            *(f"  {cause} to alert: {_spread(times)}" for cause, times in sorted(self.raised.items())),
            f"  any cause to alert: {_spread(self.all_raised)}",
            f"  alert to first delivery: {_spread(self.tried)}",
            *(f"  ! {violation}" for violation in self.violations),
        ]


def inject(
    times: int,
    kills: int,
    database: str,
    seed: int,
    folder: Path,
    new_database: Callable[[], str] | None,
) -> AlertsReport:
    """Injects `times` causes into one leader, and then `kills` more into leaders that are killed meanwhile."""
    report, rng = AlertsReport(database, seed), random.Random(f"{seed}/{database}/alerts")
    place = folder / "alerts"
    place.mkdir()
    url = new_database() if new_database else None
    with ForkServer(folder / "alerts.log") as fork_server, http_receiver() as web, mail_receiver() as mail:
        campaign = _Campaign(place, url, fork_server, web, mail, report, rng)
        try:
            campaign.measure(times)
            campaign.kill(kills)
            campaign.account()
        finally:
            campaign.close()
    return report


class _Campaign:
    def __init__(
        self,
        folder: Path,
        database_url: str | None,
        fork_server: ForkServer,
        web: HttpReceiver,
        mail: MailReceiver,
        report: AlertsReport,
        rng: random.Random,
    ) -> None:
        self._folder, self._fork_server, self._report, self._rng = folder, fork_server, report, rng
        self._web, self._mail = web, mail
        self._redis = EmbeddedRedis(folder / "redis")
        self._redis.ensure()
        self._place = Installation(
            folder / "opsconsole",
            database_url=database_url,
            redis_url=self._redis.url,
            packs="tests.packs.alarming",
            environ={
                "OPSCONSOLE_ENGINE__WORKERS": "1",
                "OPSCONSOLE_ENGINE__LEASE_SECONDS": str(LEASE_SECONDS),
                "OPSCONSOLE_NOTIFY__WEB__URL": web.channel_url,
                "OPSCONSOLE_NOTIFY__MAIL__URL": mail.channel_url,
            },
        )
        self._numbers, self._jobs = count(1), count()
        self._started: list[Child] = []

    def measure(self, times: int) -> None:
        """Injects causes one after the other, at random times."""
        self._start()
        self._await_leader()
        for n in range(times):
            time.sleep(self._rng.uniform(0.0, 0.5))
            if n % OUTAGE_EVERY == OUTAGE_EVERY - 1:
                self._stop_redis()
            else:
                self._fail()
        self._wait(lambda: not self._due())
        self._record_attempts()

    def kill(self, times: int) -> None:
        """Lets a job fail under a leader that dies at a point on the way, with another one after it."""
        for n in range(times):
            self._end()
            point = POINTS[n % len(POINTS)]
            dying = self._start(f"{point}:1:kill")
            job = alarming.name(next(self._jobs))
            self._place.service.commands.trigger(job)
            dying.wait(timeout=PATIENCE_SECONDS)
            self._report.actions[f"kills at {point}"] += 1
            self._start()
            self._wait(partial(self._is_delivered, (FindingKind.FAILED_RUN, job)))
        self._wait(lambda: not self._due())

    def account(self) -> None:
        """Checks that every alert arrived by each channel, and that what arrived twice has one id."""
        arrived = Counter(self._web.ids)
        mails = [str(mail.get_body(("plain",))) for mail in self._mail.mails]
        uids: dict[tuple[int, str, str], set[str]] = defaultdict(set)
        with self._place.store.reading() as db:
            rows = db.execute(select(outbox.c.uid, outbox.c.alert_id, outbox.c.event, outbox.c.channel)).all()
        for uid, alert, event, channel in rows:
            uids[alert, event, channel].add(uid)
            times = arrived[uid] if channel == "web" else sum(uid in mail for mail in mails)
            self._report.actions["messages"] += 1
            self._report.actions["duplicates"] += max(0, times - 1)
            if times == 0:
                self._report.violations.append(f"message {uid} about alert {alert} did not arrive by {channel}")
        self._report.violations += [f"alert {key} has {len(ids)} ids" for key, ids in uids.items() if len(ids) > 1]
        for what, found, limit in (
            ("cause to alert", self._report.all_raised, RAISED_SECONDS),
            ("alert to first delivery", self._report.tried, TRIED_SECONDS),
        ):
            if found and _percentile(found, 0.99) > limit:
                self._report.violations.append(f"{what}: p99 is {_percentile(found, 0.99):.2f} s, not {limit:g} s")

    def close(self) -> None:
        """Ends every process."""
        self._end()
        self._place.close()
        self._redis.stop()

    # --- causes ---------------------------------------------------------------------------------------------------

    def _fail(self) -> None:
        job = alarming.name(next(self._jobs))
        self._measure_alert((FindingKind.FAILED_RUN, job), self._ended(job))
        self._report.actions["failed runs"] += 1

    def _ended(self, job: str) -> float:
        """Runs a job; returns when its run ended, in seconds since 1970."""
        commands = self._place.service.commands
        outcome = commands.outcome(commands.trigger(job), PATIENCE_SECONDS)
        assert outcome is not None
        assert outcome.run is not None, outcome.refused
        run = commands.wait_for_run(outcome.run, PATIENCE_SECONDS)
        assert run is not None
        assert run.ended_at is not None
        return run.ended_at.timestamp()

    def _stop_redis(self) -> None:
        at = time.time()
        self._redis.stop()
        self._measure_alert(REDIS_KEY, at)
        self._redis.ensure()
        self._wait(lambda: self._open(REDIS_KEY) is None)
        self._report.actions["Redis outages"] += 1

    # --- measuring ------------------------------------------------------------------------------------------------

    def _measure_alert(self, key: FindingKey, cause: float) -> None:
        """Waits until an observer can read the alert; includes the time between two looks."""
        self._wait(lambda: self._open(key) is not None)
        self._report.raised[key[0]].append(time.time() - cause)

    def _record_attempts(self) -> None:
        """From the alert to the arrival at the HTTP receiver, of what was sent at once."""
        first = dict(zip(reversed(self._web.ids), reversed(self._web.times), strict=True))
        with self._place.store.reading() as db:
            rows = db.execute(select(outbox.c.uid, outbox.c.created_at).where(outbox.c.channel == "web")).all()
        self._report.tried += [first[uid] - at.timestamp() for uid, at in rows if uid in first]

    def _open(self, key: FindingKey) -> Alert | None:
        with self._place.store.reading() as db:
            return next((alert for alert in alerts.open_alerts(db) if alert.key == key), None)

    def _is_delivered(self, key: FindingKey) -> bool:
        alert = self._open(key)
        if alert is None:
            return False
        with self._place.store.reading() as db:
            sent = [each for each in notifications.of_alert(db, alert.id, limit=10) if each.sent_at is not None]
        return {each.channel for each in sent} == {"web", "mail"}

    def _due(self) -> bool:
        with self._place.store.reading() as db:
            return db.execute(select(outbox.c.id).where(outbox.c.state == "due").limit(1)).first() is not None

    def _wait(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < end, f"not within {PATIENCE_SECONDS:g} s; see {self._folder}"
            time.sleep(POLL_SECONDS)

    # --- processes ------------------------------------------------------------------------------------------------

    def _start(self, failpoint: str = "") -> Child:
        environ = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "HOME": str(self._folder),
            "XDG_DATA_HOME": str(self._folder),
            "XDG_CONFIG_HOME": str(self._folder / "config"),
            "FAILPOINT": failpoint,
            **self._place.environ,
        }
        log = self._folder / f"process{next(self._numbers)}.log"
        child = self._fork_server.start(["headless"], environ, output=log)
        self._started.append(child)
        return child

    def _await_leader(self) -> None:
        def is_led() -> bool:
            with self._place.store.reading() as db:
                found = lease.read(db)
            return found is not None and found.holder is not None

        self._wait(is_led)

    def _end(self) -> None:
        for child in self._started:
            child.kill()
            child.wait()
        self._started.clear()


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _spread(values: list[float]) -> str:
    if not values:
        return "nothing measured"
    p50, p99 = _percentile(values, 0.5), _percentile(values, 0.99)
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s, max {max(values):.2f} s of {len(values)}"
