"""The rules about jobs, over what a real engine records: what makes each fire and resolve, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete

from opsconsole.authoring.run import Run, RunState
from opsconsole.leader import alerting
from opsconsole.leader.engine import Engine
from opsconsole.rules.backfill import Only
from opsconsole.rules.findings import Finding, FindingKind as K, Severity
from opsconsole.rules.health import jobs_findings
from opsconsole.store import alerts, job_facts, runs
from opsconsole.store.job_facts import ReadState
from tests.conftest import Installing
from tests.installation import Installation
from tests.leader.alert_rows import OFTEN_SECONDS
from tests.leader.test_scheduler import ManualClock
from tests.packs import counting
from tests.soak import postgresql_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = postgresql_in_soak

NOON = datetime(2025, 1, 19, 12, 0, 5, tzinfo=UTC)
BEFORE_NOON = NOON - timedelta(minutes=40)
HOURLY, TWIN, FORGETFUL, NIGHTLY = "judged.hourly", "judged.twin", "judged.forgetful", "judged.nightly"


class Place:
    """An installation with a clock of its own, whose health is judged as a leader judges it."""

    def __init__(self, installation: Installation) -> None:
        self.installation, self.clock = installation, ManualClock(BEFORE_NOON)
        self.data, self.service = installation.data, installation.service
        self._kept: ReadState | None = None

    @contextmanager
    def leading(self) -> Iterator[None]:
        engine = Engine(self.installation.settings, self.installation.store, self.installation.catalog, now=self.clock)
        self.service.use_engine(engine)
        engine.start()
        try:
            eventually(lambda: self.is_planned, "all scheduled times are recorded")
            yield
        finally:
            engine.stop(grace_seconds=1)
            self.service.use_engine(None)

    @property
    def is_planned(self) -> bool:
        with self.installation.store.reading() as db:
            facts, _ = job_facts.read(db, self.installation.catalog, self.clock.at)
        return all(
            each.accounted_until is not None and each.due is not None and each.accounted_until >= each.due
            for each in facts
        )

    def go_to(self, at: datetime) -> None:
        """Sets the clock, and waits until what is due has run."""
        self.clock.at = at
        eventually(lambda: self.is_planned, "all scheduled times are recorded")
        self.wait()

    def wait(self) -> None:
        """Waits until all runs have ended."""
        eventually(self._has_nothing_to_do, "all runs have ended")

    def _has_nothing_to_do(self) -> bool:
        with self.installation.store.reading() as db:
            return runs.unfinished(db) == []

    def newest(self, job: str) -> Run:
        return self.service.queries.runs(limit=1, job=job)[0]

    def pause(self, target: str) -> None:
        """Pauses a job or the pack."""
        command = self.service.commands.pause(target, until=None)
        self.service.commands.outcome(command, PATIENCE_SECONDS)

    def retry(self, job: str) -> Run:
        """Retries the run that the finding about a failed run names."""
        named = self.health(job)[K.FAILED_RUN].run
        assert named is not None
        return self.installation.retry(named.id)

    def health(self, job: str) -> dict[K, Finding]:
        """The findings about a job by its facts; the leader, if there is one, has to keep alerts of exactly these."""
        with self.installation.store.reading() as db:
            facts, self._kept = job_facts.read(db, self.installation.catalog, self.clock.at, self._kept)
        found = {each.kind: each for each in jobs_findings(facts, self.clock.at) if each.subject == job}
        if self.service.engine is not None:
            eventually(lambda: self._firing(job) == found.keys(), f"the alerts of {job} are {list(found)}")
        return found

    def alerted(self, job: str) -> set[K]:
        """The rules of all alerts about a job that there have been."""
        with self.installation.store.reading() as db:
            return {alert.rule for alert in alerts.newest(db, limit=1000) if alert.subject == job}

    def _firing(self, job: str) -> set[K]:
        with self.installation.store.reading() as db:
            return {alert.rule for alert in alerts.open_alerts(db) if alert.subject == job}


@pytest.fixture
def place(database_url: str, installing: Installing, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in ("LOOK_SECONDS", "SHORTEST_SECONDS"):
        monkeypatch.setattr(alerting, name, OFTEN_SECONDS)
    return Place(
        installing(
            database_url=database_url,
            redis_url="unix:///nowhere/redis.sock",
            packs="tests.packs.judged",
            environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
        )
    )


def items(count: int, mood: str = "fine") -> dict[str, str]:
    return {f"u{n:02}": mood for n in range(count)}


def at_hour(hour: float) -> datetime:
    return NOON + timedelta(hours=hour)


def test_a_first_run_a_failure_its_retries_and_a_cancel(place: Place) -> None:
    counting.put(place.data, items(29) | {"ben": "fails"})
    with place.leading():
        assert place.health(HOURLY) == {}

        place.go_to(at_hour(0))
        failed = place.health(HOURLY)
        assert failed.keys() == {K.FAILED_RUN}
        assert (failed[K.FAILED_RUN].severity, failed[K.FAILED_RUN].count) == (Severity.WARNING, 1)
        assert failed[K.FAILED_RUN].run == place.newest(HOURLY)

        again = place.retry(HOURLY)
        assert (again.counts.planned, again.counts.failed) == (1, 1)
        no_better = place.health(HOURLY)[K.FAILED_RUN]
        assert (no_better.severity, no_better.count, no_better.since) == (
            Severity.WARNING,
            1,
            failed[K.FAILED_RUN].since,
        )
        assert (no_better.numbers["retries"], no_better.numbers["same_cause"], no_better.run) == (1, 1, again)

        counting.change(place.data, "ben", "fine")
        place.retry(HOURLY)
        assert place.health(HOURLY) == {}

        counting.change(place.data, "ben", "fails")
        counting.change(place.data, "u00", "lingers")
        tries = len(counting.tried(place.data, HOURLY))
        run = place.installation.begin(HOURLY)
        eventually(lambda: len(counting.tried(place.data, HOURLY)) > tries, "its first batch is being processed")
        place.service.commands.cancel(run)
        counting.change(place.data, "u00", "fine")
        place.wait()
        cancelled = place.newest(HOURLY)
        assert (cancelled.state, cancelled.counts.failed) == (RunState.CANCELLED, 1)
        assert place.health(HOURLY) == {}


def test_windows_in_a_row_the_items_that_fail_again_and_the_success_rate_of_a_day(place: Place) -> None:
    counting.put(place.data, items(8) | {"anna": "fails", "ben": "fails"})
    with place.leading():
        place.go_to(at_hour(1))
        assert place.health(HOURLY).keys() == {K.FAILED_RUN, K.FAILING_ITEMS, K.LOW_SUCCESS_RATE}
        place.go_to(at_hour(2))
        found = place.health(HOURLY)
        assert found.keys() == {K.FAILED_RUN, K.FAILING_ITEMS, K.FAILING_REPEATEDLY, K.LOW_SUCCESS_RATE}
        assert found[K.FAILING_REPEATEDLY].count == 3
        assert found[K.FAILING_ITEMS].items == ("anna", "ben")
        assert found[K.LOW_SUCCESS_RATE].severity is Severity.CRITICAL

        for name in ("anna", "ben"):
            counting.change(place.data, name, "fine")
        place.go_to(at_hour(3))
        assert place.health(HOURLY).keys() == {K.FAILING_ITEMS, K.LOW_SUCCESS_RATE}
        place.go_to(at_hour(6))
        assert place.health(HOURLY).keys() == {K.LOW_SUCCESS_RATE}
        place.pause("judged")
        place.go_to(at_hour(26.5))
        assert place.health(HOURLY) == {}


def test_runs_that_are_late_long_slow_or_have_little_to_do(place: Place) -> None:
    counting.put(place.data, items(20))
    with place.leading():
        place.go_to(at_hour(9))
        assert place.health(HOURLY) == {}

        counting.change(place.data, "u00", "lingers")
        tries = len(counting.tried(place.data, HOURLY))
        place.clock.at = at_hour(10)
        eventually(lambda: len(counting.tried(place.data, HOURLY)) > tries, "its first batch is being processed")
        assert place.health(HOURLY) == place.health(TWIN) == {}
        place.clock.at = at_hour(10.2)
        assert place.health(HOURLY).keys() == {K.LONG_RUN, K.SLOW_RUN}
        assert place.health(TWIN).keys() == {K.LATE}
        counting.change(place.data, "u00", "fine")
        place.wait()
        assert place.health(TWIN) == {}
        slow = place.health(HOURLY)
        assert slow.keys() == {K.LONG_RUN, K.SLOW_RUN}
        assert slow[K.SLOW_RUN].numbers == {"seconds": 720, "usual": 0, "runs": 10, "most": 0, "ended": 1}

        with place.data.writing() as db:
            db.execute(delete(counting.things).where(counting.things.c.id >= "u03"))
        place.go_to(at_hour(11))
        little = place.health(HOURLY)
        assert little.keys() == {K.LOW_WORK}
        assert little[K.LOW_WORK].numbers == {"items": 3, "usual": 20, "runs": 11, "least": 20}
        counting.put(place.data, {f"u{n:02}": "fine" for n in range(3, 20)})
        place.go_to(at_hour(12))
        assert place.health(HOURLY) == {}


def test_without_a_leader_runs_become_overdue_old_and_missed(place: Place) -> None:
    counting.put(place.data, {"anna": "fine"})
    with place.leading():
        place.go_to(at_hour(0))
        place.clock.at += timedelta(minutes=1)
        assert [place.health(job) for job in (HOURLY, TWIN, FORGETFUL)] == [{}, {}, {}]

    place.clock.at = at_hour(1)
    assert place.health(HOURLY) == {}  # within its grace
    place.clock.at = at_hour(3.5)
    assert place.health(HOURLY).keys() == {K.OVERDUE, K.NO_GOOD_RUN}
    assert place.health(FORGETFUL).keys() == {K.OVERDUE}
    with place.leading():
        place.wait()
        assert place.health(HOURLY) == {}
        missed = place.health(FORGETFUL)
        assert missed.keys() == {K.MISSED}
        assert (missed[K.MISSED].count, missed[K.MISSED].reason) == (4, "not_leading")
        assert place.health(TWIN) == {}  # the newest one ran, and replaces the others

        place.pause("judged")
        place.go_to(at_hour(28))
        assert place.health(FORGETFUL) == {}


def test_a_pause_is_no_alarm(place: Place) -> None:
    counting.put(place.data, {"anna": "fine"})
    with place.leading():
        place.pause("judged")

    place.clock.at = at_hour(6)
    assert [place.health(job) for job in (HOURLY, TWIN, FORGETFUL, NIGHTLY)] == [{}, {}, {}, {}]
    with place.leading():
        place.go_to(at_hour(8))
        assert [place.health(job) for job in (HOURLY, TWIN, FORGETFUL, NIGHTLY)] == [{}, {}, {}, {}]
        assert [place.alerted(job) for job in (HOURLY, TWIN, FORGETFUL, NIGHTLY)] == [set(), set(), set(), set()]
        place.service.commands.outcome(place.service.commands.resume("judged"), PATIENCE_SECONDS)
        place.clock.at = at_hour(8.5)
        assert place.health(HOURLY) == {}


def test_windows_that_did_not_run_are_incomplete_until_a_backfill(place: Place) -> None:
    counting.put(place.data, {"anna": "fine", "ben": "fails"})
    with place.leading():
        for job in (HOURLY, TWIN, FORGETFUL):
            place.pause(job)
    place.clock.at = at_hour(72)
    with place.leading():
        place.wait()
        found = place.health(NIGHTLY)
        assert found.keys() == {K.FAILED_RUN, K.INCOMPLETE_WINDOWS}
        assert found[K.INCOMPLETE_WINDOWS].items == ("2025-01-19", "2025-01-20", "2025-01-21")
        assert found[K.INCOMPLETE_WINDOWS].numbers == {"missing": 2, "partial": 1}

        counting.change(place.data, "ben", "fine")
        backfill(place, date(2025, 1, 17), date(2025, 1, 21))
        after = place.health(NIGHTLY)
        assert after == {K.FAILED_RUN: found[K.FAILED_RUN]}  # a backfill does not heal it
        place.retry(NIGHTLY)
        assert place.health(NIGHTLY) == {}

        counting.change(place.data, "ben", "fails")
        backfill(place, date(2025, 1, 10), date(2025, 1, 16))
        assert place.health(NIGHTLY) == {}  # nor harms


def backfill(place: Place, since: date, until: date) -> None:
    backfills = place.service.backfills
    number = backfills.plan([NIGHTLY], since, until, only=Only.ALL)
    place.service.commands.outcome(backfills.apply(number), PATIENCE_SECONDS)
    assert backfills.wait_for(number, PATIENCE_SECONDS) is not None


def test_a_time_that_comes_twice_is_neither_overdue_nor_missed(place: Place) -> None:
    """In Berlin, clocks are set back from 03:00 to 02:00 on 26 October 2025: 02:30 comes twice, and runs once."""
    counting.put(place.data, {"anna": "fine"})
    place.clock.at = datetime(2025, 10, 26, 0, 20, tzinfo=UTC)
    with place.leading():
        place.go_to(datetime(2025, 10, 26, 0, 31, tzinfo=UTC))
        assert place.newest(NIGHTLY).window.label == "2025-10-25"
        place.go_to(datetime(2025, 10, 26, 1, 35, tzinfo=UTC))
        assert place.health(NIGHTLY) == place.health(HOURLY) == {}
        assert len(place.service.queries.runs(limit=9, job=NIGHTLY)) == 1
    assert place.alerted(NIGHTLY) == set()
