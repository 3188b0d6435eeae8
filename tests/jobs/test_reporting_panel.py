"""The panel of reports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.reporting import pack
from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from opsconsole.authoring.extensions import PanelContent
from tests.jobs.reporting_fixtures import ReportingFixture, at


@pytest.fixture
def fixture(database_url: str) -> Iterator[ReportingFixture]:
    made = ReportingFixture(database_url)
    yield made
    made.close()


def shown(fixture: ReportingFixture) -> PanelContent:
    (panel,) = pack.panels
    return panel.read(fixture.serving())


def test_a_new_installation_has_no_reports_and_no_stale_days(fixture: ReportingFixture) -> None:
    fixture.now = at("2026-03-11 09:00")

    panel = shown(fixture)

    assert panel.facts == (("newest report", "none"), ("users", "0"), ("stale days", "0 of 14 checked"))
    assert panel.columns == ("day", "reports", "snapshots", "stale users")
    assert panel.rows[0] == ("2026-03-10", "-", "-", "-")
    assert panel.rows[-1] == ("2026-02-25", "-", "-", "-")


def test_a_late_transaction_shows_in_every_affected_day(fixture: ReportingFixture) -> None:
    fixture.enrol("asha", "ben", "chen")
    for pocket, user in (("a", "asha"), ("b", "ben")):
        fixture.open(pocket, user, 100)
        fixture.move(pocket, "income", 1, "2026-03-08 10:00")
    fixture.move("a", "income", 1, "2026-03-09 10:00")
    for day, midnight in (("2026-03-08", "2026-03-09 00:00"), ("2026-03-09", "2026-03-10 00:00")):
        fixture.now = at(midnight)
        fixture.run(daily_report, day)
        fixture.run(daily_snapshot, day)
    fixture.move("a", "expense", 1, "2026-03-09 11:00", recorded="2026-03-10 18:00")
    fixture.move("b", "expense", 1, "2026-03-08 11:00", recorded="2026-03-10 18:00")
    fixture.now = at("2026-03-11 09:00")

    panel = shown(fixture)

    assert panel.facts == (("newest report", "2026-03-09"), ("users", "3"), ("stale days", "2 of 14 checked"))
    assert panel.rows[:4] == (
        ("2026-03-10", "-", "-", "-"),
        ("2026-03-09", "1", "2", "2"),
        ("2026-03-08", "2", "2", "1"),
        ("2026-03-07", "-", "-", "-"),
    )
