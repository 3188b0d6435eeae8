"""The Dashboard: which panels it has, and the rows that the cursor can be on."""

from __future__ import annotations

from enum import StrEnum

from screens.panels import board, health, job_states, job_status, running, success
from screens.panels.view import Key, View
from screens.widgets.lines import Drawing

BOARD = 100
"""From this many columns on, all jobs are in one table, with the details of the one under the cursor below."""
LARGE = 180
"""From this many columns on, the failures and the log of its newest run, and what is next, join."""


class PanelName(StrEnum):
    """The panels, as styles.tcss places them."""

    JOBS = job_status.PANEL
    DETAIL = "detail"
    LOG = "log"
    RUNNING = running.PANEL
    NEXT = "next"
    REDIS = "redis"
    HEALTH = health.PANEL


WITH_ROWS = (PanelName.JOBS, PanelName.RUNNING, PanelName.HEALTH)
"""The panels that the cursor can be in."""


def order(columns: int) -> tuple[PanelName, ...]:
    """The panels in the order in which they are placed: on a board, the jobs come first."""
    first = (PanelName.RUNNING, PanelName.NEXT)
    second = (PanelName.JOBS, PanelName.DETAIL, PanelName.LOG)
    rest = (PanelName.REDIS, PanelName.HEALTH)
    if columns < BOARD:
        return (*first, *second, *rest)
    return (*second, PanelName.RUNNING, PanelName.REDIS, PanelName.NEXT, PanelName.HEALTH)


def jobs(view: View, cells: int, rows: int) -> Drawing:
    """All jobs, in a table where there is room."""
    return board.panel(view, cells, rows) if cells >= BOARD - 2 else success.panel(view, cells, rows)


def keys(view: View, columns: int) -> list[Key]:
    """The keys of all rows that the cursor can stand on, in the order of the panels."""
    jobs, runs = job_states.keys(view), running.keys(view)
    return [*jobs, *runs, *health.keys(view)] if columns >= BOARD else [*runs, *jobs, *health.keys(view)]


def worst(view: View, columns: int) -> Key | None:
    """Where the cursor starts: on the worst finding that nothing explains, otherwise on the first row."""
    findings = health.keys(view)
    return next(iter([*findings, *keys(view, columns)]), None)
