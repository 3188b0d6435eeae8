"""The Dashboard under an operator's hands."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from textual.strip import Strip

from opsconsole.service.snapshot import LostKeys, Outage, Snapshot
from screens.app import ConsoleApp
from screens.pages.dashboard import Dashboard
from screens.pages.run import RunScreen
from screens.panels import health
from screens.widgets.paint import Lines
from tests.screens import fakes, samples
from tests.screens.console import Console, run_console, text_of
from tests.waiting import finished


def test_a_snapshot_from_the_sampler_reaches_the_screen() -> None:
    async def scenario(console: Console) -> None:
        assert console.service.callback is not None
        threading.Thread(target=console.service.callback, args=(samples.BUSY,)).start()
        await console.until(lambda: "game.life_regen" in console.text)

    run_console(scenario, samples.EMPTY)


def test_while_the_loop_is_busy_only_the_newest_snapshot_is_kept() -> None:
    async def scenario(console: Console) -> None:
        shown: list[Snapshot] = []
        console.app.show = shown.append  # type: ignore[method-assign, assignment]
        newest = [replace(samples.BUSY, at=samples.NOW + timedelta(seconds=i)) for i in range(1000)]

        def flood() -> None:
            for each in newest:
                console.app._receive(each)

        thread = threading.Thread(target=flood)
        thread.start()
        finished(thread)  # the loop does nothing meanwhile
        await console.pilot.pause()
        assert shown == newest[-1:]

    run_console(scenario)


def test_every_panel_shows_its_figures() -> None:
    async def scenario(console: Console) -> None:
        for words in (
            "6,150/10,000  61%",
            "6,149 ok · 1 failed · 7.4k/s · 1 s left",
            "queued for 12 s",
            "in  9 min 53 s   game.life_regen            18:30 UTC        every 30 minutes",
            "54 of 256 MB",
            "hit 97.2 %",
            "no problems",
            "leading since 06:06  ",
        ):
            assert words in console.text

    run_console(scenario)


def test_panels_keep_their_content_while_store_and_redis_are_unreachable() -> None:
    async def scenario(console: Console) -> None:
        for words in (
            "CRITICAL  the store is unreachable: database is locked",
            "Running ─",
            "stale since 18:18:07 UTC",
            "attempts.cache_day",
            "in  9 min 53 s",
            "✗ unreachable since 18:12:07 UTC: Connection refused",
            "41,204 keys",
            "PRODUCTION",
            "leader unknown",
        ):
            assert words in console.text
        assert console.text.count("stale since") == 3

    run_console(scenario, samples.TROUBLE)


def test_a_sampler_that_hangs_is_reported() -> None:
    async def scenario(console: Console) -> None:
        assert "stale since 18:19:27 UTC" in console.text
        assert "no update from the store" in console.text

    run_console(scenario, replace(samples.QUIET, at=samples.ago(seconds=40)))


def test_an_unreachable_data_database_is_shown_in_the_running_panel() -> None:
    unreachable = replace(samples.BUSY, data_outage=Outage(samples.ago(minutes=3), "timeout"))

    async def scenario(console: Console) -> None:
        assert "data unreachable since 18:17 UTC" in console.text
        assert "data unreachable since 18:17 UTC" in console.text

    run_console(scenario, unreachable, size=(120, 40))


def test_another_process_leads() -> None:
    async def scenario(console: Console) -> None:
        assert "observing web2/912 since 15:20" in console.text

    run_console(scenario, replace(samples.BUSY, leader=samples.OTHER))


def test_empty_panels_say_what_to_do_next() -> None:
    async def scenario(console: Console) -> None:
        assert "no jobs; add a pack to jobs.packs in the configuration" in console.text
        await console.press("enter", "r")
        assert "choose a row" in console.notice
        await console.press("t")
        assert "no job to trigger" in console.notice

    run_console(scenario, samples.EMPTY)


@pytest.mark.parametrize("size", [(59, 24), (80, 19), (20, 5), (1, 1), (2, 40)])
def test_a_small_terminal_shows_the_required_size(size: tuple[int, int]) -> None:
    async def scenario(console: Console) -> None:
        await console.pilot.resize_terminal(*size)
        await console.pilot.pause()
        assert "Running" not in console.text
        assert console.text.startswith("n") or size[0] == 1
        await console.pilot.resize_terminal(120, 40)
        await console.until(lambda: "Running" in console.text)
        assert "─ Jobs" in console.text.splitlines()[2]

    run_console(scenario)


def test_a_terminal_that_is_made_wider_shows_the_details_of_the_row() -> None:
    async def scenario(console: Console) -> None:
        assert ("job_page", "attempts.cache_day") not in console.service.calls
        await console.pilot.resize_terminal(120, 40)
        await console.until(lambda: "batches of 50" in console.text)

    run_console(scenario, samples.TIDY, size=(90, 24))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (500, 200)])
def test_the_screen_is_filled_exactly(size: tuple[int, int]) -> None:
    async def scenario(console: Console) -> None:
        assert len(console.text.split("\n")) == size[1]

    run_console(scenario, size=size)


def test_the_cursor_moves_through_runs_jobs_and_findings() -> None:
    async def scenario(console: Console) -> None:
        page = console.app.screen
        assert isinstance(page, Dashboard)
        assert page.cursor is not None
        assert page.cursor[0] == "health"
        seen: list[str] = []
        for key in ("tab", "j", "tab", "l", "tab", "k", "left", "shift+tab", "h"):
            await console.press(key)
            assert page.cursor is not None
            seen.append(page.cursor[0])
        assert seen == ["running", "running", "jobs", "health", "running", "running", "health", "jobs", "running"]

    run_console(scenario, samples.TROUBLE)


def test_the_open_page_is_announced_to_other_operators() -> None:
    async def scenario(console: Console) -> None:
        await console.press("enter", "question_mark", "escape", "escape", "t", "escape")
        seen = list(dict.fromkeys(console.service.presence))
        assert seen == ["dashboard", "run 4812", "help"]
        assert console.service.presence[-1] == "dashboard"

    run_console(scenario)


def test_the_cursor_stays_on_its_run_when_the_run_ends() -> None:
    async def scenario(console: Console) -> None:
        await console.press("up")
        assert console.app.screen.cursor == ("running", "4812")  # type: ignore[attr-defined]
        ended = samples.partial(4812)
        console.app.show(replace(samples.BUSY, live=samples.BUSY.live[1:], recent=(*samples.BUSY.recent[:1], ended)))
        await console.pilot.pause()
        assert console.app.screen.cursor == ("running", "4812")  # type: ignore[attr-defined]
        console.app.show(replace(samples.BUSY, live=(), recent=(), histories=()))
        await console.pilot.pause()
        assert console.app.screen.cursor == ("jobs", "attempts.cache_day")  # type: ignore[attr-defined]

    run_console(scenario)


@pytest.mark.parametrize(("keys", "run"), [((), 4812), (("tab",), 4809), (("tab", "down"), 4812)])
def test_enter_opens_the_run_of_a_row(keys: tuple[str, ...], run: int) -> None:
    async def scenario(console: Console) -> None:
        await console.press(*keys, "enter")
        assert isinstance(console.app.screen, RunScreen)
        assert console.app.screen.number == run

    run_console(scenario)


def test_enter_opens_the_run_of_a_finding_and_not_of_a_job_that_never_ran() -> None:
    async def scenario(console: Console) -> None:
        await console.press("down", "down", "enter")
        assert isinstance(console.app.screen, RunScreen)
        assert console.app.screen.number == 4811
        await console.press("escape", "tab", "tab", "enter")
        assert "reporting.daily_report has not run yet" in console.notice

    run_console(scenario, samples.TROUBLE)


def test_the_retry_of_a_finding_is_for_the_run_that_has_the_failed_items() -> None:
    """Its parent is older than every run on the page; after a retry that failed again, the cursor stays."""
    parent = samples.partial(4700)
    finding = replace(samples.FAILED, run=parent)
    before = replace(samples.BUSY, live=(), findings=(finding,))

    async def scenario(console: Console) -> None:
        page = console.app.screen
        assert isinstance(page, Dashboard)
        await console.press("r")
        assert "Retry run 4700" in console.text
        await console.press("escape")
        numbers = {**finding.numbers, "retries": 1}
        console.app.show(replace(before, findings=(replace(finding, run=samples.partial(4820), numbers=numbers),)))
        await console.pilot.pause()
        assert page.cursor == health.key(finding)
        assert "9,997 of 10,000 ok (2026-01-19), retried once, same cause: KeyError" in console.text

    run_console(scenario, before, size=(200, 50))


def test_the_dashboard_can_be_shown_in_ascii() -> None:
    async def scenario(console: Console) -> None:
        assert console.text.isascii()
        for words in ("> r attempts.cache_day".replace("> r", ">r"), "#", "q queued", "- Success"):
            assert words in console.text
        await console.press("t")
        assert console.text.isascii()

    run_console(scenario, ascii=True)


def test_states_differ_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def scenario(console: Console) -> None:
        assert "PRODUCTION" in console.text
        assert "✗ CRITICAL" in console.text
        console.app.export_screenshot()

    run_console(scenario, samples.TROUBLE)


def test_a_terminal_with_16_colours_gets_its_own_palette(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLORTERM")

    async def scenario(console: Console) -> None:
        assert console.app.theme == "ansi-dark"
        await console.press("down", "t")
        console.app.export_screenshot()

    run_console(scenario, samples.TROUBLE)


def test_unchanged_cells_are_not_painted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(console: Console) -> None:
        painted: list[tuple[str | None, int]] = []
        render = Lines.render_line

        def rendered(lines: Lines, y: int) -> Strip:
            painted.append((lines.id, y))
            return render(lines, y)

        monkeypatch.setattr(Lines, "render_line", rendered)
        console.app.show(replace(samples.BUSY, at=samples.NOW + timedelta(seconds=1)))
        console.app._tick()
        await console.pilot.pause(0.05)
        assert painted == []
        console.app.now = lambda: samples.NOW + timedelta(seconds=1)
        console.app._tick()
        await console.until(lambda: ("head", 0) in painted)
        await console.pilot.pause(0.05)
        assert len(set(painted)) == 3  # the clock, the countdown below ten minutes, a waiting run

    run_console(scenario)


def test_the_console_can_trigger_a_run_on_start() -> None:
    async def scenario(console: Console) -> None:
        await console.until(lambda: ("trigger", "attempts.cache_day", None) in console.service.calls)
        await console.until(lambda: "run 4900 started" in console.notice)

    run_console(scenario, start_run="attempts.cache_day")


def test_the_console_opens_before_the_first_snapshot() -> None:
    async def tried() -> None:
        app = ConsoleApp(fakes.FakeService(), now=lambda: samples.NOW)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("t", "enter", "down", "question_mark", "escape", "r")
            assert "no job" in text_of(app)

    asyncio.run(tried())


def test_keys_lost_by_a_restart_of_redis_are_a_notice_and_shown_for_a_while() -> None:
    lost = replace(samples.BUSY.redis, lost=LostKeys(samples.ago(minutes=2), 41_204))

    async def scenario(console: Console) -> None:
        console.app.show(replace(samples.BUSY, redis=lost))
        assert console.notice.startswith("Redis: restarted 18:18 UTC, 41,204 keys lost")
        await console.press("K")
        console.app.show(replace(samples.BUSY, redis=lost))
        await console.until(lambda: "! restarted 18:18 UTC, 41,204 keys lost" in console.text)
        assert console.notice.startswith("no action on K"), "it is said once"

    run_console(scenario, size=(160, 45))
