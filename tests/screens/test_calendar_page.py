"""The calendar of a job: moving, marking a range, planning and applying it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, timedelta

import pytest

from opsconsole.core.errors import BadWindow, NotAllowed
from opsconsole.rules.backfill import Only, Order, StepReason, StepState, WindowState
from opsconsole.rules.backfill_status import Backfill
from screens.dialogs.dialog import Confirm
from screens.dialogs.text_dialog import TypeToConfirm
from screens.pages.backfills import BackfillScreen
from screens.pages.calendar import CalendarScreen
from screens.widgets.panel import Panel
from tests.screens import fakes, past, samples
from tests.screens.backfill_pages import MARKED, REPORT, planned, service_with
from tests.screens.console import Console, run_console
from tests.waiting import signalled

OVERWRITING = tuple(past.a_step(n, date(2025, 12, n), overwrites=True, reason=StepReason.FRESH) for n in (1, 2, 3))


# --- the calendar ----------------------------------------------------------------------------------------------------


def test_the_cursor_shows_the_state_of_each_day() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: "Mon 2026-01-19  - not due: the window has not ended yet" in console.text)
        for keys, words in (
            (["left", "h", "h", "h", "h"], "Mon 2025-12-15  · fresh: run 4000, 1,203 items in 2.1 s"),
            (["down", "j"], "Wed 2025-12-17  F failed"),
            (["k", "up", "l", "right"], "Mon 2025-12-29  · fresh"),
            (["pageup"], "Mon 2024-12-30  loading"),
            (["pagedown", "pagedown"], "Mon 2026-01-19"),
        ):
            await console.press(*keys)
            assert words in console.text

    run_console(scenario)


def test_another_year_is_loaded_when_the_cursor_reaches_it() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*REPORT, "pageup")
        call = ("windows", past.REPORT, date(2025, 1, 20), date(2026, 1, 19))
        await console.until(lambda: call in console.service.calls)
        await console.press("left")
        before = ("windows", past.REPORT, date(2024, 1, 22), date(2025, 1, 26))
        await console.until(lambda: before in console.service.calls)
        await console.until(lambda: "Mon 2025-01-13  · fresh" in console.text)
        assert " 24/25" in console.text

    run_console(scenario)


def test_brackets_switch_to_the_calendar_of_another_job() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*MARKED, "right_square_bracket")
        assert "Backfill  reporting.daily_snapshot" in console.text
        assert "Nothing marked" in console.text
        await console.press("right_square_bracket")
        await console.until(lambda: " 2024  m   m   m   m   m   ·" in console.text)
        await console.press("right_square_bracket")
        assert "Backfill  reporting.daily_report" in console.text
        await console.press("left_square_bracket", "up", "left")
        await console.until(lambda: "Nov 2024  · fresh" in console.text)

    run_console(scenario)


def test_the_calendar_of_another_job_shows_that_its_backfills_are_being_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    service, answered = service_with(*past.PAST_BACKFILLS), threading.Event()

    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: "✓ 11" in console.text)
        read = service.backfills.newest

        def newest(*, limit: int) -> list[Backfill]:
            signalled(answered, "the test lets it answer")
            return read(limit=limit)

        monkeypatch.setattr(service.backfills, "newest", newest)
        await console.press("right_square_bracket")
        shown = console.app.screen.query_one("#backfills", Panel)
        assert shown.text.strip() == "loading"
        answered.set()
        await console.until(lambda: "loading" not in shown.text)

    run_console(scenario, service=service)


def test_the_cursor_follows_the_newest_window_until_it_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    days = 0

    async def scenario(console: Console) -> None:
        nonlocal days
        monkeypatch.setattr(console.app, "now", lambda: samples.NOW + timedelta(days=days))
        await console.press(*REPORT)
        await console.until(lambda: "Mon 2026-01-19" in console.text)
        days = 1
        await console.until(lambda: "Tue 2026-01-20" in console.text)
        await console.press("up")
        days = 2
        await console.press("tab", "tab")
        assert "Mon 2026-01-19" in console.text

    run_console(scenario, service=service_with(*past.PAST_BACKFILLS))


def test_m_cycles_through_the_window_filter_and_plus_includes_the_jobs_that_follow() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*MARKED)
        for words in (
            "only stale windows",
            "only failed and partial windows",
            "only missing, stale, failed and partial windows",
            "all windows",
            "only missing windows",
        ):
            await console.press("m")
            assert f"windows    {words}: " in console.text
        assert "+ includes them" in console.text
        await console.press("plus")
        assert "+ excludes them" in console.text
        await planned(console, "enter")
        call = ("plan_backfill", (past.REPORT, past.SNAPSHOT, past.SUMMARY), "2025-12-01", "2025-12-05", Only.MISSING)
        assert console.service.calls_of("plan_backfill") == [call]
        await console.press("right_square_bracket", "right_square_bracket", "plus")
        assert "no job that can be backfilled runs after reporting.monthly_summary" in console.notice

    run_console(scenario)


def test_escape_drops_the_plan_then_the_mark_then_leaves_the_list_then_the_page() -> None:
    async def scenario(console: Console) -> None:
        await planned(console, *MARKED, "enter")
        await console.press("escape")
        assert "Marked 2025-12-01 to 12-05: 5 windows, 3 fresh, 2 missing" in console.text
        await console.press("escape")
        assert "Nothing marked" in console.text
        await console.press("tab")
        assert "▸ ✓ 11" in console.text
        await console.press("escape")
        assert "▸ ✓ 11" not in console.text
        await console.press("escape")
        assert isinstance(console.app.screen, BackfillScreen)

    run_console(scenario, service=service_with(*past.PAST_BACKFILLS))


def test_equals_shows_the_command_line() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*MARKED, "equals_sign")
        words = "opsconsole backfill run reporting.daily_report --from 2025-12-01 --to 2025-12-05 --only missing"
        assert all(word in console.text for word in words.split())
        await console.press("escape")
        await planned(console, "enter")
        await console.press("equals_sign")
        assert "opsconsole backfill apply 12" in console.text

    run_console(scenario)


def test_the_calendar_is_a_panel_among_others() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: "· 350" in console.text and "✓ 11" in console.text)
        page = console.app.screen
        assert isinstance(page, CalendarScreen)
        grid, backfills = (page.query_one(f"#{name}", Panel) for name in ("calendar", "backfills"))
        assert page.focused is grid
        await console.press("tab")
        assert page.focused is backfills
        assert "▸ ✓ 11" in console.text
        await console.press("v")
        assert "Backfills" in console.text
        assert "Nothing marked" not in console.text
        await console.press("tab")
        assert page.maximized is grid
        await console.press("v")
        assert "Nothing marked" in console.text
        await console.pilot.click("#backfills", offset=(10, 2))
        assert page.cursor == ("backfills", "10")
        await console.pilot.click("#calendar", offset=(57, 3))
        assert page.focused is grid
        assert "Tue 2026-01-13  · fresh" in console.text
        await console.pilot.click("#calendar", offset=(2, 3))
        assert "Tue 2026-01-13  · fresh" in console.text

    run_console(scenario, service=service_with(*past.PAST_BACKFILLS))


# --- the plan --------------------------------------------------------------------------------------------------------


def test_a_plan_may_be_newest_first_and_limited() -> None:
    service = service_with(*past.PAST_BACKFILLS)

    async def scenario(console: Console) -> None:
        await console.press(*REPORT, "space", "space", "o", "number_sign", "m", "m", "m")
        assert "newest first, at most 1 window at once" in console.text
        assert "only missing, stale, failed and partial windows" in console.text
        await planned(console, "enter")
        (call,) = service.calls_of("plan_backfill")
        assert call[-2:] == (Only.MISSING | Only.STALE | Only.FAILED, Order(newest_first=True, at_once=1))

    run_console(scenario, service=service)


def test_a_range_is_marked_planned_applied_and_followed() -> None:
    service = service_with(*past.PAST_BACKFILLS)
    service.result = fakes.Done("resume", sentence="backfill 12 started: 4 windows")

    async def scenario(console: Console) -> None:
        await console.press(*REPORT, *["left"] * 7, "space")
        assert "Marked 2025-12-01 …: 1 window" in console.text
        await console.press(*["down"] * 4)
        assert "Marked 2025-12-01 to 12-05 …: 5 windows" in console.text
        await console.press("space")
        await planned(console, "enter")
        call = ("plan_backfill", (past.REPORT,), "2025-12-01", "2025-12-05", Only.MISSING)
        assert service.calls_of("plan_backfill") == [call]
        assert "runs       4 windows · 4,812 items · about 2 s · overwrites nothing" in console.text
        assert "skips      1 window: fresh" in console.text
        assert "! results expire soon" in console.text
        assert service.calls_of("apply_backfill") == []

        await console.press("enter")
        assert isinstance(console.app.screen, Confirm)
        assert "[ Run 4 windows ]" in console.text
        service.past_backfills.insert(0, past.ACTIVE_BACKFILL)
        await console.press("enter")
        await console.until(lambda: console.notice == "backfill 12 started: 4 windows")
        assert service.calls_of("apply_backfill") == [("apply_backfill", 12)]
        await console.until(lambda: "20 of 48 ✗1" in console.text)
        assert "Nothing marked" in console.text

        service.past_backfills[0] = replace(past.ACTIVE_BACKFILL, counts={StepState.DONE: 47, StepState.RUNNING: 1})
        service.window_statuses[past.REPORT] = [past.a_window(past.utc_day(date(2025, 12, 5)), WindowState.RUNNING)]
        await console.until(lambda: "47 of 48" in console.text)
        await console.until(lambda: "Fri 2025-12-05  ▶ running: run 4900" in console.text)

    run_console(scenario, service=service)


def test_planning_shows_progress_and_can_be_dropped() -> None:
    service = fakes.FakeService()
    service.counting.clear()

    async def scenario(console: Console) -> None:
        await console.press(*MARKED, "enter")
        await console.until(lambda: "2 of 3 windows of reporting.daily_report checked" in console.text)
        await console.press("enter")
        assert "the plan is being created; esc discards it" in console.notice
        await console.press("escape")
        assert "Marked 2025-12-01 to 12-05" in console.text
        service.counting.set()
        await console.pilot.pause(0.1)
        assert "─ Plan 12" not in console.text
        await planned(console, "enter")

    run_console(scenario, service=service)


def test_an_outdated_plan_is_refused_and_can_be_created_again() -> None:
    service = fakes.FakeService()
    why = "backfill 12 is out of date: run 4901 of reporting.daily_report 2025-12-02 has ended since; create a new plan"
    service.result = fakes.refused(why)

    async def scenario(console: Console) -> None:
        await planned(console, *MARKED, "enter")
        await console.press("enter", "enter")
        await console.until(lambda: "─ No plan" in console.text)
        assert "✗ refused: backfill 12 is out of date: run 4901 of" in console.text
        assert "enter plans again" in console.text
        await planned(console, "enter")
        assert len(service.calls_of("plan_backfill")) == 2

    run_console(scenario, service=service)


def test_a_plan_that_cannot_be_created_shows_the_reason() -> None:
    service = fakes.FakeService()

    async def scenario(console: Console) -> None:
        await console.press(*MARKED)
        service.unreachable = BadWindow("2026-01-20 has not started in Asia/Kolkata; choose dates up to today")
        await console.press("enter")
        await console.until(lambda: "✗ 2026-01-20 has not started in Asia/Kolkata" in console.text)

    run_console(scenario, service=service)


def test_a_plan_is_applied_once() -> None:
    service = fakes.FakeService()
    service.answering.clear()

    async def scenario(console: Console) -> None:
        await planned(console, *MARKED, "enter")
        await console.press("enter", "enter")
        assert "requested" in console.text
        await console.press("enter")
        assert "backfill 12 is already requested" in console.notice
        service.answering.set()
        await console.until(lambda: "Nothing marked" in console.text)
        assert service.calls_of("apply_backfill") == [("apply_backfill", 12)]

    run_console(scenario, service=service)


def test_a_plan_without_windows_to_run_is_not_applied() -> None:
    service = fakes.FakeService()
    service.plan = replace(past.PLAN, counts={StepState.SKIPPED: 5})

    async def scenario(console: Console) -> None:
        await planned(console, *MARKED, "enter")
        assert "nothing to run: m selects other windows" in console.text
        await console.press("enter")
        assert "nothing to run" in console.notice
        assert isinstance(console.app.screen, CalendarScreen)

    run_console(scenario, service=service)


def test_overwriting_a_few_items_puts_the_cursor_on_cancel() -> None:
    service = fakes.FakeService()
    service.plan_steps = [replace(OVERWRITING[0], step=replace(OVERWRITING[0].step, items=1000))]

    async def scenario(console: Console) -> None:
        await planned(console, *MARKED, "enter")
        assert "overwrites 1 window with data, 1,000 items" in console.text
        await console.press("enter")
        assert "[ Cancel ]" in console.text
        await console.press("enter")
        assert service.calls_of("apply_backfill") == []
        assert "─ Plan 12" in console.text
        await console.press("enter", "left", "enter")
        await console.until(lambda: service.calls_of("apply_backfill"))

    run_console(scenario, service=service)


@pytest.mark.parametrize(("environment", "word"), [("staging", past.REPORT), ("production", "production")])
def test_overwriting_many_items_or_in_production_requires_typing_a_name(environment: str, word: str) -> None:
    service = fakes.FakeService()
    service.plan_steps = OVERWRITING if environment == "staging" else OVERWRITING[:1]

    async def scenario(console: Console) -> None:
        await planned(console, *MARKED, "enter")
        await console.press("enter")
        assert isinstance(console.app.screen, TypeToConfirm)
        assert f"Type {word} to run them" in console.text
        await console.press("left", "enter")
        assert "the name does not match: nothing is run" in console.text
        await console.press(*word, "enter")
        await console.until(lambda: service.calls_of("apply_backfill"))

    run_console(scenario, replace(samples.BUSY, environment=environment), service)


def test_a_viewer_sees_the_plan_and_cannot_apply_it() -> None:
    service = service_with(past.ACTIVE_BACKFILL)
    service.read_only = True
    service.error = NotAllowed("apply_backfill")

    async def scenario(console: Console) -> None:
        await planned(console, *MARKED, "enter")
        await console.press("enter", "enter")
        await console.until(lambda: "✗ apply backfill is not allowed in read-only mode" in console.text)
        await console.press("escape", "tab", "p")
        assert "this console is read-only: no action on p" in console.notice

    run_console(scenario, service=service)
