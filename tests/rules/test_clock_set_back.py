"""The planner while the clock is set forward and back: no scheduled time runs twice, and none is forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from opsconsole import LATEST, NONE, all_of
from opsconsole.authoring.job import CatchUp, Job
from opsconsole.authoring.occurrence import OccurrenceRecord, OccurrenceState, Reason
from opsconsole.rules.schedule import Schedule, next_run, plan, revise
from tests.rules.test_schedule import MINUTE, START, job, walked
from tests.schedules import cron_of

DAY = timedelta(days=1)
JUMP = timedelta(minutes=5)


@dataclass
class Ledger:
    """A leader's part of planning: rows and a cursor, and a clock that is `error` ahead of the real time."""

    what: Job
    real: datetime = START
    error: timedelta = timedelta(0)
    cursor: datetime = START
    rows: dict[int, OccurrenceRecord] = field(default_factory=dict)
    ran: list[datetime] = field(default_factory=list)
    repeated: set[int] = field(default_factory=set)

    @property
    def now(self) -> datetime:
        return self.real + self.error

    def set_by(self, minutes: int) -> None:
        """Sets the clock forward, or back."""
        self.error += timedelta(minutes=minutes)
        self.tick(jumped=timedelta(minutes=minutes) > JUMP)

    def pass_by(self, minutes: int) -> None:
        """Lets time pass, with a tick each minute."""
        for _ in range(minutes):
            self.real += MINUTE
            self.tick()

    def tick(self, *, jumped: bool = False) -> None:
        cron, now = cron_of(self.what), self.now
        self.cursor = min(self.cursor, now)
        last = cron.previous(now)
        if last is None or last <= self.cursor:
            return
        records = sorted(self.rows.values(), key=lambda row: row.due_at)
        overlapping = [row for row in records if row.last_due_at > self.cursor and row.due_at <= now]
        has_returned = jumped and (not records or now >= records[-1].last_due_at)
        revision = revise(overlapping, cron, self.cursor, now, has_returned=has_returned)
        for number, left in revision.shortened.items():
            row = self.rows.pop(number)
            if left is not None:
                self._add(row, left.due_at, left.last_due_at, left.instants)
        self.repeated.update(revision.repeated)
        for each in plan([Schedule(self.what, cron, self.cursor, recorded=revision.keep)], now, jumped=jumped):
            number = max(self.rows, default=0) + 1
            state = OccurrenceState.RAN if each.runs else each.state
            due_at, last_due_at, instants = each.due_at, each.last_due_at, each.instants
            row = OccurrenceRecord(
                number, each.job, due_at, last_due_at, instants, state, each.reason, None, "", 1, now, None, None
            )
            self._add(row, due_at, last_due_at, instants)
            self.ran += [due_at] if each.runs else []
        self.cursor = last
        self.check()

    def _add(self, row: OccurrenceRecord, due_at: datetime, last_due_at: datetime, instants: int) -> None:
        assert due_at not in [each.due_at for each in self.rows.values()], "each scheduled time has one row"
        shape = (row.state, row.reason, None, "", 1, row.recorded_at, None, None)
        self.rows[row.id] = OccurrenceRecord(row.id, row.job, due_at, last_due_at, instants, *shape)

    def check(self) -> None:
        """Asserts that the times up to the cursor have one row each, and that none ran twice."""
        assert self.what.cron is not None
        assert self.cursor <= self.now
        assert len(set(self.ran)) == len(self.ran), "no time runs twice"
        covered: list[datetime] = []
        for row in self.rows.values():
            times = walked(self.what.cron, row.due_at - MINUTE, row.last_due_at)
            assert len(times) == row.instants
            covered += [at for at in times if at <= self.cursor]
        assert sorted(covered) == walked(self.what.cron, START, self.cursor)


setting = st.tuples(st.just("set_by"), st.sampled_from([-1500, -90, -6, -1, 1, 6, 45, 90, 1500]))
passing = st.tuples(st.just("pass_by"), st.integers(1, 40))
crons = st.sampled_from(["*/7 * * * *", "0 * * * *", "*/30 9-17 * * 1-5", "50 23 * * *"])
catch_ups = st.sampled_from([LATEST, NONE, all_of(newest=2)])


@given(crons, catch_ups, st.lists(st.one_of(setting, passing), max_size=12))
def test_however_the_clock_is_set_each_time_has_one_row_and_none_runs_twice(
    cron: str, catch_up: CatchUp, steps: list[tuple[str, int]]
) -> None:
    ledger = Ledger(job(cron, catch_up))
    for step, minutes in steps:
        # Not before the job was registered: that time does not count.
        if step == "set_by" and ledger.now + timedelta(minutes=minutes) < START:
            continue
        getattr(ledger, step)(minutes)

    ran = set(ledger.ran)
    began = ledger.now
    ledger.pass_by(70)

    due = walked(cron, began, ledger.now)
    assert [at for at in due if at in ran or at in ledger.ran] == due, "from then on each time runs, or ran before"
    assert all(row.has_run for row in ledger.rows.values() if row.id in ledger.repeated)


@pytest.mark.parametrize("catch_up", [LATEST, NONE, all_of(newest=2)], ids=["latest", "none", "all"])
def test_a_clock_a_day_ahead_for_a_moment_costs_no_time_that_comes_later(catch_up: CatchUp) -> None:
    ledger = Ledger(job("*/7 * * * *", catch_up))
    ledger.pass_by(10)
    before = len(ledger.ran)
    ledger.set_by(1440)
    ahead = ledger.ran[before:]
    ledger.set_by(-1440)
    ledger.pass_by(1500)

    on_time = [at for at in walked("*/7 * * * *", START, ledger.now) if at not in ahead]
    assert sorted(ledger.ran) == sorted(on_time + ahead)
    assert {ledger.rows[number].due_at for number in ledger.repeated} == set(ahead)


def test_a_clock_a_day_behind_for_a_moment_changes_no_row() -> None:
    ledger = Ledger(job("*/7 * * * *", NONE), real=START + DAY)
    ledger.tick()
    before = dict(ledger.rows)
    assert {row.reason for row in before.values()} == {Reason.NOT_LEADING}

    ledger.set_by(-1440)
    ledger.set_by(1440)

    assert ledger.rows == before


def test_the_next_run_is_one_that_has_not_run_already() -> None:
    cron, now = cron_of(job("0 * * * *")), START
    first, second, third = walked("0 * * * *", now, now + timedelta(hours=3))

    assert next_run(cron, now, ()) == first
    assert next_run(cron, now, (third,)) == first
    assert next_run(cron, now, (first, second)) == third
