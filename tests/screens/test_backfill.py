"""The pages about backfills: opening them, following and stopping backfills."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import cast

import pytest
from textual.pilot import Pilot

from opsconsole.core.errors import Unavailable
from opsconsole.rules.backfill import StepState
from opsconsole.rules.backfill_status import BackfillState, BackfillStop, BackfillStopReason
from opsconsole.service.snapshot import Snapshot
from screens.app import ConsoleApp
from screens.dialogs.trigger import TriggerDialog
from screens.pages.backfill import BackfillPage
from screens.pages.backfills import BackfillScreen
from screens.pages.calendar import CalendarScreen
from screens.pages.dashboard import Dashboard
from screens.pages.keys import commands_of
from screens.pages.run import RunScreen
from screens.service import Service
from screens.widgets.paint import Lines
from tests.conftest import Installing
from tests.packs import diary
from tests.screens import fakes, past, samples
from tests.screens.backfill_pages import MARKED, REPORT, service_with
from tests.screens.console import Console, run_console, text_of
from tests.waiting import PATIENCE_SECONDS

Compare = Callable[..., bool]
SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}


# --- opening the pages -----------------------------------------------------------------------------------------------


def test_the_backfill_page_lists_all_jobs_with_windows() -> None:
    async def scenario(console: Console) -> None:
        await console.press("4")
        assert isinstance(console.app.screen, BackfillScreen)
        await console.until(lambda: "350     8       1      1       4  5 min ago" in console.text)
        assert "▸ reporting.daily_report" in console.text
        assert "none yet" in console.text
        await console.press("enter")
        await console.until(lambda: "· 350   S 8   m 4   p 1   F 1" in console.text)
        await console.press("escape")
        assert isinstance(console.app.screen, BackfillScreen)
        await console.press("escape")
        assert isinstance(console.app.screen, Dashboard)
        assert {"backfill", "backfill of reporting.daily_report"} <= set(console.service.presence)

    run_console(scenario)


def test_the_dashboard_opens_the_calendar_of_the_selected_job() -> None:
    async def scenario(console: Console) -> None:
        assert "b backfill" in console.text
        await console.press("b")
        assert isinstance(console.app.screen, BackfillScreen)
        await console.press("1")
        await console.select(("jobs", "reporting.daily_report"))
        await console.press("b")
        assert isinstance(console.app.screen, CalendarScreen)
        assert "Backfill  reporting.daily_report" in console.text
        await console.press("4")
        assert isinstance(console.app.screen, BackfillScreen)
        await console.press("1")
        await console.select(("jobs", "attempts.cache_day"))
        await console.press("b")
        assert isinstance(console.app.screen, BackfillScreen)
        assert "attempts.cache_day always processes the current moment: there is nothing to backfill" in console.notice

    run_console(scenario)


def test_the_footer_offers_cancel_for_active_runs_and_retry_for_others() -> None:
    async def scenario(console: Console) -> None:
        await console.select(("running", "4811"))
        assert "r retry" in console.text
        await console.select(("running", "4812"))
        assert "x cancel" in console.text
        assert "r retry" not in console.text

    run_console(scenario)


def test_the_windows_of_the_row_under_the_cursor_are_shown_where_there_is_room() -> None:
    service = service_with(past.ACTIVE_BACKFILL, *past.PAST_BACKFILLS)
    service.plan = past.ACTIVE_BACKFILL

    async def scenario(console: Console) -> None:
        await console.press("4")
        await console.until(lambda: "14 windows not up to date" in console.text)
        assert service.calls_of("steps") == []
        assert "─ Windows  reporting.daily_report   350 fresh" in console.text
        assert "Thu 2025-07-03  S stale    12 items out of date · run 4000" in console.text
        await console.press("down", "down", "down")
        assert console.text.count("keeps only its newest result: nothing to backfill") == 2
        await console.press("down")
        await console.until(lambda: "◷ 2025-12-01 reporting.daily_report  waiting" in console.text)
        assert "─ Windows of backfill 12 ─" in console.text
        assert service.calls_of("steps")[0] == ("steps", 12)
        await console.pilot.resize_terminal(80, 24)
        await console.until(lambda: "Windows" not in console.text)

    run_console(scenario, service=service, size=(200, 60))


def test_the_windows_of_a_row_are_read_only_where_they_are_shown() -> None:
    service = service_with(past.ACTIVE_BACKFILL)

    async def scenario(console: Console) -> None:
        await console.press("4")
        await console.until(lambda: "▶ 12" in console.text)
        await console.press("tab")
        page = console.app.screen
        assert isinstance(page, BackfillScreen)
        page.reload()
        await console.until(lambda: len(service.calls_of("windows")) > len(past.CALENDARS))
        assert service.calls_of("steps") == []
        reads = len(service.calls_of("windows"))
        await console.pilot.resize_terminal(200, 60)
        await console.until(lambda: service.calls_of("steps"))
        await console.until(lambda: "Windows of backfill 12" in console.text)
        assert service.calls_of("windows")[reads][1] == past.REPORT

    run_console(scenario, service=service)


def test_a_job_offers_what_the_keys_do_to_its_backfills() -> None:
    paused = replace(past.ACTIVE_BACKFILL, id=13, state=BackfillState.PAUSED)

    async def scenario(console: Console) -> None:
        await console.press("4")
        await console.until(lambda: "▶ 12" in console.text)
        page = console.app.front_page
        assert page is not None
        allowed = {" ".join(line.argv) for line in page.command_lines() if line.action not in page.refused()}
        assert {"backfill pause 12", "backfill resume 13"} <= allowed
        assert not {each for each in allowed if each.startswith(("backfill cancel", "backfill show"))}
        assert "p pause  u resume  t trigger" in console.text.splitlines()[-1]

    run_console(scenario, service=service_with(past.ACTIVE_BACKFILL, paused), size=(120, 40))


def test_a_job_that_keeps_its_newest_result_has_no_calendar() -> None:
    async def scenario(console: Console) -> None:
        await console.press("4", "down", "down", "down", "enter")
        assert isinstance(console.app.screen, BackfillScreen)
        assert "attempts.update_mastery keeps only its newest result" in console.notice

    run_console(scenario)


def test_the_backfill_page_explains_that_no_job_has_windows() -> None:
    service = fakes.FakeService()
    service.jobs_with_windows = ()

    async def scenario(console: Console) -> None:
        await console.press("4")
        assert "no job has windows" in console.text
        await console.press("enter", "down", "tab", "b", "x")

    run_console(scenario, service=service)


# --- lists of backfills ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "verb"),
    [
        (("x", "left", "enter"), "cancel_backfill"),
        (("p",), "pause_backfill"),
        (("u",), "resume_backfill"),
    ],
)
@pytest.mark.parametrize("where", [("4", "tab"), (*REPORT, "tab"), (*REPORT, "tab", "enter")])
def test_a_backfill_can_be_cancelled_paused_and_resumed_from_every_page(
    where: Sequence[str], keys: Sequence[str], verb: str
) -> None:
    state = BackfillState.PAUSED if verb == "resume_backfill" else BackfillState.RUNNING
    service = service_with(replace(past.ACTIVE_BACKFILL, state=state), *past.PAST_BACKFILLS)
    service.plan = service.past_backfills[0]
    service.result = fakes.Done("resume", sentence="so it is")

    async def scenario(console: Console) -> None:
        for key in where:
            await console.press(key)
            await console.until(lambda: "20 of 48" in console.text or "▸ reporting" in console.text)
            await console.until(lambda: not console.app.screen._loading)  # type: ignore[attr-defined]
        await console.press(*keys)
        await console.until(lambda: console.notice == "so it is")
        assert service.calls_of("cancel_backfill", "pause_backfill", "resume_backfill") == [(verb, 12)]

    run_console(scenario, service=service)


def test_the_only_active_backfill_is_cancelled_without_choosing_it() -> None:
    service = service_with(past.ACTIVE_BACKFILL, *past.PAST_BACKFILLS)

    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: "▶ 12" in console.text)
        await console.press("x")
        for words in ("Cancel backfill 12", "reporting.daily_report 2025-12-01 to 2026-01-18 in staging", "[ No ]"):
            assert words in console.text
        await console.press("enter", "tab", "down", "x")
        assert "backfill 11 is already done" in console.notice
        assert service.calls_of("cancel_backfill") == []

    run_console(scenario, service=service)


def test_only_what_a_backfill_allows_is_offered() -> None:
    paused = replace(past.ACTIVE_BACKFILL, state=BackfillState.PAUSED)
    failed, done = past.a_backfill(10, counts={StepState.FAILED: 1}), past.a_backfill(9)
    offers = {0: "x cancel  u resume", 1: "u resume", 2: "tab panel  esc back"}

    async def scenario(console: Console) -> None:
        await console.press("4", "tab")
        await console.until(lambda: "▸ ◫ 12" in console.text)
        for row, offered in offers.items():
            footer = console.text.splitlines()[-1]
            assert offered in footer, footer
            assert "p pause" not in footer
            page = console.app.front_page
            assert page is not None
            names = {command.name for command in commands_of(page)}
            assert ("cancel the backfill" in names, "resume the backfill" in names) == (row == 0, row < 2)
            await console.press("equals_sign")
            assert ("backfill cancel" in console.text, "backfill resume" in console.text) == (row == 0, row < 2)
            await console.press("escape", "down")
        await console.press("u")
        assert console.notice == "backfill 9 has no windows left"

    run_console(scenario, service=service_with(paused, failed, done), size=(120, 40))


def test_without_an_active_backfill_one_has_to_be_chosen() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: "✓ 11" in console.text)
        for key in ("x", "p", "u"):
            await console.press(key)
            assert console.notice == "choose a backfill with tab and the arrows first"

    run_console(scenario, service=service_with(*past.PAST_BACKFILLS))


def test_tab_on_a_job_without_backfills_shows_a_notice() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*REPORT, "tab")
        assert "reporting.daily_report has no backfill yet" in console.notice

    run_console(scenario)


def test_the_windows_of_a_backfill_open_their_runs_and_failed_ones_come_first() -> None:
    service = service_with(past.ACTIVE_BACKFILL)
    service.plan = past.ACTIVE_BACKFILL
    days = [date(2025, 12, n) for n in (1, 2, 3)]
    service.plan_steps = [
        past.a_step(1, days[0], StepState.DONE),
        past.a_step(2, days[1], StepState.FAILED),
        past.a_step(3, days[2]),
    ]
    run = replace(samples.PAGE.progress.run, id=4902)
    service.pages[4902] = replace(samples.PAGE, progress=replace(samples.PAGE.progress, run=run))

    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: "▶ 12" in console.text)
        await console.press("tab", "enter")
        assert isinstance(console.app.screen, BackfillPage)
        await console.until(lambda: "▸ ✗ 2025-12-02" in console.text)
        assert "▶ RUNNING" in console.text
        await console.press("enter")
        assert isinstance(console.app.screen, RunScreen)
        await console.until(lambda: "Run 4,902" in console.text)
        await console.press("escape", "down", "enter")
        assert "reporting.daily_report 2025-12-03 has no run in this backfill" in console.notice
        await console.press("end", "t")
        assert isinstance(console.app.screen, TriggerDialog)
        assert "backfill 12" in service.presence

    run_console(scenario, service=service)


def test_the_cursor_stays_on_its_window_when_another_fails() -> None:
    service = service_with(past.ACTIVE_BACKFILL)
    service.plan = past.ACTIVE_BACKFILL
    first, second = date(2025, 12, 1), date(2025, 12, 2)
    service.plan_steps = [past.a_step(1, first, StepState.RUNNING), past.a_step(2, second, StepState.DONE)]

    async def scenario(console: Console) -> None:
        await console.press("4")
        await console.until(lambda: "▶ 12" in console.text)
        await console.press("tab", "enter")
        await console.until(lambda: "▸ ▶ 2025-12-01" in console.text)
        await console.press("down")
        assert "▸ ✓ 2025-12-02" in console.text
        service.plan_steps = [past.a_step(1, first, StepState.DONE), past.a_step(2, second, StepState.FAILED)]
        await console.until(lambda: "▸ ✗ 2025-12-02" in console.text)

    run_console(scenario, service=service)


def test_pages_poll_fast_only_while_a_backfill_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.pages.polling.TICK_SECONDS", 0.05)
    service = service_with(past.ACTIVE_BACKFILL)

    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: len(service.calls_of("windows")) > 8)
        service.past_backfills = list(past.PAST_BACKFILLS)
        await console.until(lambda: "✓ 11" in console.text)
        before = len(service.calls_of("windows"))
        await asyncio.sleep(0.3)
        assert len(service.calls_of("windows")) <= before + 1

    run_console(scenario, service=service)


def test_the_calendar_stays_and_shows_its_age_while_the_store_is_unreachable() -> None:
    service = service_with(*past.PAST_BACKFILLS)

    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: "✓ 11" in console.text)
        service.unreachable = Unavailable("store", "database is locked")
        await console.press("p")
        await console.until(lambda: "stale since 18:20:07" in console.text)
        assert "· 350   S 8   m 4   p 1   F 1" in console.text
        service.unreachable = None
        await console.press("p")
        await console.until(lambda: "stale since" not in console.text)

    run_console(scenario, service=service)


HOSTILE = "[@click=app.quit]x[/]\x1b]52;c;aGk=\x07\u202e日本\r\n😀"


def test_hostile_text_in_backfills_is_shown_safely() -> None:
    service = service_with(
        replace(
            past.ACTIVE_BACKFILL, requested_by=HOSTILE, stop=BackfillStop(BackfillStopReason.PAUSED, HOSTILE, HOSTILE)
        ),
        replace(past.PAST_BACKFILLS[0], jobs=(HOSTILE, HOSTILE)),
    )
    service.plan = service.past_backfills[0]
    service.plan_steps = [past.a_step(1, date(2025, 12, 1), job=HOSTILE)]
    service.warnings = [HOSTILE]

    async def scenario(console: Console) -> None:
        for keys in (("4",), ("tab", "enter"), ("escape", "tab", "enter"), ("space", "enter"), ("enter",), ("enter",)):
            await console.press(*keys)
            await console.pilot.pause(0.05)
            assert not set(console.text) & set("\x1b\x07\u202e\r")
            assert all(len(each) <= 80 for each in console.text.splitlines())
        assert console.app.is_running

    run_console(scenario, service=service)


def test_the_help_lists_the_symbols_and_keys_of_the_calendar() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*REPORT, "question_mark")
        shown = console.text
        await console.press("pagedown")
        shown += console.text
        for words in ("[", "previous job", "mark: from, then to", "window missing", "backfill partial"):
            assert words in shown

    run_console(scenario)


def test_the_calendar_can_be_shown_in_ascii() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*MARKED)
        await console.until(lambda: ". fresh: run 4000" in console.text)
        assert console.text.isascii()

    run_console(scenario, service=service_with(past.ACTIVE_BACKFILL, *past.PAST_BACKFILLS), ascii=True)


def test_without_colours_marked_days_are_underlined_and_the_cursor_is_reversed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def scenario(console: Console) -> None:
        await console.press(*MARKED)
        await console.until(lambda: "· fresh: run 4000" in console.text)
        shown = console.app.screen.query_one("#calendar", Lines)
        drawn = [segment for y in range(1, 9) for segment in shown.render_line(y) if segment.style]
        assert [each.text for each in drawn if each.style and each.style.underline] == ["m", "m", "·", "·", "marked"]
        assert [each.text for each in drawn if each.style and each.style.reverse] == ["·"]

    run_console(scenario)


# --- a real service --------------------------------------------------------------------------------------------------


def test_keys_backfill_days_with_a_real_service(
    installing: Installing, tmp_path: object, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2025, 1, 20, 12, tzinfo=UTC)
    place = installing(
        database_url=f"sqlite:///{tmp_path}/data.db",
        redis_url=redis_url,
        packs="tests.packs.diary",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    diary.put(place.data, ["asha", "ben"])
    diary.spoil(place.data, "2025-01-15")
    monkeypatch.setattr(place.service._backend, "now", lambda: now)

    async def fill() -> None:
        app = ConsoleApp(cast("Service", place.service), now=lambda: now)
        async with app.run_test(size=(80, 24)) as pilot:
            app.show(Snapshot(at=now, environment="", leader=samples.ME))
            console = Console(app, cast("fakes.FakeService", place.service), pilot)
            await console.press("4", "enter")
            await console.until(lambda: "Mon 2025-01-20" in console.text and "m missing" in console.text)
            await console.press("left", "space", *["down"] * 5, "space", "plus")
            await console.until(lambda: "Marked 2025-01-13 to 01-18: 6 windows, all missing" in console.text)
            await console.press("enter")
            await console.until(lambda: "runs       12 windows · 24 items" in console.text)
            await console.press("enter", "enter")
            await console.until(lambda: "started backfill 1: 12 windows" in console.notice)
            await console.until(lambda: "12 of 12 ✗1" in console.text)
            await console.until(lambda: "5 fresh · 358 missing · 1 failed" in console.text)
            await console.press("tab", "enter")
            await console.until(lambda: "▸ ✗ 2025-01-15" in console.text)
            await console.press("enter")
            await console.until(lambda: "no ink on this day" in console.text)

    with place.leading():
        asyncio.run(fill())


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("keys", "shows"),
    [
        (("4",), "5 min ago"),
        (REPORT, "the window has not ended"),
        ((*MARKED, "enter"), "enter starts it"),
        ((*REPORT, "tab"), "20 of 48"),
        (("4", "down", "down", "enter"), "2026"),
    ],
    ids=["overview", "calendar", "planned", "running", "months"],
)
def test_backfill_pages(
    snap_compare: Compare, size: str, keys: Sequence[str], shows: str, request: pytest.FixtureRequest
) -> None:
    running = "running" in request.node.callspec.id
    service = service_with(*([past.ACTIVE_BACKFILL] if running else []), *past.PAST_BACKFILLS)
    assert pictured(snap_compare, service, size, keys, shows)


def test_the_page_before_the_first_run(snap_compare: Compare) -> None:
    service = service_with()
    service.window_statuses = {}
    assert pictured(snap_compare, service, "80x24", ("4",), "none yet")


def pictured(snap_compare: Compare, service: fakes.FakeService, size: str, keys: Sequence[str], shows: str) -> bool:
    app = ConsoleApp(service, now=lambda: samples.NOW)

    async def before(pilot: Pilot[None]) -> None:
        app.show(samples.BUSY)
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while getattr(app.screen, "_loading", False):
                    await pilot.pause(0.01)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while shows not in text_of(app):
                await pilot.pause(0.01)

    return snap_compare(app, terminal_size=SIZES[size], run_before=before)
