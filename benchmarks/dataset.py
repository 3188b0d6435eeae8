"""Fills the packs' tables with sample users, and with copies of them, which are faster to create."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Table, delete, func, insert, literal, select, update

from jobs.attempts.sample import BAD_QUESTION, add_attempts
from jobs.attempts.tables import attempts
from jobs.common import users
from jobs.game.sample import add_game
from jobs.game.tables import lives, player_progress, quiz_sessions
from jobs.reporting.sample import add_reporting
from jobs.reporting.tables import pockets, transactions
from opsconsole import DAY, FOUR_WEEKS_BEFORE, MONTH_BEFORE, Window
from opsconsole.core.database import Database

INDIA, UTC_ZONE = ZoneInfo("Asia/Kolkata"), ZoneInfo("UTC")
SAMPLED_USERS = 2000
"""Users created by the packs' samples; all others are copies."""

IDS: dict[Table, tuple[str, ...]] = {
    users: ("id",),
    attempts: ("id", "user_id"),
    pockets: ("id", "user_id"),
    transactions: ("id", "user_id", "pocket_id"),
    lives: ("user_id",),
    player_progress: ("user_id",),
    quiz_sessions: ("id", "user_id"),
}
"""The tables that grow with the users, and the id columns that change in a copy."""


@dataclass(frozen=True)
class Dates:
    """The dates of the data, relative to `now`."""

    now: datetime

    @property
    def practised(self) -> date:
        """The day of the attempts: the last Saturday, which ends the four weeks of mastery."""
        return date.fromisoformat(FOUR_WEEKS_BEFORE.at(self.now, INDIA).label)

    @property
    def month(self) -> Window:
        """The last month, UTC."""
        return MONTH_BEFORE.at(self.now, UTC_ZONE)

    @property
    def paid(self) -> date:
        """The last day of that month."""
        return (self.month.end - timedelta(days=1)).date()

    def practice(self) -> Iterator[Window]:
        """The days with attempts: Saturday, the day before it, and yesterday."""
        yesterday = self.now.astimezone(INDIA).date() - timedelta(days=1)
        for day in sorted({self.practised - timedelta(days=1), self.practised, yesterday}):
            yield DAY.named(day, INDIA)


def fill(
    data: Database,
    user_count: int,
    dates: Dates,
    packs: set[str],
    *,
    money_days: int = 31,
    most_attempts: int | None = None,
) -> None:
    """Writes the data of `user_count` users, copies included.

    Transactions cover the last `money_days` days of the month. With `most_attempts` there are attempts on the Saturday
    only, at most that many per user.
    """
    first = min(user_count, SAMPLED_USERS)
    if user_count % first:
        raise ValueError(f"more than {SAMPLED_USERS:,} users must be a multiple of that, not {user_count:,}")
    if packs & {"attempts", "practice"}:
        for day in dates.practice():
            if most_attempts is None or day.label == dates.practised.isoformat():
                add_attempts(data, first, day.start, day.end)
        _correct_attempts(data, most_attempts)
    if "reporting" in packs:
        month = dates.month
        # One day more: later transactions are subtracted from current balances.
        add_reporting(data, first, month.end - timedelta(days=money_days), month.end + timedelta(days=1))
    if "game" in packs:
        # Long enough ago that every streak is at risk.
        add_game(data, first, dates.now - timedelta(days=5), dates.now - timedelta(days=4))
        _leave_all_waiting(data, dates.now.astimezone(UTC))
    for n in range(1, user_count // first):
        with data.writing() as db:
            for table, ids in IDS.items():
                values = [
                    (literal(f"c{n:03}-") + column if column.name in ids else column).label(column.name)
                    for column in table.columns
                ]
                mine = table.c.user_id if "user_id" in table.c else table.c.id
                db.execute(insert(table).from_select(list(table.c.keys()), select(*values).where(mine.startswith("u"))))


def _correct_attempts(data: Database, most: int | None) -> None:
    """Deletes the sample's invalid attempt: the baselines need not fail like the jobs."""
    with data.writing() as db:
        db.execute(delete(attempts).where(attempts.c.question_id == BAD_QUESTION))
        if most is not None:
            # Ids end with the attempt's number within the day.
            db.execute(
                delete(attempts).where(func.substr(attempts.c.id, func.length(attempts.c.id) - 1) >= f"{most:02}")
            )


def _leave_all_waiting(data: Database, now: datetime) -> None:
    """Makes every player due for a life and expires all sessions."""
    waiting = {"next_regen_at": now - timedelta(hours=1), "last_regen_at": None}
    with data.writing() as db:
        db.execute(update(lives).values(current_lives=func.length(lives.c.user_id) % 4 + 1, **waiting))
        db.execute(update(lives).where(lives.c.user_id.endswith("7")).values(current_lives=4, next_regen_at=None))
        db.execute(update(quiz_sessions).values(status="active", completed_at=None))
