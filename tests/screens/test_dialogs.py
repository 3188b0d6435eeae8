"""Dialogs before something starts or ends, and the notices after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole.authoring.parameters import Parameter
from opsconsole.authoring.run import Counts, RunState
from opsconsole.calendar.windows import Window
from opsconsole.core.errors import BadWindow, Unavailable
from screens.dialogs.dialog import Confirm
from screens.dialogs.palette import Palette
from screens.dialogs.trigger import TriggerDialog, stepped
from screens.pages.dashboard import Dashboard
from screens.pages.help import HelpScreen
from screens.pages.run import RunScreen
from tests.screens import fakes, samples
from tests.screens.console import Console, run_console

REFUSED = "attempts.cache_day 2026-01-19 already has run 12, which is queued"


def test_two_keys_trigger_a_job() -> None:
    async def scenario(console: Console) -> None:
        await console.press("t")
        await console.until(lambda: "Items    10,000" in console.text)
        for words in ("attempts.cache_day", "1 of 5", "staging", "2026-01-19", "Asia/Kolkata", "[ OK ]"):
            assert words in console.text
        await console.press("enter")
        await console.until(lambda: "run 4900 started" in console.notice)
        assert ("trigger", "attempts.cache_day", None) in console.service.calls
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario)


def test_a_command_is_acknowledged_before_its_outcome() -> None:
    service = fakes.FakeService()
    service.answering.clear()

    async def scenario(console: Console) -> None:
        await console.press("t")
        await console.pilot.press("enter")
        await console.until(lambda: "requested: attempts.cache_day" in console.notice)
        service.answering.set()
        await console.until(lambda: "run 4900" in console.notice)

    run_console(scenario, service=service)


def test_a_refused_trigger_is_shown() -> None:
    service = fakes.FakeService()
    service.result = fakes.refused(REFUSED)

    async def scenario(console: Console) -> None:
        await console.press("t", "enter")
        await console.until(lambda: console.notice == f"refused: {REFUSED}")

    run_console(scenario, service=service)


def test_without_a_leader_the_command_waits() -> None:
    service = fakes.FakeService()
    service.result = None

    async def scenario(console: Console) -> None:
        await console.press("t", "enter")
        await console.until(lambda: "command 17 waits for a leader" in console.notice)

    run_console(scenario, replace(samples.BUSY, leader=None), service)


def test_a_slow_leader_is_not_reported_as_missing() -> None:
    service = fakes.FakeService()
    service.result = None

    async def scenario(console: Console) -> None:
        await console.press("t", "enter")
        await console.until(lambda: "command 17 is still pending" in console.notice)

    run_console(scenario, service=service)


def test_a_date_selects_the_window() -> None:
    async def scenario(console: Console) -> None:
        await console.press("t", *"2026-01-17x", "backspace", "8")
        await console.until(lambda: ("preview", "attempts.cache_day", "2026-01-18") in console.service.calls)
        assert "[2026-01-18]" in console.text
        await console.until(lambda: "Window   2026-01-18" in console.text)
        await console.press("enter")
        await console.until(lambda: ("trigger", "attempts.cache_day", "2026-01-18") in console.service.calls)

    run_console(scenario)


def test_arrows_choose_the_window_before_and_after() -> None:
    async def scenario(console: Console) -> None:
        await console.press("t")
        await console.until(lambda: "Window   2026-01-19" in console.text)
        await console.press("left", "left", "h", "right")
        await console.until(lambda: "Window   2026-01-17" in console.text)
        await console.press("enter")
        await console.until(lambda: ("trigger", "attempts.cache_day", "2026-01-17") in console.service.calls)

    run_console(scenario)


def test_a_job_without_windows_has_no_window_before() -> None:
    service = fakes.FakeService()
    service.window = Window(samples.NOW, samples.NOW, "2026-01-19T18:20:07Z")

    async def scenario(console: Console) -> None:
        await console.press("t")
        await console.until(lambda: "the moment it runs" in console.text)
        await console.press("left")
        assert "this job has no windows; it processes the current moment" in console.text
        await console.press("tab", "shift+tab", "enter")
        await console.until(lambda: ("trigger", "attempts.cache_day", None) in console.service.calls)

    run_console(scenario, service=service)


@pytest.mark.parametrize(
    ("label", "length", "typed", "step", "day"),
    [
        ("2026-01-19", timedelta(days=1), "", -1, "2026-01-18"),
        ("2026-03-29", timedelta(hours=23), "", 1, "2026-03-30"),
        ("2026-01-19", timedelta(days=1), "2026-03-01", -1, "2026-02-28"),
        ("2026-01-19", timedelta(days=1), "2026-13-01", -1, "2026-01-18"),
        ("2026-01", timedelta(days=31), "", -1, "2025-12-01"),
        ("2026-01", timedelta(days=31), "2025-12-24", 1, "2026-01-01"),
        ("2026-01-17", timedelta(weeks=4), "", -1, "2026-01-10"),
        ("2026-01-19", timedelta(days=1), "9999-12-31", 1, None),
        ("2026-01-19T18:20:07Z", timedelta(0), "", 1, None),
    ],
)
def test_the_date_of_the_window_before_or_after(
    label: str, length: timedelta, typed: str, step: int, day: str | None
) -> None:
    found = stepped(Window(samples.NOW, samples.NOW + length, label), typed, step)

    assert (found.isoformat() if found is not None else None) == day


def test_a_partial_date_is_not_sent() -> None:
    async def scenario(console: Console) -> None:
        await console.press("t", *"2026-1", "enter")
        assert isinstance(console.app.screen, TriggerDialog)
        assert "the date is incomplete" in console.text
        assert not [call for call in console.service.calls if call[0] == "trigger"]

    run_console(scenario)


def test_parameters_are_typed_and_chosen_in_the_dialog() -> None:
    number = Parameter("limit", "a whole number", 2, "how many dials are read")
    mode = Parameter("mode", "gentle or strict", "gentle", choices=("gentle", "strict"))
    card = replace(samples.BUSY.jobs[0], params=(number, mode))
    snapshot = replace(samples.BUSY, jobs=(card, *samples.BUSY.jobs[1:]))

    async def scenario(console: Console) -> None:
        await console.press("t")
        await console.until(lambda: "default 2" in console.text)
        await console.press("tab", "7", "tab", "right", "right")
        assert "mode: gentle or strict" in console.text
        assert isinstance(console.app.screen, TriggerDialog)
        (command, *_) = console.app.screen.command_lines()
        assert "--param limit=7 --param mode=strict" in " ".join(command.argv)
        await console.press("enter")
        await console.until(lambda: "run 4900 started" in console.notice)
        assert ("trigger", card.name, None, {"limit": "7", "mode": "strict"}) in console.service.calls

    run_console(scenario, snapshot)


def test_an_invalid_date_is_refused_in_the_dialog() -> None:
    service = fakes.FakeService()
    service.error = BadWindow("'2026-13-45' is not a date; write it as 2026-01-19")

    async def scenario(console: Console) -> None:
        await console.press("t", *"2026-13-45")
        await console.until(lambda: "is not a date" in console.text)
        await console.press("enter")
        assert isinstance(console.app.screen, TriggerDialog)

    run_console(scenario, service=service)


def test_a_job_can_be_triggered_while_the_data_database_is_unreachable() -> None:
    service = fakes.FakeService()
    service.error = Unavailable("data", "timeout")

    async def scenario(console: Console) -> None:
        await console.press("t")
        await console.until(lambda: "the data database is unreachable: timeout" in console.text)
        await console.press("enter")
        await console.until(lambda: console.notice == "the data database is unreachable: timeout")

    run_console(scenario, service=service)


def test_arrows_choose_the_job_and_the_button() -> None:
    async def scenario(console: Console) -> None:
        await console.press("t", "down", "j", "up", "k", "up")
        assert "reporting.daily_report" in console.text
        await console.press("tab")
        assert console.app.screen.button == 1  # type: ignore[attr-defined]
        await console.press("enter")
        assert isinstance(console.app.screen, Dashboard)
        assert not [call for call in console.service.calls if call[0] == "trigger"]

    run_console(scenario)


def test_the_job_under_the_cursor_is_the_one_that_is_triggered() -> None:
    async def scenario(console: Console) -> None:
        await console.select(("jobs", "game.session_cleanup"))
        await console.press("t")
        assert "game.session_cleanup" in console.text
        await console.press("escape")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario)


def test_twenty_presses_of_a_key_open_one_dialog() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*["t"] * 20)
        assert len(console.app.screen_stack) == 2

    run_console(scenario)


def test_retry_describes_its_effect_and_retries() -> None:
    async def scenario(console: Console) -> None:
        await console.press("home", "r")
        assert isinstance(console.app.screen, Confirm)
        for words in (
            "Retry run 4811",
            "attempts.cache_day 2026-01-19: 3 items (3 failed)",
            "[ Retry 3 items ]",
            "staging",
        ):
            assert words in console.text
        await console.press("enter")
        await console.until(lambda: "retry of run 4811 of attempts.cache_day: run 4900 started" in console.notice)
        assert ("retry", 4811) in console.service.calls

    run_console(scenario, samples.QUIET)


def test_a_retry_can_be_cancelled() -> None:
    async def scenario(console: Console) -> None:
        await console.press("home", "r", "escape", "r", "right", "enter")
        assert isinstance(console.app.screen, Dashboard)
        assert console.service.calls == []

    run_console(scenario, samples.QUIET)


@pytest.mark.parametrize(
    ("keys", "words"),
    [((), "is still running"), (("down", "down", "down", "down"), "has nothing to retry")],
)
def test_a_retry_that_is_impossible_is_refused_at_once(keys: tuple[str, ...], words: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press(*keys, "r")
        assert isinstance(console.app.screen, Dashboard)
        assert words in console.notice

    run_console(scenario)


def test_a_run_that_failed_before_planning_is_retried_completely() -> None:
    failed = samples.a_run(4900, state=RunState.FAILED, planning_done=False, counts=Counts())

    async def scenario(console: Console) -> None:
        await console.press("home", "r")
        assert "every item: it ended before its" in console.text

    run_console(scenario, replace(samples.QUIET, recent=(failed,)))


def test_the_help_lists_active_keys_and_all_symbols() -> None:
    async def scenario(console: Console) -> None:
        await console.press("question_mark")
        assert isinstance(console.app.screen, HelpScreen)
        for words in (
            "t             trigger the job",
            "x             cancel the run",
            "p             pause the job",
            "^p",
        ):
            assert words in console.text
        assert "retry failed items" not in console.text, "the run under the cursor has not ended"
        await console.press("pagedown")
        for words in ("◐  run partial", "◫  job paused", "✗  batch failed"):
            assert words in console.text
        await console.press("question_mark", "tab", "tab", "enter", "question_mark")
        assert "hold or follow the log" in console.text
        assert "panel before" not in console.text
        await console.press("escape")
        assert isinstance(console.app.screen, RunScreen)

    run_console(scenario)


def test_the_palette_lists_every_action_and_every_job() -> None:
    async def scenario(console: Console) -> None:
        await console.press("ctrl+p")
        names = [command.name for command in console.app.screen._commands]  # type: ignore[attr-defined]
        for name in ("trigger the job", "cancel the run", "help", "quit", "open newest run of game.life_regen"):
            assert name in names
        for verb in ("trigger", "pause"):
            each = [f"{verb} {card.name}" for card in samples.JOBS]
            assert [name for name in names if name.startswith(f"{verb} ") and "." in name] == each
        await console.press(*"trig daily")
        assert "▸trigger reporting.daily_report" in console.text
        await console.press("enter")
        assert isinstance(console.app.screen, TriggerDialog)
        assert "reporting.daily_report" in console.text

    run_console(scenario)


def test_letters_are_typed_into_the_palette() -> None:
    async def scenario(console: Console) -> None:
        await console.press("ctrl+p", *"qhl", "question_mark", "backspace", "backspace", "backspace")
        assert "> q_" in console.text
        await console.press("x", "x")
        assert "no command matches" in console.text
        await console.press("enter", "down", "up", "enter")
        assert isinstance(console.app.screen, Palette)
        await console.press("escape", "ctrl+p", "down", "down", "up", "enter")
        assert not isinstance(console.app.screen, Palette)

    run_console(scenario)


def test_the_palette_opens_a_run() -> None:
    async def scenario(console: Console) -> None:
        await console.press("ctrl+p", *"newest cache", "enter")
        assert isinstance(console.app.screen, RunScreen)
        assert console.app.screen.number == 4812

    run_console(scenario)
