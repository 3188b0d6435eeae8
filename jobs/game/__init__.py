"""Game features: lives, streaks, quiz sessions and leaderboards."""

from __future__ import annotations

from jobs.common import metadata
from jobs.game.leaderboard_recalc import leaderboard_recalc
from jobs.game.leaderboard_reset import leaderboard_reset_monthly, leaderboard_reset_weekly
from jobs.game.leaderboards import BOARD, NAMES, STAMP
from jobs.game.life_regen import life_regen
from jobs.game.panels import panels
from jobs.game.sample import add_game
from jobs.game.session_cleanup import session_cleanup
from jobs.game.streak_update import streak_update
from opsconsole import Pack

pack = Pack(
    "game",
    jobs=(
        life_regen,
        streak_update,
        session_cleanup,
        leaderboard_reset_weekly,
        leaderboard_reset_monthly,
        leaderboard_recalc,
    ),
    families=(BOARD, NAMES, STAMP),
    metadata=metadata,
    panels=panels,
    sample=add_game,
)
