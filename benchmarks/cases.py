"""The measured jobs with their baselines, windows and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from sqlalchemy import Table

from benchmarks.bare import (
    attempts as bare_attempts,
    game as bare_game,
    practice as bare_practice,
    reporting as bare_reporting,
)
from benchmarks.dataset import INDIA, Dates
from benchmarks.environment import POSTGRES, SQLITE
from benchmarks.naive import (
    attempts as naive_attempts,
    game as naive_game,
    practice as naive_practice,
    reporting as naive_reporting,
)
from benchmarks.workload import Workload
from jobs.attempts.tables import suggestions, topic_mastery, user_performance
from jobs.game.tables import lives, player_progress, quiz_sessions, rankings
from jobs.reporting.tables import (
    daily_financial_reports as reports,
    daily_financial_snapshots as snapshots,
    monthly_financial_summaries as summaries,
)
from opsconsole import FOUR_WEEKS_BEFORE
from opsconsole.authoring.outbox import events
from opsconsole.authoring.run import Run

Baseline = Callable[[Workload], int]
"""Processes a workload; returns the number of items."""


@dataclass(frozen=True)
class Case:
    """A job to measure.

    `day` is the date of its window, None for a moment; `tables` are those that it writes. With `flushes` Redis is
    emptied before each measurement. `prepare` writes, once, the data that the job needs, in its own tables or in
    `prepares`. `items` is the number of items of a run, by default the planned ones. With `repeats_all` a second run
    does all the work again, as its input may have changed.
    """

    job: str
    naive: Baseline
    bare: Baseline
    day: Callable[[Dates], date | None]
    tables: tuple[Table, ...] = ()
    flushes: bool = True
    prepare: Callable[[Workload], object] | None = None
    prepares: tuple[Table, ...] = ()
    items: Callable[[Run], int] = field(default=lambda run: run.counts.planned)
    repeats_all: bool = False

    @property
    def pack(self) -> str:
        """The job's pack."""
        return self.job.partition(".")[0]

    @property
    def goals(self) -> Mapping[tuple[str, int], float]:
        """How many times as fast as the naive baseline it is to be, by database and number of users."""
        few, many = TIMES_NAIVE.get(self.job, ((), ()))
        return {
            (name, users): goal
            for users, goals in ((10_000, few), (100_000, many))
            for name, goal in zip((POSTGRES, SQLITE), goals, strict=False)
        }


TIMES_NAIVE: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "attempts.cache_day": ((28, 22), (35, 30)),
    "reporting.daily_report": ((55, 35), (80, 38)),
    "reporting.daily_snapshot": ((85, 250), ()),
    "reporting.monthly_summary": ((20, 15), ()),
    "game.life_regen": ((120, 150), ()),
    "game.streak_update": ((110, 130), ()),
    "game.leaderboard_recalc": ((80, 110), ()),
    "game.session_cleanup": ((55, 35), ()),
}
"""With 10,000 and with 100,000 users, each on PostgreSQL and on SQLite."""


def _practised(dates: Dates) -> date:
    return dates.practised


def _paid(dates: Dates) -> date:
    return dates.paid


def _moment(_: Dates) -> None:
    return None


def _write_evening_reports(workload: Workload) -> None:
    """Writes the reports as of a minute before the end of the day."""
    bare_reporting.daily_report(replace(workload, as_of=workload.window.end - timedelta(minutes=1)))


def _write_mastery(workload: Workload) -> None:
    """Writes the mastery at the end of the four weeks."""
    bare_attempts.update_mastery(replace(workload, window=FOUR_WEEKS_BEFORE.at(workload.as_of, INDIA)))


def _players(run: Run) -> int:
    """The number of players; the job's items are the boards."""
    return int(sum(run.metrics.get(name, 0) for name in ("published", "unchanged", "excluded"))) // run.counts.planned


CASES = (
    Case("attempts.cache_day", naive_attempts.cache_day, bare_attempts.cache_day, _practised, repeats_all=True),
    Case(
        "attempts.suggest",
        naive_attempts.suggest,
        bare_attempts.suggest,
        _practised,
        (suggestions,),
        flushes=False,
        prepare=bare_attempts.cache_day,
        repeats_all=True,
    ),
    Case(
        "attempts.update_performance",
        naive_attempts.update_performance,
        bare_attempts.update_performance,
        _practised,
        (user_performance,),
        repeats_all=True,
    ),
    Case(
        "attempts.update_mastery",
        naive_attempts.update_mastery,
        bare_attempts.update_mastery,
        _practised,
        (topic_mastery,),
    ),
    Case(
        "reporting.daily_report",
        naive_reporting.daily_report,
        bare_reporting.daily_report,
        _paid,
        (reports,),
        repeats_all=True,
    ),
    Case(
        "reporting.daily_snapshot",
        naive_reporting.daily_snapshot,
        bare_reporting.daily_snapshot,
        _paid,
        (reports, snapshots),
        prepare=_write_evening_reports,
    ),
    Case(
        "reporting.monthly_summary",
        naive_reporting.monthly_summary,
        bare_reporting.monthly_summary,
        _paid,
        (summaries,),
        repeats_all=True,
    ),
    Case("game.life_regen", naive_game.life_regen, bare_game.life_regen, _moment, (lives,)),
    Case("game.streak_update", naive_game.streak_update, bare_game.streak_update, _moment, (player_progress, events)),
    Case(
        "game.session_cleanup", naive_game.session_cleanup, bare_game.session_cleanup, _moment, (quiz_sessions, events)
    ),
    Case(
        "game.leaderboard_recalc",
        naive_game.leaderboard_recalc,
        bare_game.leaderboard_recalc,
        _moment,
        (rankings,),
        items=_players,
    ),
    Case(
        "practice.warm_cache",
        naive_practice.warm_cache,
        bare_practice.warm_cache,
        _moment,
        prepare=_write_mastery,
        prepares=(topic_mastery,),
        repeats_all=True,
    ),
)
