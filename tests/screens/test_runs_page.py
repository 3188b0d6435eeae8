"""The page of runs: segments, filter, list, and the run under the cursor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual import events

from opsconsole.authoring.run import Counts, Run, RunState, Trigger
from opsconsole.core.errors import Unavailable
from opsconsole.rules.run_search import Segment
from opsconsole.service.run_details import RunPage
from screens.dialogs.dialog import Confirm
from screens.pages.dashboard import Dashboard
from screens.pages.run import RunScreen
from screens.pages.runs import RunsScreen
from screens.panels import run_detail, runs
from screens.panels.runs import Listed
from screens.panels.view import View
from screens.widgets.lines import Line, width
from tests.screens import fakes, past_runs, samples
from tests.screens.console import Console, run_console

VIEW = View(samples.BUSY, samples.NOW, ("runs", "4790"))
SIZES = [(60, 12), (78, 8), (80, 10), (118, 20), (198, 50)]


def text(lines: list[Line]) -> str:
    return "\n".join("".join(piece.text for piece in each).rstrip() for each in lines)


def service(*pages: RunPage) -> fakes.FakeService:
    return fakes.FakeService([past_runs.PAGE, samples.PAGE, *pages, *(page_of(run) for run in past_runs.RUNS[2:])])


def page_of(run: Run) -> RunPage:
    return replace(past_runs.PAGE, progress=replace(past_runs.PAGE.progress, run=run), causes=(), retries=())


def chosen(console: Console) -> str:
    """The number of the run under the cursor."""
    line = next((line for line in console.text.splitlines() if "▸" in line), "")
    return line.partition("▸")[2].split()[0] if line else ""


# --- the panels ---------------------------------------------------------------------------------------------------


def test_a_row_has_number_job_window_outcome_and_duration() -> None:
    shown = text(runs.rows(VIEW, Listed(past_runs.RUNS), 80, 10)[0]).splitlines()
    assert shown == [
        "  4,812     attempts.cache_day       Mon 19 Jan  ▶ 61% of 10,000          2 min",
        "▸ 4,790     attempts.cache_day       Tue 13 Jan  ◐ 1 of 1,912 failed      1.9 s",
        "  4,702     attempts.cache_day       Tue 13 Jan  ✗ redis is unreachabl…   5.6 s",
        "  4,655     attempts.cache_day       Tue 13 Jan  ✓ 1,911 ok               1.8 s",
        "  4,651     game.life_regen          Mon 19 Jan  ✓ nothing to do          90 ms",
        "  4,640     reporting.daily_report   Mon 19 Jan  C cancelled by ben       1.4 s",
    ]
    assert text([runs.title(80)]) == "run ───── job ──────────────────── window ──── state ────────────────── took"


@pytest.mark.parametrize(("cells", "rows"), SIZES)
def test_the_panels_fit_everywhere(cells: int, rows: int) -> None:
    listed = Listed(past_runs.many(300), total=1000, more_in_total=True, searched_to=5)
    for cursor in ("9000", "8900", "8701"):
        view = replace(VIEW, cursor=("runs", cursor))
        lines, keys = runs.rows(view, listed, cells, rows)
        assert ("runs", cursor) in keys
        assert len(lines) <= rows
        assert len(keys) <= len(lines)
        assert all(width(line) <= cells for line in [*lines, runs.header(view, Segment.ALL, (), listed, cells)])
    assert width(runs.title(cells)) <= cells - 4
    detail = run_detail.rows(VIEW, past_runs.PAGE, cells, rows)
    assert len(detail) <= rows
    assert all(width(line) <= cells for line in detail)


def test_wide_lists_show_who_requested_a_run_and_when_it_started() -> None:
    shown = text(runs.rows(VIEW, Listed(past_runs.RUNS), 198, 10)[0])
    assert "asha, backfill       13 Jan 22:50 IST" in shown
    assert "redis is unreachable: connection refused" in shown


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (samples.a_run(1, state=RunState.QUEUED), "queued"),
        (samples.a_run(1, state=RunState.RUNNING, planning_done=False), "counting items"),
        (samples.a_run(1, state=RunState.TIMED_OUT, counts=Counts(planned=9, not_reached=9)), "9 not reached"),
        (samples.a_run(1, state=RunState.ABANDONED, counts=Counts()), "abandoned"),
        (samples.a_run(1, state=RunState.CANCELLED), "cancelled"),
    ],
)
def test_the_outcome_of_a_run_in_a_few_words(run: Run, words: str) -> None:
    assert runs.outcome(run) == words


def test_an_active_run_is_as_new_as_the_snapshot() -> None:
    old = samples.a_run(4812, state=RunState.RUNNING, counts=Counts(planned=10_000, ok=10))
    assert "61%" in text(runs.rows(VIEW, Listed([old]), 80, 3)[0])


def test_the_position_in_a_list() -> None:
    assert runs.position(VIEW, Listed(past_runs.RUNS, before=200, total=1000, more_in_total=True)) == "202 of 1,000+"
    assert runs.position(replace(VIEW, cursor=None), Listed(past_runs.RUNS, total=6)) == "6"
    assert runs.position(VIEW, Listed(is_loading=True)) == ""


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        (Listed(is_loading=True), "loading"),
        (Listed(), "no run yet · t triggers a job"),
        (Listed(is_filtered=True), "no run matches · esc clears the filter"),
        (Listed(searched_to=81_234), "searched back to run 81,234 · ↓ searches further"),
        (Listed(problem="there is no date '31 feb'"), "there is no date '31 feb'"),
    ],
)
def test_a_list_without_runs_names_what_to_do(listed: Listed, words: str) -> None:
    assert words in text(runs.rows(VIEW, listed, 80, 5)[0])


def test_the_details_show_retries_causes_batches_and_the_log() -> None:
    assert text(run_detail.rows(VIEW, past_runs.PAGE, 80, 7)).splitlines() == [
        " retried  by run 4,791: ◐ 1 failed again",
        "     1  question q-7781 is missing                                        u0417",
        " 8 batches ✓◐✓✓✓✓✓✓   2 workers · batches of 250 · usual 1.7 to 2.1 s · on web1",
        " 23:50:07.000  1,912 users in 8 batches",
        " 23:50:07.000  batch 2 of 8: 249 ok, 1 failed",
        " 23:50:07.000  partial: 1,911 ok, 1 failed of 1,912 in 1.9 s",
    ]
    run = past_runs.PAGE.progress.run
    assert text([run_detail.title(VIEW, run, 120)]) == "4,790  attempts.cache_day  13 Jan"
    assert text([run_detail.end(VIEW, run)]) == "by schedule, 13 Jan 18:20 UTC (23:50 IST)"


def test_the_details_of_a_retry_name_the_run_that_it_retries() -> None:
    retry = samples.a_run(4791, parent=4790, trigger=Trigger.RETRY)
    shown = text(run_detail.rows(VIEW, page_of(retry), 160, 12))
    assert "retries  run 4,790" in shown
    assert "no longer kept" in text(run_detail.rows(VIEW, None, 80, 3, is_gone=True))


# --- keys ---------------------------------------------------------------------------------------------------------


def test_the_page_shows_the_newest_runs_and_the_one_under_the_cursor() -> None:
    async def scenario(console: Console) -> None:
        await console.press("3", "down")
        await console.until(lambda: "retried  by run 4,791" in console.text)
        assert "2 of 6" in console.text
        assert "[all]" in console.text
        assert console.service.presence[-1] == "runs"
        assert "(23:50 IST)" in console.text
        await console.press("z")
        assert "IST" not in console.text
        await console.press("z")
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, RunScreen))
        await console.press("escape", "escape")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, service=service())


def test_last_tuesdays_run_of_a_job_is_found_by_what_is_typed() -> None:
    async def scenario(console: Console) -> None:
        await console.press("3", "slash", *"cache_day last tue", "enter")
        await console.until(lambda: "1 of 3" in console.text)
        assert chosen(console) == "4,790"
        assert ("find", "cache_day last tue", Segment.ALL, None) in console.service.calls
        await console.press("y")
        assert "copied the number of run 4790" in console.notice
        await console.press("equals_sign")
        assert "opsconsole runs cache_day last tue" in console.text

    run_console(scenario, service=service())


def test_escape_clears_the_filter_before_it_closes_the_page() -> None:
    async def scenario(console: Console) -> None:
        await console.press("3", "slash", *"ok", "enter")
        await console.until(lambda: chosen(console) == "4,655")
        await console.press("escape")
        await console.until(lambda: "of 6" in console.text)
        await console.press("escape")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, service=service())


def test_a_large_terminal_has_the_failures_and_the_log_of_the_run_beside_the_list() -> None:
    service = fakes.FakeService([past_runs.PAGE])

    async def scenario(console: Console) -> None:
        await console.press("3", "down")
        await console.until(lambda: "1 failed, 1 cause" in console.text and "─ Log ─" in console.text)
        for words in ("◐ PARTIAL  1,912 planned", "durations of the last runs", "u0000      batch 1", "complete · "):
            assert words in console.text
        await console.until(lambda: not console.app.screen._is_due)  # type: ignore[attr-defined]
        assert service.calls_of("failed_items") == [("failed_items", 4790, None)]
        await console.pilot.resize_terminal(120, 40)
        await console.until(lambda: "─ Log ─" not in console.text and "batch 2 of 8: 249 ok" in console.text)

    run_console(scenario, service=service, size=(200, 60))


def test_tab_changes_the_segment() -> None:
    async def scenario(console: Console) -> None:
        await console.press("3", "tab")
        await console.until(lambda: chosen(console) == "4,702")
        await console.press("right")
        await console.until(lambda: chosen(console) == "4,790")
        await console.press("tab")
        await console.until(lambda: chosen(console) == "4,812")
        assert "x cancel" in console.text
        await console.press("tab")
        await console.until(lambda: chosen(console) == "4,655")
        await console.press("left", "shift+tab", "h", "left")
        await console.until(lambda: "1 of 6" in console.text)

    run_console(scenario, service=service())


def test_a_filter_that_is_not_understood_is_reported_and_the_list_stays() -> None:
    async def scenario(console: Console) -> None:
        await console.press("3")
        await console.until(lambda: "1 of 6" in console.text)
        await console.press("slash")
        console.app.screen.post_message(events.Paste("31 feb"))  # typed slowly, `31` would be a filter of its own
        await console.until(lambda: "there is no date '31 feb'" in console.text)
        assert "4,702" in console.text
        await console.press("escape")
        await console.until(lambda: "1 of 6" in console.text)
        assert "no date" not in console.text

    run_console(scenario, service=service())


def test_a_filter_without_a_match_offers_no_run() -> None:
    async def scenario(console: Console) -> None:
        await console.press("3", "slash", *"by nobody", "enter")
        await console.until(lambda: "no run matches" in console.text)
        for key, verb in (("r", "retry"), ("x", "cancel"), ("enter", "open")):
            await console.press(key)
            assert console.notice == f"no run to {verb} in this list; tab shows another one"
        await console.press("w")
        assert "choose a row" in console.notice
        await console.press("y")
        assert "nothing to copy" in console.notice

    run_console(scenario, service=service())


def test_keys_act_on_the_run_under_the_cursor() -> None:
    async def scenario(console: Console) -> None:
        await console.press("3", "down")
        await console.until(lambda: "retried  by run 4,791" in console.text)
        await console.press("r")
        assert isinstance(console.app.screen, Confirm)
        assert "4790" in console.text
        await console.press("enter")
        await console.until(lambda: ("retry", 4790) in console.service.calls)
        await console.press("x")
        assert "run 4790 has already ended" in console.notice
        await console.press("up", "x")
        assert "Cancel run 4812" in console.text
        await console.press("escape", "down", "w")
        await console.until(lambda: "Why" in console.text)
        await console.press("escape", "t")
        assert "Trigger a job" in console.text

    run_console(scenario, service=service())


def test_long_lists_are_read_in_blocks() -> None:
    fake = service()
    fake.history.runs, fake.history.block = past_runs.many(25), 10
    fake.pages |= {run.id: page_of(run) for run in fake.history.runs}

    async def scenario(console: Console) -> None:
        await console.press("3")
        await console.until(lambda: "1 of 25" in console.text)
        await console.press("pagedown", "down")
        await console.until(lambda: "11 of 25" in console.text)
        assert chosen(console) == "8,990"
        await console.press("pagedown", "pagedown")
        await console.until(lambda: "21 of 25" in console.text)
        await console.press("pagedown", "down")
        await console.until(lambda: "25 of 25" in console.text)
        await console.press(*["up"] * 5)
        await console.until(lambda: "20 of 25" in console.text)
        await console.press("home")
        await console.until(lambda: "1 of 25" in console.text)
        await console.press("down", "home")
        await console.until(lambda: "1 of 25" in console.text)

    run_console(scenario, service=fake)


def test_a_search_that_gave_up_continues_with_the_next_row() -> None:
    fake = service()
    fake.history.runs, fake.history.searched_to = (), 81_234

    async def scenario(console: Console) -> None:
        await console.press("3", "slash", *"by ben", "enter")
        await console.until(lambda: "searched back to run 81,234" in console.text)
        fake.history.searched_to = 61_234
        await console.press("down")
        await console.until(lambda: "searched back to run 61,234" in console.text)
        assert ("find", "by ben", Segment.ALL, 81_234) in console.service.calls

    run_console(scenario, service=fake)


def test_the_list_is_read_again_when_a_run_has_ended() -> None:
    async def scenario(console: Console) -> None:
        await console.press("3")
        await console.until(lambda: "1 of 6" in console.text)
        console.service.history.runs = (samples.a_run(4900), *past_runs.RUNS)
        newer = replace(samples.BUSY, recent=(samples.a_run(4900), *samples.BUSY.recent))
        console.app.show(newer)
        await console.until(lambda: "2 of 7" in console.text)
        assert chosen(console) == "4,812", "the cursor stays on its run"

    run_console(scenario, service=service())


def test_a_change_that_could_not_be_read_is_read_later() -> None:
    async def scenario(console: Console) -> None:
        await console.press("3")
        await console.until(lambda: "1 of 6" in console.text)
        console.service.history.error = Unavailable("store", "database is locked")
        console.service.history.runs = past_runs.RUNS[1:]
        console.app.show(replace(samples.BUSY, live=()))
        await console.until(lambda: "database is locked" in console.text)
        console.service.history.error = None
        await console.until(lambda: "of 5" in console.text)
        assert chosen(console) == "4,790"

    run_console(scenario, service=service())


def test_an_unreachable_store_leaves_the_list_and_its_age() -> None:
    async def scenario(console: Console) -> None:
        await console.press("3")
        await console.until(lambda: "1 of 6" in console.text)
        console.service.history.error = Unavailable("store", "database is locked")
        await console.press("tab")
        await console.until(lambda: "database is locked; stale since 18:20:07 UTC" in console.text)
        console.service.history.error = None
        await console.until(lambda: "stale since" not in console.text)
        assert chosen(console) == "4,702"

    run_console(scenario, service=service())


def test_the_table_to_export_has_every_run_of_the_filter() -> None:
    fake = service()

    async def scenario(console: Console) -> None:
        await console.press("3")
        await console.until(lambda: "1 of 6" in console.text)
        assert isinstance(console.app.screen, RunsScreen)
        table = console.app.screen.table()
        assert [row[0] for row in table.rows] == [run.id for run in past_runs.RUNS]
        assert dict(zip(table.columns, table.rows[1], strict=True))["state"] == "partial"

    run_console(scenario, service=fake)
