"""Every report, snapshot and summary against a second opinion, and what must hold between them whatever comes late."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from sqlalchemy import delete, select

from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from jobs.reporting.monthly_summary import monthly_summary
from jobs.reporting.sample import add_reporting
from jobs.reporting.tables import pockets, transactions
from opsconsole.authoring.job import Job
from tests.jobs.oracle_reporting import Oracle, Told, as_text
from tests.jobs.reporting_fixtures import JOBS, TABLE, Bank, at


@pytest.fixture
def bank(database_url: str) -> Iterator[Bank]:
    made = Bank(database_url)
    made.enrol("asha", "ben")
    yield made
    made.close()


def oracle_of(bank: Bank) -> Oracle:
    with bank.data.reading() as db:
        held, moved = ([dict(row) for row in db.execute(select(table)).mappings()] for table in (pockets, transactions))
    return Oracle(held, moved)


def expected(bank: Bank, days: list[date], months: list[date]) -> dict[str, Told]:
    oracle = oracle_of(bank)
    reports: Told = {key: row for day in days for key, row in oracle.reports(day).items()}
    snapshots = {key: row for day in days for key, row in oracle.snapshots(day).items()}
    summaries = {key: row for first in months for key, row in oracle.summaries(first, reports).items()}
    return {daily_report.name: reports, daily_snapshot.name: snapshots, monthly_summary.name: summaries}


def agrees(bank: Bank, told: dict[str, Told]) -> None:
    for job in JOBS:
        assert as_text(bank.rows(job, stamps=False)) == as_text(told[job.name]), job.name


# --- three hundred users over forty days ----------------------------------------------------------------------------

FIRST, USERS, DAYS = datetime(2025, 5, 24, tzinfo=UTC), 300, 40
"""In these weeks many of the made-up users come, and open second pockets."""


def test_three_hundred_users_over_forty_days_in_any_order_and_several_at_once(bank: Bank) -> None:
    add_reporting(bank.data, USERS, FIRST, FIRST + timedelta(days=DAYS))
    days = [FIRST.date() + timedelta(days=n) for n in range(DAYS)]
    months = [date(2025, 5, 1), date(2025, 6, 1)]
    windows: list[tuple[Job, str]] = [(job, day.isoformat()) for job in (daily_report, daily_snapshot) for day in days]
    chance = Random(40)
    chance.shuffle(windows)

    with ThreadPoolExecutor(3) as several:
        results = list(several.map(lambda window: bank.run(*window), windows))
    results += [bank.run(monthly_summary, month.strftime("%Y-%m")) for month in months]

    assert not any(result.failed or result.again for result in results)
    told = expected(bank, days, months)
    agrees(bank, told)
    assert len(told[daily_report.name]) > 5_000
    assert {row["pockets"] for row in told[daily_snapshot.name].values()} == {1, 2, 3}

    before = bank.everything()
    bank.now += timedelta(days=30)
    for job, label in [*windows[:8], (monthly_summary, "2025-06")]:
        assert sum(bank.run(job, label).metrics.values()) == 0
    assert bank.everything() == before


# --- what holds between them ----------------------------------------------------------------------------------------

DAY_BEFORE_ALL = "2026-02-25"
NIGHTS = ["2026-02-26", "2026-02-27", "2026-02-28", "2026-03-01"]
MINUTES = 24 * 60
POCKETS = ("a1", "a2", "a3", "b1")
"""Three of Asha's, of which the third is opened on the second day, and one of Ben's."""


@dataclass(frozen=True)
class Move:
    pocket: str
    to: str | None
    type: str
    amount: int
    occurred: datetime
    recorded: datetime


def moves() -> st.SearchStrategy[Move]:
    # The last minutes of a day come often: between the report and the snapshot lies one of them.
    of_day = st.one_of(st.integers(0, MINUTES - 1), st.integers(MINUTES - 3, MINUTES - 1), st.just(0))
    delays = st.sampled_from([timedelta(0), timedelta(seconds=30), timedelta(hours=3), timedelta(days=1, hours=2)])

    def made(pocket: str, to: str | None, type_: str, amount: int, day: int, minute: int, delay: timedelta) -> Move:
        occurred = at(f"{NIGHTS[0]} 00:00") + timedelta(days=day, minutes=minute)
        if pocket == "a3" or to == "a3":
            occurred = max(occurred, at(f"{NIGHTS[1]} 18:00"))
        return Move(
            pocket, to if pocket[0] == "a" and to != pocket else None, type_, amount, occurred, occurred + delay
        )

    return st.builds(
        made,
        st.sampled_from(POCKETS),
        st.sampled_from([None, None, "a1", "a2", "a3"]),
        st.sampled_from(["income", "expense"]),
        st.integers(1, 10**12),
        st.integers(0, len(NIGHTS) - 1),
        of_day,
        delays,
    )


def begin(bank: Bank) -> None:
    """Everybody as they are before the first night."""
    with bank.data.writing() as db:
        for table in (pockets, transactions, *TABLE.values()):
            db.execute(delete(table))
    for pocket, balance in (("a1", 1_000), ("a2", 0), ("b1", 50)):
        bank.open(pocket, "asha" if pocket[0] == "a" else "ben", balance, f"{DAY_BEFORE_ALL} 00:00")


def record(bank: Bank, waiting: list[Move], until: datetime) -> None:
    """What is recorded before then is written."""
    while waiting and waiting[0].recorded < until:
        move = waiting.pop(0)
        occurred, recorded = (f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (move.occurred, move.recorded))
        if move.to is None:
            bank.move(move.pocket, move.type, move.amount, occurred, recorded=recorded)
        else:
            bank.transfer(move.pocket, move.to, move.amount, occurred, recorded=recorded)


def pass_night(bank: Bank, waiting: list[Move], day: str) -> None:
    """The runs that a day has, each with what is recorded by then."""
    midnight = at(f"{day} 00:00") + timedelta(days=1)
    if day == NIGHTS[1]:
        bank.open("a3", "asha", 700, f"{day} 17:00")
    runs = [(daily_report, day, midnight - timedelta(minutes=1)), (daily_snapshot, day, midnight)]
    if midnight.day == 1:
        runs.append((monthly_summary, day[:7], midnight + timedelta(minutes=1)))
    for job, label, instant in runs:
        record(bank, waiting, instant)
        bank.now = instant
        assert not bank.run(job, label, as_of=f"{instant:%Y-%m-%d %H:%M}").failed


def fits(bank: Bank) -> None:
    """Each day's closing is its snapshot and the next report's opening; the month is the sum of its days."""
    reports, snapshots = bank.rows(daily_report), bank.rows(daily_snapshot)
    after: dict[str, tuple[str, int]] = {}
    for user, day in sorted(reports, reverse=True):
        report = reports[user, day]
        assert report["closing_minor"] == snapshots[user, day]["total_minor"]
        if user in after:
            next_day, opening = after[user]
            came_with_a3 = 700 if user == "asha" and day < NIGHTS[1] <= next_day else 0
            assert report["closing_minor"] == opening - came_with_a3
        after[user] = day, report["opening_minor"]
    for (user, _), summary in bank.rows(monthly_summary).items():
        mine = [row for (who, day), row in reports.items() if who == user and day < "2026-03"]
        for name in ("income_minor", "expense_minor", "transactions"):
            assert summary[name] == sum(row[name] for row in mine)
        assert summary["days_reported"] == len(mine)
        assert summary["closing_minor"] == snapshots[user, "2026-02-28"]["total_minor"]


# Not shrunk: each example is some fifty runs, and a failure is as plain as its first example.
@settings(
    max_examples=20,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(moved=st.lists(moves(), max_size=12), order=st.permutations(NIGHTS), first=st.sampled_from(JOBS[:2]))
def test_whatever_comes_late_all_figures_fit_together_once_what_is_stale_is_repaired(
    bank: Bank, moved: list[Move], order: list[str], first: Job
) -> None:
    begin(bank)
    waiting = sorted(moved, key=lambda move: move.recorded)
    for night in NIGHTS:
        pass_night(bank, waiting, night)
    record(bank, waiting, at("2026-04-01 00:00"))
    bank.now = at("2026-04-02 00:00")

    for job in sorted(JOBS[:2], key=lambda job: job is not first):
        for day in order:
            bank.run(job, day, stale=True)
    bank.run(monthly_summary, "2026-02", stale=True)

    for job in JOBS[:2]:
        assert [day for day in NIGHTS if bank.keys(job, day, stale=True)] == []
    assert bank.keys(monthly_summary, "2026-02", stale=True) == []
    agrees(bank, expected(bank, [date.fromisoformat(night) for night in NIGHTS], [date(2026, 2, 1)]))
    fits(bank)
