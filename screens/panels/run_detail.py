"""The run under the cursor of a list: its retries, causes, batches and the end of its log in a few rows."""

from __future__ import annotations

from dataclasses import replace

from opsconsole.authoring.run import OPEN, Run
from opsconsole.core import humanize
from opsconsole.service.run_details import RunPage
from screens.panels import chart, run as run_panel, run_failures, run_grid, run_log
from screens.panels.run_log import Log
from screens.panels.view import View
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, line, side_by_side, text, width

BESIDE = 150
"""From this width on, the log is beside the rest."""
BETWEEN = 8
"""The cells of a border around and between what is written into it."""
CHART_ROWS = 4


def title(view: View, run: Run, cells: int) -> Line:
    """The number of a run; where there is room, its job and window."""
    number = Piece(f"{run.id:,}", "title")
    whole = (number, Piece("  "), text(run.job, "strong", 60), Piece("  "), text(view.window_of(run), limit=40))
    return whole if width(whole) + width(end(view, run)) + BETWEEN <= cells else (number,)


def end(view: View, run: Run) -> Line:
    """Why it exists, and when it started."""
    at, tz = run.started_at or run.created_at, view.zone_of(run.job)
    local = "" if tz == "UTC" else f" ({humanize.clock(at, tz)})"
    return line(text(f"{run_panel.by(run)}, {humanize.date_and_time(at, view.now)}{local}", "quiet", 90))


def rows(view: View, page: RunPage | None, cells: int, room: int, *, is_gone: bool = False) -> list[Line]:
    """`room` lines about a run, once it is loaded."""
    if page is None:
        return [line("   ", Piece("no longer kept: its retention has passed" if is_gone else "loading", "quiet"))]
    page = _in_shown_zone(view, page)
    run = page.progress.run
    log = Log(page.log, page.progress.tz, run.state in OPEN, job=run.job)
    if cells >= BESIDE:
        half = (cells - 1) // 2
        return side_by_side(
            _facts(view, page, half, room), half, run_log.rows(log, cells - 1 - half, room), cells - 1 - half
        )
    facts = _facts(view, page, cells, max(1, room - 2))
    return [*facts, *run_log.rows(log, cells, room - len(facts))] if room > len(facts) else facts


def beside(view: View, page: RunPage, cells: int, room: int) -> list[Line]:
    """`room` lines about a run whose failures and log have panels of their own: what came of it, its batches, and the
    durations of the job's last runs where there is room.
    """
    page = _in_shown_zone(view, page)
    run = page.progress.run
    waits = next((each.waits for each in view.snapshot.live if each.run.id == run.id), None)
    lines = run_panel.head(page, view.now, cells, pauses=view.pauses_of(run.job), waits=waits)[1:]
    durations = _durations(view, run, cells)
    rows = run_grid.height(page, cells, max(1, room - len(lines) - len(durations) - 1))
    title = line(" ", *run_grid.title(page, cells, rows))
    lines += [ends(title, line(*run_grid.legend(page), " "), cells), *run_grid.rows(page, cells, rows)]
    return [*lines, *(durations if len(lines) + len(durations) <= room else [])][:room]


def _in_shown_zone(view: View, page: RunPage) -> RunPage:
    return replace(page, progress=replace(page.progress, tz=view.shown_zone(page.progress.tz)))


def _durations(view: View, run: Run, cells: int) -> list[Line]:
    history = next((each for each in view.snapshot.histories if each.job == run.job), None)
    bars = chart.durations(history.newest, cells, CHART_ROWS) if history is not None else []
    return [EMPTY, line(Piece(" durations of the last runs of the job", "quiet")), *bars] if bars else []


def _facts(view: View, page: RunPage, cells: int, room: int) -> list[Line]:
    """What comes first is the most useful: how far it is, what came of its retries, why it failed."""
    run = page.progress.run
    lines = run_panel.header(page.progress, view.now, cells)[1:] if run.state in OPEN or run.error else []
    if run.parent is not None:
        lines.append(line(Piece(f" retries  run {run.parent:,}", "quiet")))
    lines += run_panel.attempts(page, cells)
    grid = _grid(page, cells)
    causes = run_failures.rows(page, run_failures.Items(), cells, max(0, room - len(lines) - len(grid)))
    return [*lines, *(causes if page.causes else []), *grid][:room]


def _grid(page: RunPage, cells: int) -> list[Line]:
    """The batches, and how the job works on them; in two lines where one has no room."""
    count = line(Piece(f" {humanize.count(page.progress.run.batches, 'batch', 'batches')} ", "quiet"))
    facts = next(iter(run_panel.facts(page, cells)), EMPTY)
    if not page.grid:
        return [facts] if facts else []
    room = cells - width(count) - width(facts) - 3
    if room >= min(len(page.grid), 20):
        return [crop((*count, *run_grid.short(page, room), Piece("  "), *facts), cells)]
    batches = crop((*count, *run_grid.short(page, cells - width(count) - 1)), cells)
    return [batches, facts] if facts else [batches]
