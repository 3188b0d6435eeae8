"""The life of alerts in the store: what a look writes, and what the next leader finds."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from opsconsole.core.errors import Fenced
from opsconsole.core.settings import Channel, Secret, Settings
from opsconsole.leader.alert_records import RULES_ACTOR
from opsconsole.leader.alerting import MAX_CHANGES, Alerting
from opsconsole.rules.alert_changes import Judgement
from opsconsole.rules.alerts import Acknowledgement, Alert, AlertEvent, target_of
from opsconsole.rules.findings import Finding, FindingKey, FindingKind, Severity
from opsconsole.rules.leadership import Identity
from opsconsole.store import alerts, audit, lease, pauses, silences
from opsconsole.store.tables import alerts as alert_table, notifications
from tests.conftest import Installing
from tests.installation import Installation
from tests.soak import postgresql_in_soak

pytestmark = postgresql_in_soak

NOON = datetime(2026, 1, 19, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
JOB, OTHER = "counting.count", "clockwork.hourly"
ME = Identity("uuid", "web1", 812, "1", "boot", "asha")
CHANNELS = (
    Channel("phone", Secret("json://127.0.0.1:9/"), "critical"),
    Channel("team", Secret("json://127.0.0.1:9/")),
)


@dataclass
class Leader:
    """Looks with a token of its own, at what a test has it find."""

    place: Installation
    settings: Settings
    token: int
    at: datetime = NOON
    judgement: Judgement = field(default_factory=Judgement)
    causes: dict[FindingKey, FindingKey] = field(default_factory=dict)
    unknown: frozenset[FindingKind] = frozenset()
    to_pause: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._alerting = Alerting(
            self.place.store,
            self.place.catalog,
            self.settings,
            self.token,
            lambda _: self.judgement,
            may_start_work=lambda: True,
            now=lambda: self.at,
        )

    def look(self, *found: Finding, after: timedelta = SECOND) -> None:
        """Looks when these are the findings."""
        self.at += after
        self.judgement = Judgement(found, self.causes, self.unknown, self.to_pause)
        self._alerting.look()

    def resolve(self) -> None:
        """Looks twice without findings."""
        self.look()
        self.look()


@pytest.fixture
def place(database_url: str, installing: Installing) -> Installation:
    return installing(
        database_url=database_url,
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.clockwork,tests.packs.counting",
    )


@pytest.fixture
def leader(place: Installation) -> Leader:
    return next_leader(place)


def next_leader(place: Installation, at: datetime = NOON) -> Leader:
    with place.store.writing() as db:
        token = lease.take(db, lease.read(db), ME, at)
    assert token is not None
    return Leader(place, replace(place.settings, channels=CHANNELS), token, at)


def failed(severity: Severity = Severity.WARNING, *, job: str = JOB, count: int = 1) -> Finding:
    return Finding(severity, FindingKind.FAILED_RUN, job, NOON, count=count)


def unreachable() -> Finding:
    return Finding(Severity.CRITICAL, FindingKind.UNREACHABLE, "the data database", NOON, reason="refused")


def all_alerts(place: Installation) -> list[Alert]:
    with place.store.reading() as db:
        return sorted(alerts.newest(db, limit=1000), key=lambda alert: alert.id)


def sent(place: Installation) -> list[tuple[str, str]]:
    """What was written for the channels, in order: (event, channel)."""
    with place.store.reading() as db:
        rows = db.execute(select(notifications.c.event, notifications.c.channel).order_by(notifications.c.id))
        return [(row.event, row.channel) for row in rows]


def audited(place: Installation) -> list[tuple[str, str, str, str]]:
    with place.store.reading() as db:
        assert audit.verify(db).broken is None
        rows = reversed(audit.newest(db, limit=100))
        return [(row.who, row.verb, row.target, row.outcome) for row in rows if row.command is None]


# --- from firing to resolved --------------------------------------------------------------------------------------


def test_an_alert_fires_once_and_is_resolved_with_its_duration(place: Installation, leader: Leader) -> None:
    for _ in range(3):
        leader.look(failed())
    leader.resolve()
    leader.look()

    (found,) = all_alerts(place)
    assert (found.key, found.severity, found.job, found.pack) == (
        (FindingKind.FAILED_RUN, JOB),
        Severity.WARNING,
        JOB,
        "counting",
    )
    assert (found.since, found.opened_at, found.resolved_at) == (NOON, NOON + SECOND, NOON + 5 * SECOND)
    assert audited(place) == [
        (RULES_ACTOR, "alert", target_of(found), "fired"),
        (RULES_ACTOR, "alert", target_of(found), "resolved"),
    ]
    with place.store.reading() as db:
        newest, _ = audit.newest(db, limit=2)
    assert newest.after is not None
    assert newest.after["seconds"] == 5


def test_an_alert_that_becomes_worse_is_no_longer_acknowledged(place: Installation, leader: Leader) -> None:
    leader.look(failed())
    (found,) = all_alerts(place)
    with place.store.writing() as db:
        alerts.acknowledge(db, found.id, Acknowledgement("asha", leader.at, None, "ticket 81"))
    leader.look(failed(), after=10 * HOUR)
    quiet = sent(place)
    leader.look(failed(Severity.CRITICAL), after=MINUTE)

    (worse,) = all_alerts(place)
    assert worse.worse_at == leader.at
    assert worse.acknowledged is not None, "who knew of it is kept"
    assert quiet == [("fired", "team")]
    assert sent(place)[1:] == [("fired", "phone"), ("worse", "team")]
    assert [row[-1] for row in audited(place)] == ["fired", "worse"]


def test_failures_are_worse_each_time_they_double(place: Installation, leader: Leader) -> None:
    for count in (2, 3, 4, 7, 8):
        leader.look(failed(count=count), after=MINUTE)

    assert [row[-1] for row in audited(place)] == ["fired", "worse", "worse"]
    (found,) = all_alerts(place)
    assert found.baseline == 8


def test_the_words_of_an_open_alert_follow_its_finding(place: Installation, leader: Leader) -> None:
    check = Finding(Severity.WARNING, FindingKind.CHECK, "counting.queue", NOON, reason="12 wait")
    leader.look(check)
    leader._alerting._refreshed = float("-inf")  # a minute later
    leader.look(replace(check, reason="13 wait", numbers={"waiting": 13}))

    (found,) = all_alerts(place)
    assert found.message.endswith("13 wait")
    assert found.evidence == {"count": 1, "numbers": {"waiting": 13}, "reason": "13 wait"}
    assert len(audited(place)) == 1


def test_many_alerts_fire_and_are_resolved_a_part_at_a_time(place: Installation, leader: Leader) -> None:
    late = [Finding(Severity.WARNING, FindingKind.LATE, f"shop.job{n:03}", NOON) for n in range(2 * MAX_CHANGES)]
    leader.look(*late, unreachable())
    first = all_alerts(place)
    for _ in range(2):
        leader.look(*late, unreachable())
    fired = len(all_alerts(place))
    for _ in range(5):
        leader.look()

    assert len(first) == MAX_CHANGES
    assert first[0].key == unreachable().key, "the worst first"
    assert fired == 2 * MAX_CHANGES + 1
    assert not any(each.is_open for each in all_alerts(place))


# --- causes -------------------------------------------------------------------------------------------------------


def test_failures_with_one_cause_are_one_notification(place: Installation, leader: Leader) -> None:
    leader.causes = {failed().key: unreachable().key, failed(job=OTHER).key: unreachable().key}
    leader.look(failed(), failed(job=OTHER), unreachable())

    by_rule = {each.subject: each for each in all_alerts(place)}
    cause = by_rule["the data database"]
    assert by_rule[JOB].cause == by_rule[OTHER].cause == cause.id
    assert sent(place) == [("fired", "phone"), ("fired", "team")]
    with place.store.reading() as db:
        bodies = db.execute(select(notifications.c.body)).scalars().all()
    assert all(JOB in body and OTHER in body for body in bodies)


def test_an_alert_outlives_its_cause(place: Installation, leader: Leader) -> None:
    leader.causes = {failed().key: unreachable().key}
    leader.look(failed(), unreachable())
    leader.causes = {}
    leader.look(failed())
    waits = {each.subject: each.cause for each in all_alerts(place)}
    leader.look(failed())

    after = {each.subject: each.cause for each in all_alerts(place)}
    assert waits[JOB] is None
    assert after[JOB] is None
    assert ("fired", "team") in sent(place)[2:]


def test_a_silenced_failure_hides_no_other_job(place: Installation, leader: Leader) -> None:
    with place.store.writing() as db:
        silences.add(db, JOB, since=NOON, until=NOON + HOUR, who="ben", note="")
    repeated = replace(failed(), kind=FindingKind.FAILING_REPEATEDLY)
    leader.causes = {failed(job=OTHER).key: failed().key, repeated.key: failed().key}
    leader.look(failed(), failed(job=OTHER), repeated)
    during = {(each.rule, each.subject): each.cause for each in all_alerts(place)}
    messages = sent(place)
    leader.look(failed(), failed(job=OTHER), repeated, after=HOUR)

    after = {each.key: each for each in all_alerts(place)}
    assert during[failed(job=OTHER).key] is None
    assert during[repeated.key] == after[failed().key].id
    assert messages == [("fired", "team")]
    assert after[failed(job=OTHER).key].cause == after[failed().key].id


# --- when nothing is sent -----------------------------------------------------------------------------------------


def test_what_was_silenced_is_sent_when_the_silence_ends(place: Installation, leader: Leader) -> None:
    with place.store.writing() as db:
        silences.add(db, "counting", since=NOON, until=NOON + HOUR, who="ben", note="")
    leader.look(failed(), after=MINUTE)
    during = sent(place)
    leader.look(failed(), after=HOUR)

    assert during == []
    assert sent(place) == [("fired", "team")]


def test_a_job_in_maintenance_is_quiet_but_not_one_that_the_rules_paused(place: Installation, leader: Leader) -> None:
    with place.store.writing() as db:
        pauses.add(db, JOB, since=NOON, until=None, who="ben", note="moving")
        pauses.add(db, OTHER, since=NOON, until=None, who=RULES_ACTOR, note="failed 3 times in a row")
    leader.look(failed(), failed(job=OTHER))

    assert len(all_alerts(place)) == 2
    assert sent(place) == [("fired", "team")]


def test_an_alert_that_flaps_is_sent_again_only_after_a_while(place: Installation, leader: Leader) -> None:
    leader.look(failed())
    leader.resolve()
    for _ in range(5):
        leader.look(failed(), after=10 * SECOND)
        leader.resolve()
    flapping = sent(place)
    leader.look(failed(), after=10 * SECOND)
    leader.look(failed(), after=5 * MINUTE)

    assert flapping == [("fired", "team"), ("resolved", "team")]
    assert sent(place)[2:] == [("fired", "team")]
    assert len(all_alerts(place)) == 7, "every one is recorded"


# --- restarts and faults ------------------------------------------------------------------------------------------


def test_the_next_leader_continues_and_doubles_nothing(place: Installation, leader: Leader) -> None:
    leader.look(failed())
    second = next_leader(place, leader.at)
    second.look(failed())
    with pytest.raises(Fenced):
        leader.look(failed(), unreachable())
    second.resolve()

    (found,) = all_alerts(place)
    assert found.resolved_at == second.at
    assert sent(place) == [("fired", "team"), ("resolved", "team")]
    assert [row[-1] for row in audited(place)] == ["fired", "resolved"]


def test_facts_that_cannot_be_read_keep_their_alerts_open(place: Installation, leader: Leader) -> None:
    leader.look(failed(), unreachable())
    leader.unknown = frozenset({FindingKind.FAILED_RUN})
    for _ in range(3):
        leader.look()

    assert [each.subject for each in all_alerts(place) if each.is_open] == [JOB]


def test_a_damaged_row_hides_no_other_alert(place: Installation, leader: Leader) -> None:
    leader.look(failed(), failed(job=OTHER), unreachable())
    with place.store.writing() as db:
        db.execute(update(alert_table).where(alert_table.c.subject == JOB).values(rule="of_a_newer_version"))
        if place.store.is_sqlite:
            db.execute(
                text("UPDATE ops_alerts SET evidence = 'no JSON', severity = 9 WHERE subject = :job"), {"job": OTHER}
            )

    leader.look(failed(), failed(job=OTHER), unreachable())
    leader.look(failed(), failed(job=OTHER), unreachable())

    open_now = [each.key for each in all_alerts(place) if each.is_open]
    assert sorted(open_now) == sorted([failed().key, failed(job=OTHER).key, unreachable().key])


# --- the log ------------------------------------------------------------------------------------------------------


def test_each_change_is_one_line_of_the_log(
    place: Installation, leader: Leader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="opsconsole")
    leader.look(failed())
    leader.look(failed(Severity.CRITICAL))
    (found,) = all_alerts(place)
    leader.look(failed(Severity.CRITICAL))
    with place.store.writing() as db:
        alerts.acknowledge(db, found.id, Acknowledgement("asha", leader.at, leader.at + MINUTE, ""))
    leader.look(failed(Severity.CRITICAL))
    leader.look(failed(Severity.CRITICAL), after=HOUR)
    leader.resolve()

    lines = [record.__dict__ for record in caplog.records if "alert" in record.__dict__]
    assert [line["event"] for line in lines] == ["fired", "worse", "acknowledged", "firing", "resolved"]
    assert {(line["alert"], line["rule"], line["subject"], line["job"]) for line in lines} == {
        (found.id, "failed_run", JOB, JOB)
    }
    assert [line["severity"] for line in lines] == ["warning", *["critical"] * 4]
    assert lines[0]["event"] is AlertEvent.FIRED


# --- pausing ------------------------------------------------------------------------------------------------------


def test_a_job_that_fails_too_often_is_paused_once(place: Installation, leader: Leader) -> None:
    leader.to_pause = {JOB: 4}
    leader.look(failed())
    leader.look(failed())

    with place.store.reading() as db:
        (pause,) = pauses.in_force(db, leader.at)
    assert (pause.target, pause.until, pause.who, pause.note) == (JOB, None, RULES_ACTOR, "failed 4 times in a row")
    assert [row for row in audited(place) if row[1] == "pause"] == [(RULES_ACTOR, "pause", JOB, "done")]
    assert sent(place) == [("fired", "team")]
