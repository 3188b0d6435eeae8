"""The page of a run."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.run import OPEN, Counts, RunState, Trigger
from opsconsole.core.errors import Unavailable
from opsconsole.rules.job_history import Usual
from opsconsole.service.run_details import BatchCell, RunPage
from screens.dialogs.dialog import Confirm
from screens.keymap import key_names
from screens.pages.dashboard import Dashboard
from screens.pages.run import RunScreen
from screens.panels import run as run_panel, run_failures, run_grid, run_log
from screens.panels.run_failures import Items
from screens.panels.run_log import Log
from screens.widgets.lines import Piece, width
from tests.screens import fakes, samples
from tests.screens.console import Console, run_console


def text_of(page: RunPage, cells: int = 80, height: int = 20, held_at: int | None = None, **head: Any) -> str:
    """The panels of a page one below the other, without styles; the log takes the rest of the height."""
    log = Log(page.log, page.progress.tz, page.progress.run.state in OPEN, held_at=held_at)
    grid_rows = run_grid.height(page, cells, height // 5)
    lines = [
        *run_panel.head(page, samples.NOW, cells, **head),
        (*run_grid.title(page, cells, grid_rows), Piece("  "), *run_grid.legend(page)),
        *run_grid.rows(page, cells, grid_rows),
        run_failures.title(page),
        *run_failures.rows(page, Items(), cells, 6),
        run_log.end(log, (), 10, key_names({})),
        *run_log.rows(log, cells, 10),
    ]
    assert all(width(each) <= cells for each in lines)
    return "\n".join("".join(piece.text for piece in each).rstrip() for each in lines)


def live_page(**other: object) -> RunPage:
    """A run on its way."""
    cells = [BatchCell(i, BatchState.DONE if i < 122 else BatchState.PENDING, 50, 0) for i in range(200)]
    cells[122] = BatchCell(122, BatchState.RUNNING, 50, 0)
    page = replace(samples.PAGE, progress=samples.running(), grid=tuple(cells), causes=())
    return replace(page, **other)  # type: ignore[arg-type]


def test_the_run_page_shows_state_counts_batches_causes_and_log() -> None:
    page = replace(samples.PAGE, workers=2, batch=50, usual=Usual(1.2, 2.2, 3.2, 14))
    text = text_of(page)
    for words in (
        "Run 4,811  attempts.cache_day  19 Jan",
        "by schedule, 18:18 UTC (23:48 IST)",
        "◐ PARTIAL  10,000 planned · 9,997 ok · 3 failed · 1.4 s · 7.1k/s",
        "200 batches",
        "✓ done  ◐ with failures",
        "3 failed, 2 causes",
        "2  question q-7781 is missing",
        "u0417 u1290",
        " 2 workers · batches of 50 · usual 1.2 to 3.2 s · on web1",
        "cached_days 9,997",
        "23:48:07.000  10,000 users in 200 batches",
        "complete · Asia/Kolkata",
    ):
        assert words in text


def test_items_that_failed_in_other_runs_too_are_named() -> None:
    page = replace(samples.PAGE, last_runs=5, failed_in={"u0417": 2, "u1290": 3, "u8833": 1})

    assert "  u1290 failed in 3 of the last 5 runs, u0417 in 2" in text_of(page, height=24)
    assert "  u1290 failed in 3 of the last 5 runs, u0417 in 2" in text_of(page, cells=200)
    assert "u8833 failed" not in text_of(page, height=24)
    few = run_failures.rows(page, Items(), 80, 2)
    assert "Redis" in "".join(piece.text for piece in few[1]), "where there is little room, causes come first"


def test_a_waiting_run_shows_what_it_waits_for() -> None:
    text = text_of(replace(samples.PAGE, progress=samples.WAITING, grid=(), causes=()))
    assert "◷ QUEUED  waits for attempts.cache_day" in text


def test_the_run_page_takes_the_wait_reason_from_the_snapshot() -> None:
    unknowing = replace(samples.PAGE, progress=replace(samples.WAITING, waits=None), grid=(), causes=())

    async def scenario(console: Console) -> None:
        await console.select(("running", "4814"))
        await console.press("enter")
        assert "◷ QUEUED  waits for attempts.cache_day" in console.text
        await console.until(lambda: "none yet: counting items" in console.text)
        assert "◷ QUEUED  waits for attempts.cache_day" in console.text

    run_console(scenario, samples.PAUSED, fakes.FakeService([unknowing]))


def test_the_run_page_shows_who_cancels_and_why() -> None:
    text = text_of(live_page(progress=samples.running(stop=samples.STOP)))
    assert "\n being cancelled by ben · by force in 7 s · too slow\n" in text
    silent = msgspec.structs.replace(samples.STOP, note="")
    assert "\n being cancelled by ben · by force in 7 s\n" in text_of(live_page(progress=samples.running(stop=silent)))


def test_the_run_page_shows_that_its_job_is_paused() -> None:
    active = [samples.paused("attempts", None, "chen", "ledger is moved")]
    text = text_of(samples.PAGE, 120, pauses=active)
    assert "◫ attempts.cache_day is paused with all of attempts by chen until resumed: ledger is moved" in text

    async def scenario(console: Console) -> None:
        await console.press(*["down"] * 5, "enter")
        assert "u resume" in console.text

    run_console(scenario, replace(samples.PAUSED, pauses=(samples.paused("game"), samples.paused("attempts"))))


def test_a_live_run_shows_its_progress() -> None:
    text = text_of(live_page())
    assert "▶ RUNNING  ███████░░░░░ 61%  6,149 ok · 1 failed of 10,000 · 7.4k/s" in text
    assert "7.4k/s · 1 s left" in text
    assert "✓ done  · waiting  ▶ running" in text
    assert "following" in text


@pytest.mark.parametrize(("batches", "words"), [(2_000, "2,000 batches, 9 per symbol"), (0, "0 batches")])
def test_many_batches_share_a_symbol_that_shows_the_worst(batches: int, words: str) -> None:
    cells = tuple(BatchCell(i, BatchState.DONE, 50, 1 if i == 777 else 0) for i in range(batches))
    run = replace(samples.PAGE.progress.run, batches=batches)
    text = text_of(replace(samples.PAGE, grid=cells, progress=replace(samples.PAGE.progress, run=run)))
    assert words in text
    assert ("◐✓" in text) is bool(batches)


def test_a_grid_without_the_batches_that_are_no_longer_kept_is_labelled() -> None:
    run = replace(samples.PAGE.progress.run, keys_removed=True, batches=12)
    page = replace(samples.PAGE, progress=replace(samples.PAGE.progress, run=run))

    with_failures = text_of(replace(page, grid=(BatchCell(3, BatchState.FAILED, 10, 10),)))
    without = text_of(replace(page, grid=()))

    assert "12 batches, no longer kept but for 1 with failures" in with_failures
    assert "the keys of its items are no longer kept, but for those that failed" in without


def test_a_partial_grid_is_labelled() -> None:
    run = replace(samples.PAGE.progress.run, batches=12_345)
    page = replace(samples.PAGE, progress=replace(samples.PAGE.progress, run=run))
    assert "first 200 of 12,345 batches" in text_of(page)


def test_halves_replace_the_batch_that_was_split() -> None:
    cells = (
        BatchCell(0, BatchState.REPLACED, 50, 0),
        BatchCell(1, BatchState.DONE, 25, 0),
        BatchCell(2, BatchState.FAILED, 25, 25),
        BatchCell(3, BatchState.NOT_REACHED, 50, 0),
    )
    assert "\n     1 ✓✗-\n" in text_of(replace(samples.PAGE, grid=cells))


def test_retries_and_errors_are_shown() -> None:
    run = replace(
        samples.PAGE.progress.run,
        trigger=Trigger.RETRY,
        parent=4700,
        requested_by="asha",
        attempt=2,
        state=RunState.FAILED,
        error="Redis is unreachable: Connection refused",
    )
    text = text_of(
        replace(
            samples.PAGE,
            progress=replace(samples.PAGE.progress, run=run),
            retries=(samples.a_run(4815), samples.a_run(4820)),
        )
    )
    retried = "by run 4,815: ✓ succeeded · by run 4,820: ✓ succeeded"
    for words in ("retry of run 4,700 by asha", "attempt 2", "Redis is unreachable", retried, "✗ FAILED"):
        assert words in text


def test_a_long_log_shows_its_end_or_is_held() -> None:
    page = replace(samples.PAGE, log=tuple((samples.NOW, f"line {i}") for i in range(200)))
    assert text_of(page).endswith("line 199")
    held = text_of(page, held_at=100)
    assert held.endswith("line 99")
    assert "held, 100 newer below · f follows" in held
    assert "line 0" in text_of(page, held_at=1)


def test_failures_and_log_are_side_by_side_on_a_wide_terminal() -> None:
    async def scenario(console: Console) -> None:
        console.app.open_run(4811)
        sides = "3 failed, 2 causes", "─ Log"  # the layout follows the number of batches, which is loaded later
        await console.until(lambda: any(all(map(line.__contains__, sides)) for line in console.text.splitlines()))

    run_console(scenario, samples.QUIET, size=(200, 60))


def test_the_run_page_polls_until_the_run_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.pages.polling.TICK_SECONDS", 0.1)
    service = fakes.FakeService([live_page()])

    async def scenario(console: Console) -> None:
        await console.press("home", "enter")
        await console.until(lambda: service.calls.count(("run_page", 4812)) >= 4)
        assert "61%" in console.text
        service.pages[4812] = replace(live_page(), progress=replace(samples.running(), run=samples.partial(4812)))
        await console.until(lambda: "PARTIAL" in console.text)
        before = len(service.calls)
        await asyncio.sleep(0.3)
        assert len(service.calls) <= before + 1

    run_console(scenario, service=service)


def test_the_log_is_followed_until_it_is_held() -> None:
    service = fakes.FakeService([replace(live_page(), log=tuple((samples.NOW, f"line {i}") for i in range(50)))])

    async def scenario(console: Console) -> None:
        await console.press("home", "enter")
        await console.until(lambda: "line 49" in console.text)
        await console.press("f")
        assert "held · f follows" in console.text
        await console.press("up", "k")
        assert "held, 2 newer below" in console.text
        assert "line 48" not in console.text
        await console.press("home", "j", "f")
        assert "following" in console.text

    run_console(scenario, service=service)


def test_keys_of_the_page() -> None:
    async def scenario(console: Console) -> None:
        await console.press("home", "enter")
        await console.until(lambda: "question q-7781" in console.text)
        assert "r retry 3 failed" in console.text
        await console.press("r")
        assert isinstance(console.app.screen, Confirm)
        await console.press("escape", "t")
        assert "Trigger a job" in console.text
        await console.press("escape", "escape")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, samples.QUIET)


def test_the_newest_of_a_jobs_runs_can_be_retried_from_its_page() -> None:
    async def scenario(console: Console) -> None:
        await console.press("home", "enter")
        await console.until(lambda: "question q-7781" in console.text)
        await console.press("r", "enter")
        await console.until(lambda: "run 4900 started" in console.notice)
        assert isinstance(console.app.screen, RunScreen)

    run_console(scenario, samples.QUIET)


def test_an_unknown_run_is_reported() -> None:
    async def scenario(console: Console) -> None:
        console.app.open_run(99)
        await console.until(lambda: "run 99 does not exist" in console.text)
        await console.press("r", "f", "up", "t", "escape", "escape")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, samples.QUIET)


def test_the_run_page_stays_and_shows_its_age_while_the_store_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.pages.polling.TICK_SECONDS", 0.1)
    service = fakes.FakeService([live_page()])

    async def scenario(console: Console) -> None:
        await console.press("home", "enter")
        await console.until(lambda: "200 batches" in console.text)
        error = Unavailable("store", "database is locked")

        def refuses(number: int) -> RunPage:
            raise error

        read, service.run_page = service.run_page, refuses  # type: ignore[method-assign]
        await console.until(
            lambda: "the store is unreachable: database is locked; stale since 18:20:07 UTC" in console.text
        )
        assert "200 batches" in console.text
        service.run_page = read  # type: ignore[method-assign]
        await console.until(lambda: "stale since" not in console.text)

    run_console(scenario, service=service)


def test_the_items_that_failed_are_scrolled_a_block_at_a_time() -> None:
    failed = replace(samples.PAGE.progress.run, counts=Counts(planned=10_000, ok=8_800, failed=1_200))
    page = replace(samples.PAGE, progress=replace(samples.PAGE.progress, run=failed))
    service = fakes.FakeService([page])

    async def scenario(console: Console) -> None:
        console.app.open_run(4811)
        await console.until(lambda: "tab ↓ lists the items" in console.text)
        await console.press("tab")
        await console.until(lambda: "items 1 to" in console.text)
        assert "u0000      batch 1  question q-0 is missing" in console.text
        await console.press("end", "down")
        await console.until(lambda: "items 501 to" in console.text)
        await console.press("end", "down")
        await console.until(lambda: "items 1,001 to" in console.text)
        assert "u1000     batch 21" in console.text
        await console.press("up")
        await console.until(lambda: "to 1,000 of 1,200" in console.text)
        assert isinstance(console.app.screen, RunScreen)
        table = console.app.screen.table()
        assert (table.columns, len(table.rows)) == (("item", "batch", "kind", "message"), 1_200)
        await console.press("tab", "up")
        assert "held" in console.text, "the arrows scroll the log again"

    run_console(scenario, samples.QUIET, service)


def test_the_log_is_searched() -> None:
    lines = tuple((samples.NOW, f"batch {i}: {'Redis is away' if i % 50 == 7 else 'ok'}") for i in range(1_000))
    run = replace(samples.PAGE.progress.run, log_lines=1_004)
    page = replace(samples.PAGE, log=lines, progress=replace(samples.PAGE.progress, run=run))

    async def scenario(console: Console) -> None:
        console.app.open_run(4811)
        await console.until(lambda: "4 lines not kept" in console.text)
        await console.press("slash", *"redis")
        await console.until(lambda: "20 of 1,000 lines" in console.text)
        assert "batch 957: Redis is away" in console.text
        await console.press("enter", "home")
        assert "batch 7: Redis is away" in console.text
        assert isinstance(console.app.screen, RunScreen)
        assert len(console.app.screen.table().rows) == 20
        await console.press("escape", "end")
        await console.until(lambda: "batch 999: ok" in console.text)
        await console.press("slash", *"nowhere")
        await console.until(lambda: "no line contains this" in console.text)

    run_console(scenario, samples.QUIET, fakes.FakeService([page]))


def test_a_log_is_read_once_and_then_continued() -> None:
    service = fakes.FakeService([replace(live_page(), log=tuple((samples.NOW, f"line {i}") for i in range(1_500)))])

    async def scenario(console: Console) -> None:
        console.app.open_run(4812)
        await console.until(lambda: "line 1499" in console.text)
        await console.press("home")
        assert "line 0" in console.text

    run_console(scenario, service=service)


def test_the_failures_take_the_whole_page_and_give_it_back() -> None:
    async def scenario(console: Console) -> None:
        console.app.open_run(4811)
        await console.until(lambda: "tab ↓ lists the items" in console.text)
        await console.press("tab", "v")
        await console.until(lambda: "u0015      batch 1" in console.text)
        assert "Log" not in console.text
        await console.press("escape")
        await console.until(lambda: "Log" in console.text)
        assert "200 batches" in console.text

    run_console(scenario, samples.QUIET)
