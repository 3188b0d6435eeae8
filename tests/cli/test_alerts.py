"""`alerts`, `ack`, `silence` and `unsilence`, without another leader."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from opsconsole.core import clock
from opsconsole.rules.alerts import AlertEvent, Silence
from opsconsole.rules.findings import FindingKind, Severity
from opsconsole.store import alerts, audit, notifications, silences
from tests.cli.conftest import RunCli
from tests.installation import Installation

JOB = "counting.count"
DAY = timedelta(days=1)


def raised(
    place: Installation,
    rule: FindingKind = FindingKind.FAILED_RUN,
    subject: str = JOB,
    *,
    ago: timedelta = timedelta(minutes=8),
    resolved: datetime | None = None,
    cause: int | None = None,
) -> int:
    at = clock.now() - ago
    values = {
        "severity": Severity.CRITICAL,
        "since": at,
        "opened_at": at,
        "message": "20 of 1,912 failed (2026-01-19)",
        "evidence": {"count": 20, "numbers": {"planned": 1912}, "items": ["u0417", "u0\x1b[2J"]},
        "job": subject if "." in subject else None,
        "resolved_at": resolved,
        "cause_id": cause,
        "run_id": 41,
    }
    with place.store.writing() as db:
        return alerts.add(db, (rule, subject), values)


def active(place: Installation) -> list[Silence]:
    with place.store.reading() as db:
        return silences.in_force(db, clock.now())


def test_alerts_are_listed_each_under_its_cause(cli: RunCli, installation: Installation) -> None:
    cause = raised(installation, FindingKind.UNREACHABLE, "Redis")
    effect = raised(installation, cause=cause, ago=timedelta(minutes=9))
    raised(installation, FindingKind.LATE, resolved=clock.now())

    lines = cli("alerts").out.splitlines()

    assert [line.split()[:3] for line in lines[1:]] == [
        [str(cause), "firing", "critical"],
        [str(effect), "firing", "critical"],
    ]
    assert "8 min  Redis 20 of 1,912 failed" in lines[1]
    assert "9 min    counting.count 20 of 1,912 failed" in lines[2], "indented"


def test_alerts_are_selected_by_state_and_time(cli: RunCli, installation: Installation) -> None:
    assert cli("alerts").out == "no alerts\n"
    old = raised(installation, ago=9 * DAY, resolved=clock.now() - 8 * DAY)
    recent = raised(installation, ago=2 * DAY, resolved=clock.now() - timedelta(hours=3))
    still_open = raised(installation)

    def listed(*arguments: str) -> list[int]:
        return [each["id"] for each in cli("alerts", *arguments, "--json").json["alerts"]]

    assert listed() == [still_open]
    assert listed("--state", "resolved") == [recent]
    assert listed("--since", "7d") == [still_open, recent]
    assert listed("--since", "30d", "--state", "resolved") == [recent, old]


def test_alerts_are_written_up_for_others(cli: RunCli, installation: Installation) -> None:
    assert cli("alerts", "report").out.startswith("# No incident\n")
    number = raised(installation)

    every, one, handover = cli("alerts", "report"), cli("alerts", "report", str(number)), cli("alerts", "handover")

    assert every.out.startswith("# Incident: `counting.count`\n")
    assert "## Timeline" in one.out
    assert "## Firing (1)\n\n- **critical** `counting.count` 20 of 1,912 failed" in handover.out
    assert cli("alerts", "report", "999").code == 2


def test_an_alert_is_shown_with_its_evidence_and_what_was_sent(cli: RunCli, installation: Installation) -> None:
    earlier = raised(installation, ago=2 * DAY, resolved=clock.now() - DAY - timedelta(minutes=30))
    number = raised(installation)
    with installation.store.writing() as db:
        notifications.add(
            db,
            alert=number,
            event=AlertEvent.FIRED,
            channel="team",
            severity=Severity.CRITICAL,
            title="critical: counting.count",
            body="",
            at=clock.now(),
        )

    text, document = cli("alerts", "show", str(number)), cli("alerts", "show", str(number), "--json").json

    assert text.out.startswith("counting.count 20 of 1,912 failed (2026-01-19)\n")
    assert f"alert {number}: failed_run, critical, firing for 8 min" in text.out
    assert "to fix it: `opsconsole retry 41`\n" in text.out
    assert "planned: 1,912\nitems: u0417 u0\\x1b[2J\nrunbook: docs/runbook.md#failed_run\n" in text.out
    assert "fired to team: due" in text.out
    assert f"alert {earlier}, for 23 h: counting.count" in text.out
    assert document["evidence"]["numbers"] == {"planned": 1912}
    assert [(each["event"], each["channel"], each["state"]) for each in document["notifications"]] == [
        ("fired", "team", "due")
    ]
    assert [each["id"] for each in document["earlier"]] == [earlier]


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        (FindingKind.OVERDUE, "opsconsole run counting.count"),
        (FindingKind.INCOMPLETE_WINDOWS, "opsconsole backfill windows counting.count"),
    ],
)
def test_an_alert_is_shown_with_the_command_that_helps(
    cli: RunCli, installation: Installation, rule: FindingKind, hint: str
) -> None:
    assert f"to fix it: `{hint}`\n" in cli("alerts", "show", str(raised(installation, rule))).out
    over = raised(installation, FindingKind.FAILED_RUN, resolved=clock.now())
    assert "to fix it" not in cli("alerts", "show", str(over)).out


def test_an_alert_is_acknowledged_with_a_note_and_an_end(cli: RunCli, installation: Installation) -> None:
    number = raised(installation)

    done = cli("ack", str(number), "--for", "2h", "--note", "ticket 81")
    listed = cli("alerts", "--json").json["alerts"][0]

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"acknowledged alert {number} (failed_run counting.count) until ")
    assert (listed["state"], listed["acknowledged"]["note"]) == ("acknowledged", "ticket 81")
    assert "ticket 81" in cli("alerts").out
    assert "(failed_run counting.count) until it is resolved" in cli("ack", str(number)).out, "the newest one counts"
    with installation.store.reading() as db:
        assert [entry.verb for entry in audit.newest(db, limit=4)] == ["acknowledge"] * 4


def test_what_cannot_be_acknowledged_is_refused(cli: RunCli, installation: Installation) -> None:
    over = raised(installation, resolved=clock.now())

    resolved, missing = cli("ack", str(over)), cli("ack", "99")
    both = cli("ack", str(over), "--for", "2h", "--until", "12:00")

    assert resolved.code == 4
    assert resolved.err.startswith(f"opsconsole: alert {over} has been resolved since ")
    assert (missing.code, missing.err) == (2, "opsconsole: alert 99 does not exist; `opsconsole alerts` lists them\n")
    assert both.code == 2
    assert cli("alerts", "show", "99").code == cli("alerts", "show", "9" * 30).code == 2


def test_an_alert_fires_again_when_its_acknowledgement_is_ended(cli: RunCli, installation: Installation) -> None:
    number = raised(installation)
    over = raised(installation, FindingKind.LATE, resolved=clock.now())
    cli("ack", str(number), "--note", "ticket 81")

    done = cli("unack", str(number), "--note", "not ours")

    assert (done.code, done.err) == (0, "")
    assert done.out == f"ended the acknowledgement of alert {number} (failed_run counting.count)\n"
    listed = cli("alerts", "--json").json["alerts"][0]
    assert (listed["state"], listed["acknowledged"]) == ("firing", None)
    again, resolved, missing = cli("unack", str(number)), cli("unack", str(over)), cli("unack", "99")
    assert (again.code, again.err) == (4, f"opsconsole: alert {number} is not acknowledged\n")
    assert resolved.code == 4
    assert missing.code == 2
    with installation.store.reading() as db:
        verbs = [entry.verb for entry in audit.newest(db, limit=6) if entry.verb == "unacknowledge"]
    assert len(verbs) == 6, "what was refused, too"


def test_the_silence_of_an_alert_applies_when_it_recurs(cli: RunCli, installation: Installation) -> None:
    number = raised(installation)

    done = cli("silence", str(number), "--for", "90m", "--note", "known")
    state = cli("alerts", "--json").json
    ended = cli("unsilence", str(number))

    assert done.out.startswith("silenced failed_run counting.count until ")
    assert (state["alerts"][0]["state"], state["silences"][0]["note"]) == ("silenced", "known")
    assert ended.out == "ended the silence of failed_run counting.count\n"
    assert active(installation) == []


def test_a_job_a_pack_and_a_rule_are_silenced_for_twelve_hours(cli: RunCli, installation: Installation) -> None:
    for target in (JOB, "counting", "slow_run"):
        assert cli("silence", target, "--note", "two\nlines").code == 0

    found = active(installation)
    assert [silence.target for silence in found] == [JOB, "counting", "slow_run"]
    assert all(
        silence.until is not None and timedelta(hours=11, minutes=58) < silence.until - clock.now() <= DAY / 2
        for silence in found
    )
    listed = cli("alerts").out
    assert "counting is silenced by" in listed
    assert "two\\x0alines\n" in listed


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("silence", "countin"), 2, "'countin' is neither the number of an alert nor a job, a pack or a rule; did you"),
        (("silence", "counting", "--until", "2020-01-01"), 4, "which is in the past; choose a later time"),
        (
            ("silence", "counting", "--for", "1h"),
            4,
            "until 2099-01-01 00:00 UTC (moving); to shorten that,",
        ),
        (("unsilence", JOB), 4, "counting.count is not silenced; silenced now: counting"),
    ],
)
def test_what_cannot_be_silenced_is_refused(
    cli: RunCli, installation: Installation, arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert cli("silence", "counting", "--until", "2099-01-01", "--note", "moving").code == 0

    result = cli(*arguments)

    assert (result.code, result.out) == (code, "")
    assert message in result.err


def test_viewers_see_alerts_and_change_nothing(cli: RunCli, installation: Installation) -> None:
    number = raised(installation)

    assert cli("--read-only", "alerts").code == 0
    assert cli("--read-only", "ack", str(number)).code == 77
    assert cli("--read-only", "unack", str(number)).code == 77
    assert cli("--read-only", "silence", JOB).code == 77
    assert active(installation) == []
