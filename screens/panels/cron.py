"""What a cron expression that an operator tries means: in words, its next times, and probable mistakes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from opsconsole.core import humanize
from screens.widgets.lines import Line, Piece, crop, left, line, text, wrapped

if TYPE_CHECKING:
    from opsconsole.service.job_page import ScheduleTrial

TIMES = 6
WARNING_LINES = 5
"""Always reserved, so that the dialog keeps its height."""


def lines(trial: ScheduleTrial, now: datetime, cells: int, times: int = TIMES) -> list[Line]:
    """The schedule in words, its next `times` in its zone and in UTC, and warnings."""
    words = crop(line("In words ", text(trial.words, "strong", 200)), cells)
    return [words, *_times(trial, now, times), *_warnings(trial, cells)]


def _times(trial: ScheduleTrial, now: datetime, times: int) -> list[Line]:
    shown = trial.scheduled[:times]
    rows = []
    for index, at in enumerate(shown):
        label = "Next     " if index == 0 else "         "
        local = f"{_weekday(at, trial.tz)} {humanize.date_and_time(at, now, trial.tz)}"
        utc = left("" if trial.tz == "UTC" else humanize.date_and_time(at, now), 18, "quiet")
        rows.append(line(label, left(local, 24), utc, Piece(humanize.relative_time(at, now), "quiet")))
    return [*rows, *[line()] * (times - len(rows))]


def _warnings(trial: ScheduleTrial, cells: int) -> list[Line]:
    if not trial.warnings:
        return [line("Lint     ", Piece("no warnings", "ok")), *[line()] * (WARNING_LINES - 1)]
    found = [each for warning in trial.warnings for each in wrapped([f"! {warning.message}"], cells, "warn")]
    if len(found) > WARNING_LINES:
        found = [*found[: WARNING_LINES - 1], line(Piece("more: opsconsole lint", "quiet"))]
    return [*found, *[line()] * (WARNING_LINES - len(found))]


def _weekday(at: datetime, tz: str) -> str:
    return ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[at.astimezone(humanize.zone(tz)).weekday()]
