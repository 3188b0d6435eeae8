"""`health`: what is wrong, from the store alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text

from opsconsole.core import database
from opsconsole.rules.leadership import Identity
from opsconsole.store import health_checks, lease, registrations, tables
from tests.cli.conftest import RunCli
from tests.installation import Installation

BEN = Identity("uuid", "web1", 812, "1", "m/b/n", "ben")


def now() -> datetime:
    return datetime.now(UTC)


def lead(installation: Installation, at: datetime) -> None:
    """Writes a lease that was renewed at a time, and the registrations of all jobs."""
    with installation.store.writing() as db:
        lease.take(db, lease.read(db), BEN, at)
        for job in installation.catalog:
            registrations.register(db, job, at)


def add_alert(installation: Installation, rule: str, subject: str, **how: object) -> None:
    usual = {"severity": 2, "since": now(), "opened_at": now(), "message": "is broken", "evidence": {}}
    with installation.store.writing() as db:
        db.execute(insert(tables.alerts).values(usual | {"rule": rule, "subject": subject} | how))


def test_a_led_installation_without_problems_is_ok(cli: RunCli, installation: Installation) -> None:
    lead(installation, now())

    result, document = cli("health"), cli("health", "--json").json

    assert result.code == 0
    jobs = len(list(installation.catalog))
    assert result.out == (
        f"OPSCONSOLE OK - {jobs} jobs without problems | critical=0 warning=0 acknowledged=0 silenced=0 jobs={jobs}\n"
    )
    assert (document["status"], document["leader"], document["problems"]) == ("ok", "ben on web1, pid 812", [])


def test_nobody_leading_is_critical(cli: RunCli, installation: Installation) -> None:
    lead(installation, now() - timedelta(minutes=2))

    result = cli("health")
    document = cli("health", "--json").json

    assert result.code == 2
    assert result.out.startswith("OPSCONSOLE CRITICAL - ")
    assert "not_leading" in [each["rule"] for each in document["problems"]]
    assert (document["leader"], document["exit_code"]) == (None, 2)


def test_a_lease_of_minutes_is_renewed_less_often(
    cli: RunCli, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSCONSOLE_ENGINE__LEASE_SECONDS", "300")
    lead(installation, now() - timedelta(minutes=2))
    waiting = cli("health", "--json").json
    lead(installation, now() - timedelta(minutes=11))

    assert waiting["leader"] == "ben on web1, pid 812"
    assert "not_leading" in [each["rule"] for each in cli("health", "--json").json["problems"]]


def test_what_only_the_leader_finds_counts_by_its_alert(cli: RunCli, installation: Installation) -> None:
    lead(installation, now())
    add_alert(installation, "evicting", "Redis", severity=1, message="drops | keys")
    warning = cli("health")
    add_alert(installation, "unreachable", "Redis", acknowledged_by="asha", acknowledged_at=now())

    critical = cli("health")

    assert warning.code == 1
    assert "OPSCONSOLE WARNING - 1 warning: Redis drops / keys | critical=0 warning=1" in warning.out
    assert critical.code == 2
    assert "Redis is broken (acknowledged by asha)" in critical.out
    assert critical.out.count("\n") == 1
    assert "acknowledged=1" in critical.out


ACKNOWLEDGED = {"acknowledged_by": "asha", "acknowledged_at": now()}


@pytest.mark.parametrize("more", [{}, ACKNOWLEDGED])
def test_a_silenced_alert_does_not_count(cli: RunCli, installation: Installation, more: dict[str, object]) -> None:
    lead(installation, now())
    add_alert(installation, "unreachable", "Redis", **more)
    with installation.store.writing() as db:
        db.execute(
            insert(tables.silences).values(
                target="unreachable", since=now() - timedelta(hours=1), until=None, who="asha", note=""
            )
        )

    result = cli("health")

    assert result.code == 0
    assert "silenced=1" in result.out


def test_an_alert_about_a_job_counts_only_while_the_store_proves_it(cli: RunCli, installation: Installation) -> None:
    lead(installation, now())
    add_alert(installation, "failed_run", "counting.count", job="counting.count")

    assert cli("health").code == 0


def test_many_problems_are_bounded(cli: RunCli, installation: Installation) -> None:
    lead(installation, now())
    for n in range(30):
        add_alert(installation, "check", f"exams.check{n:02}", message="x" * 5000)

    result = cli("health")

    assert result.code == 2
    assert "; 27 more |" in result.out
    assert len(result.out) < 700


def test_without_a_store_the_status_is_unknown(
    cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("empty") / "none.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{file}")

    result = cli("health")

    assert result.code == 3
    assert result.out == (
        f"OPSCONSOLE UNKNOWN - there is no store at sqlite:///{file} yet; start a console or `opsconsole headless`\n"
    )
    assert not file.exists()


def test_a_store_of_another_version_is_unknown(cli: RunCli, installation: Installation) -> None:
    with installation.store.writing() as db:
        db.execute(text("UPDATE ops_schema_version SET version_num = '0007'"))

    result = cli("health")

    assert result.code == 3
    assert "is at version 0007" in result.out


@contextmanager
def locked(file: str) -> Iterator[None]:
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("UPDATE ops_lease SET beat = beat")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def test_a_locked_store_is_unknown(cli: RunCli, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SQLITE_BUSY_SECONDS", 0.1)
    file = installation.settings.store_url.reveal().removeprefix("sqlite:///")
    installation.close()

    with locked(file):
        result, document = cli("health"), cli("health", "--json")

    assert (result.code, document.code) == (3, 3)
    assert result.out.startswith("OPSCONSOLE UNKNOWN - ")
    assert "locked" in result.out
    assert document.json["status"] == "unknown"


def test_unusable_settings_are_unknown(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSCONSOLE_ENGINE__WORKERS", "-1")

    result = cli("health")

    assert result.code == 3
    assert "engine.workers is -1" in result.out


@pytest.mark.parametrize("words", [["--jsn"], ["attempts.cache_day"], ["--since", "1d"], ["--json", "x", "y"]])
def test_a_usage_error_is_unknown(cli: RunCli, words: list[str]) -> None:
    result = cli("health", *words)

    assert result.code == 3
    assert result.err.startswith("opsconsole: ")


def test_the_history_of_a_job_is_shown_in_spans(cli: RunCli, installation: Installation) -> None:
    start = now().replace(second=0, microsecond=0) - timedelta(hours=2)
    states = ["up", "up", "failing", "up"]
    with installation.store.writing() as db:
        for n, state in enumerate(states):
            at = start + timedelta(minutes=5 * n)
            health_checks.record(db, at, {"clockwork.hourly": state, "counting.count": "new"})
            health_checks.record(db, at, {})

    shown = cli("health", "--history", "clockwork.hourly")
    document = cli("health", "--history", "--since", "112m", "--json").json

    assert [line.split()[:2] for line in shown.out.splitlines()[1:]] == [
        ["clockwork.hourly", "up"],
        ["clockwork.hourly", "failing"],
        ["clockwork.hourly", "up"],
    ]
    assert [each["states"]["clockwork.hourly"] for each in document] == ["failing", "up"]
    assert cli("health", "--history", "no.such").code == 2
