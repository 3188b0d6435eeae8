"""Fills the packs' tables with so many people: the samples of the packs, and copies of them, which are quicker made."""

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
FIRST = 2000
"""So many are made by the samples, the others are copies of them."""

IDS: dict[Table, tuple[str, ...]] = {
    users: ("id",),
    attempts: ("id", "user_id"),
    pockets: ("id", "user_id"),
    transactions: ("id", "user_id", "pocket_id"),
    lives: ("user_id",),
    player_progress: ("user_id",),
    quiz_sessions: ("id", "user_id"),
}
"""The tables that grow with the people, and their columns that are another one's in a copy."""


@dataclass(frozen=True)
class Dates:
    """Which stretches of time the data is about, as of an instant."""

    now: datetime

    @property
    def practised(self) -> date:
        """The day of the attempts: the last Saturday, with which the four weeks of the mastery end."""
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
        """The days with attempts: the Saturday, the day before it, and yesterday."""
        yesterday = self.now.astimezone(INDIA).date() - timedelta(days=1)
        for day in sorted({self.practised - timedelta(days=1), self.practised, yesterday}):
            yield DAY.named(day, INDIA)


def fill(
    data: Database, many: int, dates: Dates, packs: set[str], *, money_days: int = 31, most_attempts: int | None = None
) -> None:
    """Writes what `many` people did. Of the month they paid on its last `money_days`. With `most_attempts` all practise
    on the Saturday alone, and each keeps no more than so many attempts. Whoever is a copy of somebody did the same.
    """
    first = min(many, FIRST)
    if many % first:
        raise ValueError(f"more than {FIRST:,} people come in multiples of them, not {many:,}")
    if packs & {"attempts", "practice"}:
        for day in dates.practice():
            if most_attempts is None or day.label == dates.practised.isoformat():
                add_attempts(data, first, day.start, day.end)
        _correct_attempts(data, most_attempts)
    if "reporting" in packs:
        month = dates.month
        # One day more: what was paid since is taken off today's balances.
        add_reporting(data, first, month.end - timedelta(days=money_days), month.end + timedelta(days=1))
    if "game" in packs:
        # So long ago that every streak is in danger.
        add_game(data, first, dates.now - timedelta(days=5), dates.now - timedelta(days=4))
        _leave_all_waiting(data, dates.now.astimezone(UTC))
    for n in range(1, many // first):
        with data.writing() as db:
            for table, ids in IDS.items():
                values = [
                    (literal(f"c{n:03}-") + column if column.name in ids else column).label(column.name)
                    for column in table.columns
                ]
                mine = table.c.user_id if "user_id" in table.c else table.c.id
                db.execute(insert(table).from_select(list(table.c.keys()), select(*values).where(mine.startswith("u"))))


def _correct_attempts(data: Database, most: int | None) -> None:
    """The sample's one broken attempt goes: what is compared here is who does the same work, not who fails alike."""
    with data.writing() as db:
        db.execute(delete(attempts).where(attempts.c.question_id == BAD_QUESTION))
        if most is not None:
            # They are counted through each day at the end of their ids.
            db.execute(
                delete(attempts).where(func.substr(attempts.c.id, func.length(attempts.c.id) - 1) >= f"{most:02}")
            )


def _leave_all_waiting(data: Database, now: datetime) -> None:
    """Everybody waits for a life, and nobody came back to a session."""
    waiting = {"next_regen_at": now - timedelta(hours=1), "last_regen_at": None}
    with data.writing() as db:
        db.execute(update(lives).values(current_lives=func.length(lives.c.user_id) % 4 + 1, **waiting))
        db.execute(update(lives).where(lives.c.user_id.endswith("7")).values(current_lives=4, next_regen_at=None))
        db.execute(update(quiz_sessions).values(status="active", completed_at=None))
