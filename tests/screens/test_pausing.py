"""Pausing and resuming jobs: the dialog, the questions, the commands and the notices."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from textual import events

from screens.dialogs.dialog import Confirm
from screens.dialogs.pause import PauseDialog
from screens.dialogs.until import NOTE_LENGTH
from screens.pages.dashboard import Dashboard
from tests.screens import fakes, samples
from tests.screens.console import Console, run_console

CACHE_DAY, LIFE_REGEN, REPORT = (
    ("jobs", name) for name in ("attempts.cache_day", "game.life_regen", "reporting.daily_report")
)
"""Keys that bring the cursor to a job's row while runs go on."""
ZONES = {"IST": "Asia/Kolkata", "UTC": "UTC"}
HALF_A_DAY = datetime(2026, 1, 20, 6, 20, tzinfo=UTC)


# --- pause -----------------------------------------------------------------------------------------------------------


def test_two_keys_pause_a_job_for_12_hours() -> None:
    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        await console.press("p")
        assert isinstance(console.app.screen, PauseDialog)
        for words in (
            "staging",
            "▸game.life_regen               this job",
            "game                          its pack, 3 jobs",
            "all                           all 5 jobs",
            "1 h  4 h [12 h] 24 h  until resumed",
            "06:20 UTC, in 11 h 59 min",
            "[ Pause ]",
        ):
            assert words in console.text
        await console.press("enter")
        await console.until(lambda: console.notice == "game.life_regen is paused until 2026-01-20 06:20 UTC")
        assert console.service.calls_of("pause") == [("pause", "game.life_regen", HALF_A_DAY, "")]

    run_console(scenario, service=fakes.executing("game.life_regen is paused until 2026-01-20 06:20 UTC"))


@pytest.mark.parametrize(
    ("keys", "hours"),
    [
        (("left", "left"), 1),
        (("left",), 4),
        (("right",), 24),
        (("right", "right"), None),
        (("left",) * 9, 1),
        (("right",) * 9, None),
    ],
)
def test_arrows_choose_the_duration(keys: tuple[str, ...], hours: int | None) -> None:
    end = None if hours is None else samples.NOW.replace(second=0) + timedelta(hours=hours)

    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        await console.press("p", *keys)
        assert ("when it is resumed" in console.text) == (hours is None)
        await console.press("enter")
        await console.until(lambda: console.service.calls_of("pause") == [("pause", "game.life_regen", end, "")])

    run_console(scenario)


@pytest.mark.parametrize(("downs", "target"), [(0, "game.life_regen"), (1, "game"), (2, "all"), (7, "all")])
def test_arrows_choose_the_target(downs: int, target: str) -> None:
    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        await console.press("p", *["down"] * downs, "enter")
        await console.until(lambda: console.service.calls_of("pause") == [("pause", target, HALF_A_DAY, "")])

    run_console(scenario)


def test_all_letters_are_typed_into_the_note() -> None:
    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        await console.press("p", *"quit? hjkl x", "backspace", "backspace", *"12 ")
        assert "Note     > quit? hjkl12 _" in console.text
        console.app.post_message(events.Paste("ticket\n81\x1b[2J\u202e"))
        await console.pilot.pause()
        assert "quit? hjkl12 ticket 81[2J_" in console.text
        await console.press("enter")
        note = "quit? hjkl12 ticket 81[2J"
        await console.until(
            lambda: console.service.calls_of("pause") == [("pause", "game.life_regen", HALF_A_DAY, note)]
        )
        assert not console.app._exit

    run_console(scenario)


def test_a_long_note_shows_its_end_and_is_limited() -> None:
    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        await console.press("p")
        console.app.post_message(events.Paste("日本語 " * 300 + "end"))
        await console.pilot.pause()
        assert "…" in console.text
        await console.press("enter")
        await console.until(lambda: console.service.calls_of("pause"))
        note = console.service.calls_of("pause")[0][3]
        assert isinstance(note, str)
        assert NOTE_LENGTH - 1 <= len(note) <= NOTE_LENGTH

    run_console(scenario)


def test_the_pause_dialog_can_be_closed_without_pausing() -> None:
    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        await console.press("p", "escape", "p", "tab", "enter", "p", "shift+tab", "enter")
        assert isinstance(console.app.screen, Dashboard)
        assert console.service.calls_of("pause") == []

    run_console(scenario)


def test_the_pause_dialog_shows_the_pause_that_it_replaces() -> None:
    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        await console.press("p")
        assert "◫ game.life_regen is paused by ben until 23:00 UTC" in console.text
        assert "This pause replaces it." in console.text
        await console.press("down")
        assert "replaces it" not in console.text
        await console.press("escape")
        await console.select(REPORT)
        await console.press("p", "down")
        assert "◫ reporting is paused by chen until resumed: ledger is moved" in console.text

    run_console(scenario, samples.PAUSED)


def test_without_a_job_there_is_nothing_to_pause_or_resume() -> None:
    async def scenario(console: Console) -> None:
        await console.select(None)
        for key in ("p", "u"):
            await console.press(key)
            assert isinstance(console.app.screen, Dashboard)
            assert console.notice == "choose a row with the arrows or tab first"

    run_console(scenario)


def test_a_finding_without_a_job_cannot_be_paused() -> None:
    async def scenario(console: Console) -> None:
        await console.press("p")
        assert console.notice == "choose a row with the arrows or tab first"
        await console.select(CACHE_DAY)
        await console.press("p")
        assert "▸attempts.cache_day" in console.text

    run_console(scenario, samples.TROUBLE)


def test_the_job_of_a_run_can_be_paused_from_its_page() -> None:
    async def scenario(console: Console) -> None:
        await console.press("home", "enter", "p", "enter")
        await console.until(lambda: console.service.calls_of("pause"))
        assert console.service.calls_of("pause")[0][1] == "attempts.cache_day"

    run_console(scenario)


# --- resume ----------------------------------------------------------------------------------------------------------


def test_one_key_resumes_a_job() -> None:
    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        assert "u resume" in console.text
        assert "p pause" not in console.text
        await console.press("u")
        assert isinstance(console.app.screen, Dashboard)
        await console.until(lambda: console.notice == "resumed game.life_regen")
        assert console.service.calls_of("resume") == [("resume", "game.life_regen")]

    run_console(scenario, samples.PAUSED, fakes.executing("resumed game.life_regen"))


def test_the_service_decides_whether_a_job_is_paused() -> None:
    service = fakes.FakeService()
    service.result = fakes.refused("game.life_regen is not paused")

    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        await console.press("u")
        await console.until(lambda: console.notice == "refused: game.life_regen is not paused")

    run_console(scenario, service=service)


def test_a_job_paused_with_its_pack_is_resumed_with_its_pack() -> None:
    async def scenario(console: Console) -> None:
        await console.select(REPORT)
        await console.press("u")
        assert isinstance(console.app.screen, Confirm)
        for words in ("Resume all of reporting?", "with all of reporting by chen", "until resumed", "ledger is moved"):
            assert words in console.text
        await console.press("right", "enter")
        assert console.service.calls_of("resume") == []
        await console.press("u", "enter")
        await console.until(lambda: console.service.calls_of("resume") == [("resume", "reporting")])

    run_console(scenario, samples.PAUSED)


def test_a_job_that_is_paused_twice_is_resumed_twice() -> None:
    twice = replace(samples.PAUSED, pauses=(samples.paused("game"), samples.paused("game.life_regen", 9, number=2)))

    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        await console.press("u")
        assert "Resume game.life_regen and all of game?" in console.text
        await console.press("enter")
        both = [("resume", "game.life_regen"), ("resume", "game")]
        await console.until(lambda: sorted(console.service.calls_of("resume")) == sorted(both))

    run_console(scenario, twice)


def test_a_pause_of_all_jobs_can_be_resumed_without_a_selected_job() -> None:
    everything = replace(samples.BUSY, pauses=(samples.paused("all", note="move to web3"),))

    async def scenario(console: Console) -> None:
        assert "◫ PAUSED  all jobs are paused until 23:00 UTC by ben" in console.text
        assert "u resume" in console.text.splitlines()[1]
        await console.select(None)
        await console.press("u")
        assert "Resume all jobs?" in console.text
        assert "all jobs are paused by ben until 23:00 UTC: move to web3." in console.text
        await console.press("enter")
        await console.until(lambda: console.service.calls_of("resume") == [("resume", "all")])

    run_console(scenario, everything)


# --- zones -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "zone"), [("attempts.cache_day", "IST"), ("attempts", "UTC"), ("all", "UTC")])
def test_the_end_of_a_pause_is_shown_in_one_zone(target: str, zone: str) -> None:
    """Its job's, although jobs in several zones may wait for the end of the pause of a pack or of all jobs."""
    other = {"IST": "UTC", "UTC": "IST"}[zone]
    pause = samples.paused(target)
    assert pause.until is not None
    ends = {name: f"{pause.until.astimezone(ZoneInfo(tz)):%H:%M}" for name, tz in ZONES.items()}

    async def scenario(console: Console) -> None:
        dashboard = console.text
        await console.press("2")
        for text in (dashboard, console.text):
            row = next(line for line in text.splitlines() if "running    " in line)
            assert f"{ends[other]} {other}" not in row
            assert f"{ends[zone]} {zone}" in row

    run_console(scenario, replace(samples.BUSY, pauses=(pause,)), size=(160, 45))
