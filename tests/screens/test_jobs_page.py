"""The page of jobs: its keys, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from opsconsole.core.errors import DateSkipped, Unavailable
from opsconsole.service.snapshot import Finding, FindingKind, Severity
from screens.dialogs.cron import CronDialog
from screens.dialogs.pause import PauseDialog
from screens.dialogs.trigger import TriggerDialog
from screens.dialogs.why import WhyDialog
from screens.pages.calendar import CalendarScreen
from screens.pages.dashboard import Dashboard
from screens.pages.jobs import JobsScreen
from screens.pages.runs import RunsScreen
from screens.panels.jobs import Segment
from tests.screens import fakes, past, past_jobs, samples
from tests.screens.console import Console, run_console
from tests.screens.test_snapshots import SIZES, Compare, matches_snapshot

REPORT = "reporting.daily_report"


def front(console: Console) -> JobsScreen:
    assert isinstance(console.app.screen, JobsScreen)
    return console.app.screen


def test_the_page_shows_the_job_under_the_cursor_and_loads_the_next_one() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2")
        await console.until(lambda: "50 23 * * *  At 23:50 (Asia/Kolkata)" in console.text)
        assert console.service.presence[-1] == "jobs"
        await console.press("down")
        await console.until(lambda: ("job_page", "game.leaderboard_recalc") in console.service.calls)
        await console.press("k", "k")
        assert front(console).job() == "attempts.cache_day"
        await console.press("escape")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, samples.TIDY)


def test_segments_and_the_filter_narrow_the_list() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2", "right")
        assert front(console).segment is Segment.FAILED
        await console.press("left", "left")
        assert front(console).segment is Segment.MANUAL
        assert "every job has a schedule" in console.text
        await console.press("right", "slash", *"regen")
        await console.until(lambda: front(console).job() == "game.life_regen")
        await console.press("enter", "slash", *"xyz")
        await console.until(lambda: "no job matches; esc clears the filter" in console.text)
        await console.press("enter", "escape")
        await console.until(lambda: front(console).job() == "attempts.cache_day")

    run_console(scenario, samples.TIDY)


def test_enter_opens_the_runs_of_the_job() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2", "enter")
        assert isinstance(console.app.screen, RunsScreen)
        assert console.app.screen.filter.value == "attempts.cache_day"
        while not isinstance(console.app.screen, JobsScreen):
            await console.press("escape")  # clears the filter, then closes the page
        await console.press(*["down"] * 4, "enter")
        assert console.notice == f"{REPORT} has not run yet · t triggers it"

    run_console(scenario, samples.TIDY)


def test_keys_act_on_the_job_of_the_row() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2", *["down"] * 3, "t")
        assert isinstance(console.app.screen, TriggerDialog)
        assert console.app.screen.request[0] == "game.session_cleanup"
        await console.press("escape", "p")
        assert isinstance(console.app.screen, PauseDialog)
        assert "game.session_cleanup" in console.text
        await console.press("escape", "b")
        await console.until(lambda: not isinstance(console.app.screen, JobsScreen))
        assert not isinstance(console.app.screen, CalendarScreen)  # this job has no windows

    run_console(scenario, samples.TIDY)


def test_retry_cancel_and_resume_are_refused_where_there_is_nothing_to_do() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2", *["down"] * 4, "r")
        assert console.notice == f"{REPORT} has no run to retry"
        await console.press("x")
        assert console.notice == f"{REPORT} has no run to cancel"
        await console.press("2", "slash", *"nothing", "enter")
        await console.until(lambda: front(console).job() is None)
        await console.press("r")
        assert console.notice == "no job to retry in this list; tab shows another one"
        await console.press("enter")
        assert console.notice == "no job to open in this list; tab shows another one"
        await console.press("p")
        assert console.notice == "choose a row with the arrows or tab first"
        await console.press("w")
        assert console.notice == "choose a row with the arrows or tab first"

    run_console(scenario, samples.TIDY)


def test_a_paused_job_is_resumed() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2", "u")
        await console.until(lambda: ("resume", "attempts.cache_day") in console.service.calls)

    run_console(scenario, replace(samples.TIDY, pauses=(samples.paused("attempts.cache_day"),)))


def test_an_unreachable_store_leaves_the_list() -> None:
    service = fakes.FakeService()
    service.unreachable = Unavailable("store", "disk I/O error")

    async def scenario(console: Console) -> None:
        await console.press("2")
        await console.until(lambda: "the store is unreachable: disk I/O error" in console.text)
        assert "game.session_cleanup" in console.text

    run_console(scenario, samples.TIDY, service)


def test_details_are_loaded_again_when_a_run_has_started() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2")
        await console.until(lambda: "last run 4811" in console.text)
        console.service.job_pages["attempts.cache_day"] = past_jobs.a_page(newest=(samples.a_run(4820),))
        newer = replace(samples.TIDY, live=(samples.running(4821),))
        console.app.show(newer)
        await console.until(lambda: "last run 4820" in console.text)

    run_console(scenario, samples.TIDY)


def test_the_list_and_then_the_details_take_the_whole_page() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2")
        await console.until(lambda: "50 23 * * *" in console.text)
        await console.press("v")
        assert "last run" not in console.text
        await console.press("v")
        await console.until(lambda: "overdue when not started" in console.text)
        assert "game.session_cleanup" not in console.text
        await console.press("v")
        await console.until(lambda: "game.session_cleanup" in console.text and "last run" in console.text)

    run_console(scenario, samples.TIDY)


def test_a_console_without_jobs_shows_what_to_do() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2")
        assert "no jobs; add a pack to jobs.packs in the configuration" in console.text

    run_console(scenario, samples.EMPTY)


# --- why ------------------------------------------------------------------------------------------------------------


def test_why_explains_the_newest_scheduled_time_and_goes_to_the_ones_beside_it() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2", "down", "w")
        assert isinstance(console.app.screen, WhyDialog)
        await console.until(lambda: "it was skipped because the job was paused" in console.text)
        assert ("why", "game.leaderboard_recalc", None) in console.service.calls
        assert "2026-01-18 23:50 IST" in console.text
        assert "= opsconsole why game.leaderboard_recalc --at 2026-01-18T18:20:00Z" in console.text
        await console.press("left")
        await console.until(lambda: "--at 2026-01-17T18:20:00Z" in console.text)
        await console.press("right")
        await console.until(lambda: "--at 2026-01-18T18:20:00Z" in console.text)
        await console.press("enter")
        assert isinstance(console.app.screen, JobsScreen)

    run_console(scenario, samples.TIDY)


def test_a_time_can_be_typed() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2", "w")
        await console.until(lambda: "opsconsole why" in console.text)
        await console.press(*"2026-01-15", "space", *"23:50x", "backspace", "0")
        assert "at > 2026-01-15 23:50_" in console.text
        await console.press("enter")
        await console.until(lambda: ("why", "attempts.cache_day", "2026-01-15 23:50") in console.service.calls)
        await console.until(lambda: "--at 2026-01-15T23:50:00Z" in console.text)

    run_console(scenario, samples.TIDY)


def test_an_error_stays_in_the_dialog() -> None:
    service = fakes.FakeService()
    service.error = Unavailable("store", "locked")

    async def scenario(console: Console) -> None:
        await console.press("2", "w")
        await console.until(lambda: "the store is unreachable: locked" in console.text)
        await console.press("left", "up", "down", "w")
        assert isinstance(console.app.screen, JobsScreen)

    run_console(scenario, samples.TIDY, service)


def test_a_run_is_explained_by_its_scheduled_time() -> None:
    async def scenario(console: Console) -> None:
        console.app.open_run(4812)
        await console.press("w")
        assert isinstance(console.app.screen, WhyDialog)
        at = samples.NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
        await console.until(lambda: ("why", "attempts.cache_day", at) in console.service.calls)

    run_console(scenario, samples.TIDY)


def test_a_window_is_explained_by_the_scheduled_time_that_covers_it() -> None:
    async def scenario(console: Console) -> None:
        await console.app.open_calendar(past.REPORT)
        await console.press("left", "w")
        assert isinstance(console.app.screen, WhyDialog)
        await console.until(lambda: console.service.calls_of("why_window"))
        (call,) = console.service.calls_of("why_window")
        assert call[1:] == (past.REPORT, "2026-01-12")
        await console.until(lambda: "2026-01-12: · fresh" in console.text)
        await console.until(lambda: "it was skipped because the job was paused" in console.text)
        await console.press("left")
        await console.until(lambda: ("why", past.REPORT, "2026-01-17T18:20:00Z") in console.service.calls)

    run_console(scenario, samples.TIDY)


def test_a_window_that_the_zone_of_a_job_skipped_is_not_explained() -> None:
    async def scenario(console: Console) -> None:
        await console.app.open_calendar(past.REPORT)
        await console.press("left")
        console.service.error = DateSkipped(date(2011, 12, 30), "Pacific/Apia")
        await console.press("w")
        assert isinstance(console.app.screen, WhyDialog)
        await console.until(lambda: "2011-12-30 does not exist in Pacific/Apia" in console.text)

    run_console(scenario, samples.TIDY)


def test_incomplete_windows_are_explained_by_the_newest_of_them() -> None:
    labels = ("2025-06-27", "2025-07-03", "2025-07-02")
    stale = Finding(Severity.WARNING, FindingKind.INCOMPLETE_WINDOWS, past.REPORT, samples.ago(hours=1), items=labels)

    async def scenario(console: Console) -> None:
        await console.press("w")
        await console.until(lambda: "2025-07-03: S stale" in console.text)
        assert "12 items out of date · run 4000, 1,203 items in 2.1 s" in console.text
        assert [call[1:] for call in console.service.calls_of("why_window")] == [(past.REPORT, "2025-07-03")]

    run_console(scenario, replace(samples.TIDY, findings=(stale,)))


def test_a_backfill_alone_has_no_job_to_explain() -> None:
    service = fakes.FakeService()
    service.jobs_with_windows = ()

    async def scenario(console: Console) -> None:
        await console.press("4", "w")
        assert console.notice == "choose a job with tab and the arrows first"

    run_console(scenario, samples.TIDY, service)


# --- a schedule -----------------------------------------------------------------------------------------------------


def test_a_schedule_is_tried_while_it_is_typed() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2", "asterisk")
        assert isinstance(console.app.screen, CronDialog)
        await console.until(lambda: "In words Every hour" in console.text)
        await console.press("ctrl+u", *["backspace"] * 9, *"*/45 * * * *")
        await console.until(lambda: "At 0 and 45 minutes past the hour" in console.text)
        assert "does not divide its range evenly" in console.text
        await console.press("down", *"kolk")
        await console.until(lambda: "opsconsole next '*/45 * * * *' --tz Asia/Kolkata" in console.text)
        await console.press("escape")
        assert isinstance(console.app.screen, JobsScreen)

    run_console(scenario, samples.TIDY)


def test_a_schedule_that_cannot_be_read_has_the_reason() -> None:
    async def scenario(console: Console) -> None:
        await console.press("2", "asterisk", *"5")
        await console.until(lambda: "it has 5 fields" in console.text or "invalid" in console.text)
        await console.press(*["backspace"] * 20)
        await console.until(lambda: "Type minute, hour, day of month" in console.text)
        await console.press("enter")
        assert isinstance(console.app.screen, JobsScreen)

    run_console(scenario, samples.TIDY)


def test_the_palette_tries_a_schedule_and_explains_a_job() -> None:
    async def scenario(console: Console) -> None:
        await console.press("ctrl+p", *"try", "space", *"a", "space", *"sche", "enter")
        assert isinstance(console.app.screen, CronDialog)
        await console.until(lambda: "Type minute, hour, day of month" in console.text)
        await console.press("escape", "ctrl+p", *"explain", "space", *"regen", "enter")
        assert isinstance(console.app.screen, WhyDialog)

    run_console(scenario, samples.TIDY)


# --- pictures -------------------------------------------------------------------------------------------------------

TROUBLED = replace(samples.TROUBLE, pauses=(samples.paused("game", note="ticket 81"),))


@pytest.mark.parametrize(
    ("state", "size"),
    [("data", "80x24"), ("data", "120x40"), ("data", "200x60"), ("trouble", "120x40"), ("empty", "80x24")],
)
def test_the_page_as_a_picture(snap_compare: Compare, state: str, size: str) -> None:
    shown = {"data": samples.BUSY, "trouble": TROUBLED, "empty": samples.EMPTY}[state]
    words = "" if state == "empty" else " * * *"
    assert matches_snapshot(snap_compare, shown, SIZES.get(size, (200, 60)), "2", shows=words)


@pytest.mark.parametrize(("key", "words"), [("w", "ticket 81"), ("asterisk", "In words")])
def test_the_dialogs_as_pictures(snap_compare: Compare, key: str, words: str) -> None:
    assert matches_snapshot(snap_compare, samples.BUSY, SIZES["80x24"], "2", key, shows=words)


def test_a_schedule_is_changed_and_reset_in_a_dialog() -> None:
    first = samples.TIDY.jobs[0]
    changed = replace(first, changed="changed by asha at 12:00 UTC; reset it to '0 * * * *' (UTC)")
    snapshot = replace(samples.TIDY, jobs=(changed, *samples.TIDY.jobs[1:]))

    async def scenario(console: Console) -> None:
        await console.press("2", "S")
        await console.until(lambda: "In words" in console.text)
        await console.press(*["backspace"] * len("* * * *"), *"5 * * *", "tab", "tab", *"late")
        await console.press("enter")
        await console.until(lambda: ("schedule", first.name, "0 5 * * *", first.tz, "late") in console.service.calls)
        await console.until(lambda: "In words" not in console.text)
        await console.press("S")
        await console.until(lambda: "In words" in console.text)
        await console.press(*["backspace"] * len(" * *"))
        await console.until(
            lambda: "✗" in console.text or "fields" in console.text
        )  # what was typed by then is no schedule
        await console.press(*["backspace"] * len("0 * *"), "enter")
        await console.until(lambda: ("reset_schedule", first.name, "") in console.service.calls)

    run_console(scenario, snapshot)
