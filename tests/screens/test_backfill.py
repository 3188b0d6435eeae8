"""The pages about backfills: marking a range, planning and applying it, following and stopping backfills."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import cast

import pytest
from textual.pilot import Pilot

from opsconsole.core.errors import BadWindow, NotAllowed, Unavailable
from opsconsole.rules.backfill import Only, StepReason, StepState, WindowState
from opsconsole.rules.backfill_status import Backfill, BackfillStop, BackfillStopReason
from opsconsole.service.snapshot import Snapshot
from screens.app import ConsoleApp
from screens.dialogs.dialog import Confirm
from screens.dialogs.text_dialog import TypeToConfirm
from screens.dialogs.trigger import TriggerDialog
from screens.pages.backfill import BackfillPage
from screens.pages.backfills import BackfillScreen
from screens.pages.calendar import CalendarScreen
from screens.pages.dashboard import Dashboard
from screens.pages.run import RunScreen
from screens.service import Service
from screens.widgets.paint import Lines
from tests.conftest import Installing
from tests.packs import diary
from tests.screens import fakes
from tests.screens.console import Console, run_console
from tests.waiting import PATIENCE_SECONDS

Compare = Callable[..., bool]
REPORT = ("4", "enter")
"""Keys that open the calendar of the daily report."""
MARKED = (*REPORT, *["left"] * 7, "space", *["down"] * 4, "space")
"""Keys that mark Monday the 1st to Friday the 5th of December on it."""
OVERWRITING = tuple(fakes.a_step(n, date(2025, 12, n), overwrites=True, reason=StepReason.FRESH) for n in (1, 2, 3))
SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}


def service_with(*past: Backfill) -> fakes.FakeService:
    """A service with these backfills."""
    service = fakes.FakeService()
    service.past_backfills = list(past)
    return service


def calls_of(service: fakes.FakeService, *verbs: str) -> list[tuple[object, ...]]:
    """The calls of a service with some verbs."""
    return [call for call in service.calls if call[0] in verbs]


async def planned(console: Console, *keys: str) -> None:
    """Presses keys and waits for the plan."""
    await console.press(*keys)
    await console.until(lambda: "─ Plan 12" in console.text)


# --- opening the pages -----------------------------------------------------------------------------------------


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
        await console.press("1", *["tab"] * 2, *["down"] * 4, "b")
        assert isinstance(console.app.screen, CalendarScreen)
        assert "Backfill  reporting.daily_report" in console.text
        await console.press("4")
        assert isinstance(console.app.screen, BackfillScreen)
        await console.press("1", *["up"] * 4, "b")
        assert isinstance(console.app.screen, BackfillScreen)
        assert "attempts.cache_day always processes the current moment: there is nothing to backfill" in console.notice

    run_console(scenario)


def test_the_footer_offers_cancel_for_active_runs_and_retry_for_others() -> None:
    async def scenario(console: Console) -> None:
        assert "r retry" in console.text
        await console.press("down")
        assert "x cancel" in console.text
        assert "r retry" not in console.text
        await console.press("down", "down")
        assert "r retry" in console.text

    run_console(scenario)


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
        assert "no loaded job has windows" in console.text
        await console.press("enter", "down", "tab", "b", "x")

    run_console(scenario, service=service)


# --- the calendar -------------------------------------------------------------------------------------------------


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
        call = ("windows", fakes.REPORT, date(2025, 1, 20), date(2026, 1, 19))
        await console.until(lambda: call in console.service.calls)
        await console.press("left")
        before = ("windows", fakes.REPORT, date(2024, 1, 22), date(2025, 1, 26))
        await console.until(lambda: before in console.service.calls)
        await console.until(lambda: "Mon 2025-01-13  · fresh" in console.text)
        assert " 2024 " in console.text

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


def test_m_cycles_through_the_window_filter_and_plus_includes_the_jobs_that_follow() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*MARKED)
        for words in (
            "only stale windows",
            "only failed and partial windows",
            "all windows",
            "only missing windows",
        ):
            await console.press("m")
            assert f"windows   {words}: " in console.text
        assert "+ includes them" in console.text
        await console.press("plus")
        assert "+ excludes them" in console.text
        await planned(console, "enter")
        call = ("plan_backfill", (fakes.REPORT, fakes.SNAPSHOT, fakes.SUMMARY), "2025-12-01", "2025-12-05", "missing")
        assert calls_of(console.service, "plan_backfill") == [call]
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

    run_console(scenario, service=service_with(*fakes.PAST_BACKFILLS))


def test_equals_shows_the_command_line() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*MARKED, "equals_sign")
        assert console.notice == (
            "opsconsole backfill run reporting.daily_report --from 2025-12-01 --to 2025-12-05 --only missing"
        )
        await planned(console, "enter", "equals_sign")
        await console.press("equals_sign")
        assert console.notice == "opsconsole backfill apply 12"

    run_console(scenario)


# --- the plan -----------------------------------------------------------------------------------------------------


def test_a_range_is_marked_planned_applied_and_followed() -> None:
    service = service_with(*fakes.PAST_BACKFILLS)
    service.result = fakes.Done("resume", sentence="backfill 12 started: 4 windows")

    async def scenario(console: Console) -> None:
        await console.press(*REPORT, *["left"] * 7, "space")
        assert "Marked 2025-12-01 …: 1 window" in console.text
        await console.press(*["down"] * 4)
        assert "Marked 2025-12-01 to 12-05 …: 5 windows" in console.text
        await console.press("space")
        await planned(console, "enter")
        call = ("plan_backfill", (fakes.REPORT,), "2025-12-01", "2025-12-05", Only.MISSING)
        assert calls_of(service, "plan_backfill") == [call]
        assert "runs      4 windows · 4,812 items · about 2 s · overwrites nothing" in console.text
        assert "skips     1 window: fresh" in console.text
        assert "◐ results expire soon" in console.text
        assert calls_of(service, "apply_backfill") == []

        await console.press("enter")
        assert isinstance(console.app.screen, Confirm)
        assert "[ Run 4 windows ]" in console.text
        service.past_backfills.insert(0, fakes.ACTIVE_BACKFILL)
        await console.press("enter")
        await console.until(lambda: console.notice == "backfill 12 started: 4 windows")
        assert calls_of(service, "apply_backfill") == [("apply_backfill", 12)]
        await console.until(lambda: "20 of 48 ✗1" in console.text)
        assert "Nothing marked" in console.text

        service.past_backfills[0] = replace(fakes.ACTIVE_BACKFILL, counts={StepState.DONE: 47, StepState.RUNNING: 1})
        service.window_statuses[fakes.REPORT] = [fakes.a_window(fakes.utc_day(date(2025, 12, 5)), WindowState.RUNNING)]
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
        assert "the plan is being created; esc drops it" in console.notice
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
        assert len(calls_of(service, "plan_backfill")) == 2

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
        assert calls_of(service, "apply_backfill") == [("apply_backfill", 12)]

    run_console(scenario, service=service)


def test_a_plan_without_windows_to_run_is_not_applied() -> None:
    service = fakes.FakeService()
    service.plan = replace(fakes.PLAN, counts={StepState.SKIPPED: 5})

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
        assert calls_of(service, "apply_backfill") == []
        assert "─ Plan 12" in console.text
        await console.press("enter", "left", "enter")
        await console.until(lambda: calls_of(service, "apply_backfill"))

    run_console(scenario, service=service)


@pytest.mark.parametrize(("environment", "word"), [("staging", fakes.REPORT), ("production", "production")])
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
        await console.until(lambda: calls_of(service, "apply_backfill"))

    run_console(scenario, replace(fakes.BUSY, environment=environment), service)


def test_a_viewer_sees_the_plan_and_cannot_apply_it() -> None:
    service = service_with(fakes.ACTIVE_BACKFILL)
    service.read_only = True
    service.error = NotAllowed("apply_backfill")

    async def scenario(console: Console) -> None:
        await planned(console, *MARKED, "enter")
        await console.press("enter", "enter")
        await console.until(lambda: "✗ apply backfill is not allowed in read-only mode" in console.text)
        await console.press("escape", "tab", "p")
        await console.until(lambda: "not allowed" in console.notice)

    run_console(scenario, service=service)


# --- backfills that go on and that are over -----------------------------------------------------------------------


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
    service = service_with(fakes.ACTIVE_BACKFILL, *fakes.PAST_BACKFILLS)
    service.plan = fakes.ACTIVE_BACKFILL
    service.result = fakes.Done("resume", sentence="so it is")

    async def scenario(console: Console) -> None:
        for key in where:
            await console.press(key)
            await console.until(lambda: "20 of 48" in console.text or "▸ reporting" in console.text)
            await console.until(lambda: not console.app.screen._loading)  # type: ignore[attr-defined]
        await console.press(*keys)
        await console.until(lambda: console.notice == "so it is")
        assert calls_of(service, "cancel_backfill", "pause_backfill", "resume_backfill") == [(verb, 12)]

    run_console(scenario, service=service)


def test_the_only_active_backfill_is_cancelled_without_choosing_it() -> None:
    service = service_with(fakes.ACTIVE_BACKFILL, *fakes.PAST_BACKFILLS)

    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: "▶ 12" in console.text)
        await console.press("x")
        for words in ("Cancel backfill 12", "reporting.daily_report 2025-12-01 to 2026-01-18 in staging", "[ No ]"):
            assert words in console.text
        await console.press("enter", "tab", "down", "x")
        assert "backfill 11 has already ended: it is done" in console.notice
        assert calls_of(service, "cancel_backfill") == []

    run_console(scenario, service=service)


def test_without_an_active_backfill_one_has_to_be_chosen() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: "✓ 11" in console.text)
        for key in ("x", "p", "u"):
            await console.press(key)
            assert console.notice == "choose a backfill with tab and the arrows first"

    run_console(scenario, service=service_with(*fakes.PAST_BACKFILLS))


def test_tab_on_a_job_without_backfills_shows_a_notice() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*REPORT, "tab")
        assert "reporting.daily_report has no backfill yet" in console.notice

    run_console(scenario)


def test_the_windows_of_a_backfill_open_their_runs_and_failed_ones_come_first() -> None:
    service = service_with(fakes.ACTIVE_BACKFILL)
    service.plan = fakes.ACTIVE_BACKFILL
    days = [date(2025, 12, n) for n in (1, 2, 3)]
    service.plan_steps = [
        fakes.a_step(1, days[0], StepState.DONE),
        fakes.a_step(2, days[1], StepState.FAILED),
        fakes.a_step(3, days[2]),
    ]
    run = replace(fakes.PAGE.progress.run, id=4902)
    service.pages[4902] = replace(fakes.PAGE, progress=replace(fakes.PAGE.progress, run=run))

    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: "▶ 12" in console.text)
        await console.press("tab", "enter")
        assert isinstance(console.app.screen, BackfillPage)
        await console.until(lambda: "▸ ✗ 2025-12-02" in console.text)
        assert "▶ RUNNING" in console.text
        await console.press("enter")
        assert isinstance(console.app.screen, RunScreen)
        await console.until(lambda: "Run 4902" in console.text)
        await console.press("escape", "down", "enter")
        assert "reporting.daily_report 2025-12-03 has no run in this backfill" in console.notice
        await console.press("end", "t")
        assert isinstance(console.app.screen, TriggerDialog)
        assert "backfill 12" in service.presence

    run_console(scenario, service=service)


def test_the_cursor_stays_on_its_window_when_another_fails() -> None:
    service = service_with(fakes.ACTIVE_BACKFILL)
    service.plan = fakes.ACTIVE_BACKFILL
    first, second = date(2025, 12, 1), date(2025, 12, 2)
    service.plan_steps = [fakes.a_step(1, first, StepState.RUNNING), fakes.a_step(2, second, StepState.DONE)]

    async def scenario(console: Console) -> None:
        await console.press("4")
        await console.until(lambda: "▶ 12" in console.text)
        await console.press("tab", "enter")
        await console.until(lambda: "▸ ▶ 2025-12-01" in console.text)
        await console.press("down")
        assert "▸ ✓ 2025-12-02" in console.text
        service.plan_steps = [fakes.a_step(1, first, StepState.DONE), fakes.a_step(2, second, StepState.FAILED)]
        await console.until(lambda: "▸ ✗ 2025-12-02" in console.text)

    run_console(scenario, service=service)


def test_pages_poll_fast_only_while_a_backfill_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.pages.polling.TICK_SECONDS", 0.05)
    service = service_with(fakes.ACTIVE_BACKFILL)

    async def scenario(console: Console) -> None:
        await console.press(*REPORT)
        await console.until(lambda: len(calls_of(service, "windows")) > 8)
        service.past_backfills = list(fakes.PAST_BACKFILLS)
        await console.until(lambda: "✓ 11" in console.text)
        before = len(calls_of(service, "windows"))
        await asyncio.sleep(0.3)
        assert len(calls_of(service, "windows")) <= before + 1

    run_console(scenario, service=service)


def test_the_calendar_stays_and_shows_its_age_while_the_store_is_unreachable() -> None:
    service = service_with(*fakes.PAST_BACKFILLS)

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
            fakes.ACTIVE_BACKFILL, requested_by=HOSTILE, stop=BackfillStop(BackfillStopReason.PAUSED, HOSTILE, HOSTILE)
        ),
        replace(fakes.PAST_BACKFILLS[0], jobs=(HOSTILE, HOSTILE)),
    )
    service.plan = service.past_backfills[0]
    service.plan_steps = [fakes.a_step(1, date(2025, 12, 1), job=HOSTILE)]
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
        for words in ("[", "previous job", "mark: from, then to", "window missing", "backfill partial"):
            assert words in console.text

    run_console(scenario)


def test_the_calendar_can_be_shown_in_ascii() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*MARKED)
        await console.until(lambda: ". fresh: run 4000" in console.text)
        assert console.text.isascii()

    run_console(scenario, service=service_with(fakes.ACTIVE_BACKFILL, *fakes.PAST_BACKFILLS), ascii=True)


def test_without_colours_marked_days_are_underlined_and_the_cursor_is_reversed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def scenario(console: Console) -> None:
        await console.press(*MARKED)
        await console.until(lambda: "· fresh: run 4000" in console.text)
        shown = console.app.screen.query_one(Lines)
        drawn = [segment for y in range(4, 12) for segment in shown.render_line(y) if segment.style]
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
            app.show(Snapshot(at=now, environment="", leader=fakes.ME))
            console = Console(app, cast("fakes.FakeService", place.service), pilot)
            await console.press("4", "enter")
            await console.until(lambda: "Mon 2025-01-20" in console.text and "m missing" in console.text)
            await console.press("left", "space", *["down"] * 5, "space", "plus")
            await console.until(lambda: "Marked 2025-01-13 to 01-18: 6 windows, all missing" in console.text)
            await console.press("enter")
            await console.until(lambda: "runs      12 windows · 24 items" in console.text)
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


# --- pictures -----------------------------------------------------------------------------------------------------


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
    service = service_with(*([fakes.ACTIVE_BACKFILL] if running else []), *fakes.PAST_BACKFILLS)
    assert pictured(snap_compare, service, size, keys, shows)


def test_the_page_before_the_first_run(snap_compare: Compare) -> None:
    service = service_with()
    service.window_statuses = {}
    assert pictured(snap_compare, service, "80x24", ("4",), "none yet")


def pictured(snap_compare: Compare, service: fakes.FakeService, size: str, keys: Sequence[str], shows: str) -> bool:
    app = ConsoleApp(service, now=lambda: fakes.NOW)

    async def before(pilot: Pilot[None]) -> None:
        app.show(fakes.BUSY)
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while getattr(app.screen, "_loading", False):
                    await pilot.pause(0.01)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while shows not in app.screen.query_one(Lines).text:
                await pilot.pause(0.01)

    return snap_compare(app, terminal_size=SIZES[size], run_before=before)
