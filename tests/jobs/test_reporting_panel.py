"""The panel of reports: the last two weeks at a glance."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.reporting import pack
from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from opsconsole.authoring.extensions import PanelContent
from tests.jobs.reporting_fixtures import Bank, at


@pytest.fixture
def bank(database_url: str) -> Iterator[Bank]:
    made = Bank(database_url)
    yield made
    made.close()


def shown(bank: Bank) -> PanelContent:
    (panel,) = pack.panels
    return panel.read(bank.serving())


def test_a_new_installation_has_no_reports_and_nothing_stale(bank: Bank) -> None:
    bank.now = at("2026-03-11 09:00")

    panel = shown(bank)

    assert panel.facts == (("newest report", "none"), ("users", "0"), ("stale days", "0 of 14 checked"))
    assert panel.columns == ("day", "reports", "snapshots", "stale users")
    assert panel.rows[0] == ("2026-03-10", "-", "-", "-")
    assert panel.rows[-1] == ("2026-02-25", "-", "-", "-")


def test_a_late_transaction_shows_in_every_day_that_it_concerns(bank: Bank) -> None:
    bank.enrol("asha", "ben", "chen")
    for pocket, user in (("a", "asha"), ("b", "ben")):
        bank.open(pocket, user, 100)
        bank.move(pocket, "income", 1, "2026-03-08 10:00")
    bank.move("a", "income", 1, "2026-03-09 10:00")
    for day, midnight in (("2026-03-08", "2026-03-09 00:00"), ("2026-03-09", "2026-03-10 00:00")):
        bank.now = at(midnight)
        bank.run(daily_report, day)
        bank.run(daily_snapshot, day)
    bank.move("a", "expense", 1, "2026-03-09 11:00", recorded="2026-03-10 18:00")
    bank.move("b", "expense", 1, "2026-03-08 11:00", recorded="2026-03-10 18:00")
    bank.now = at("2026-03-11 09:00")

    panel = shown(bank)

    assert panel.facts == (("newest report", "2026-03-09"), ("users", "3"), ("stale days", "2 of 14 checked"))
    assert panel.rows[:4] == (
        ("2026-03-10", "-", "-", "-"),
        ("2026-03-09", "1", "2", "2"),
        ("2026-03-08", "2", "2", "1"),
        ("2026-03-07", "-", "-", "-"),
    )
