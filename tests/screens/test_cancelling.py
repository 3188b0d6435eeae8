"""Cancelling runs: the questions, the commands and the notices."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from opsconsole.authoring.run import RunState
from opsconsole.core.errors import UnknownRun
from opsconsole.service.snapshot import Progress
from screens.dialogs.dialog import Confirm
from screens.pages.dashboard import Dashboard
from screens.pages.run import RunScreen
from tests.screens import fakes, past_alerts, samples
from tests.screens.console import Console, run_console

CACHE_DAY, LIFE_REGEN, REPORT = (
    ("jobs", name) for name in ("attempts.cache_day", "game.life_regen", "reporting.daily_report")
)
"""Keys that bring the cursor to a job's row while runs go on."""
HALF_A_DAY = datetime(2026, 1, 20, 6, 20, tzinfo=UTC)


def test_cancel_shows_the_run_and_its_progress_and_defaults_to_no() -> None:
    async def scenario(console: Console) -> None:
        await console.press("home", "x")
        assert isinstance(console.app.screen, Confirm)
        for words in (
            "Cancel run 4812",
            "attempts.cache_day 2026-01-19 in staging:",
            "6,150 of 10,000 items done (61%), 1 failed.",
            "Cancel the run     [ No ]",
        ):
            assert words in console.text
        assert "By force" not in console.text
        await console.press("enter")
        assert isinstance(console.app.screen, Dashboard)
        assert console.service.calls_of("cancel") == []
        await console.press("x", "left", "enter")
        await console.until(lambda: console.notice == "run 4812 of attempts.cache_day ends when its batches are done")
        assert console.service.calls_of("cancel") == [("cancel", 4812, False, "")]

    run_console(scenario, service=fakes.executing("run 4812 of attempts.cache_day ends when its batches are done"))


def test_a_queued_run_can_be_cancelled() -> None:
    async def scenario(console: Console) -> None:
        await console.select(("running", "4813"))
        await console.press("x")
        assert "Cancel run 4813" in console.text
        assert "Queued, no item is done." in console.text

    run_console(scenario)


def test_a_second_cancel_offers_force_and_defaults_to_no() -> None:
    async def scenario(console: Console) -> None:
        await console.press("home", "x")
        for words in ("Run 4812 is already being cancelled", "Requested by ben", "force in 7 s", "By force     [ No ]"):
            assert words in console.text
        assert "Cancel the run" not in console.text
        await console.press("enter", "x", "left", "enter")
        await console.until(lambda: console.service.calls_of("cancel") == [("cancel", 4812, True, "")])

    run_console(scenario, samples.PAUSED)


def test_a_run_being_stopped_by_force_cannot_be_cancelled_again() -> None:
    late = replace(
        samples.BUSY, live=(samples.running(stop=msgspec.structs.replace(samples.STOP, force_at=samples.NOW)),)
    )

    async def scenario(console: Console) -> None:
        await console.press("home", "x")
        assert isinstance(console.app.screen, Dashboard)
        assert console.notice == "run 4812 of attempts.cache_day is already being stopped by force, for ben"

    run_console(scenario, late)


def test_cancel_on_a_jobs_row_selects_its_running_run() -> None:
    queued = Progress(samples.a_run(4815, state=RunState.QUEUED), "Asia/Kolkata", None, None)

    async def scenario(console: Console) -> None:
        await console.select(CACHE_DAY)
        await console.press("x")
        assert "Cancel run 4812" in console.text

    run_console(scenario, replace(samples.BUSY, live=(queued, *samples.BUSY.live)))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("running", "4811"), "run 4811 has already ended as partial"),
        (REPORT, "reporting.daily_report has no run to cancel"),
        (None, "choose a row with the arrows or tab first"),
    ],
)
def test_a_cancel_that_is_impossible_is_refused_at_once(row: tuple[str, str] | None, words: str) -> None:
    async def scenario(console: Console) -> None:
        await console.select(row)
        await console.press("x")
        assert isinstance(console.app.screen, Dashboard)
        assert console.notice == words

    run_console(scenario)


def test_a_run_outside_the_snapshot_is_opened_first() -> None:
    card = replace(past_alerts.CARDS[4], alert=replace(past_alerts.ITEMS, run=77))
    elsewhere = replace(samples.QUIET, alerts=(card,))
    service = fakes.FakeService([replace(samples.PAGE, progress=samples.running(77))])

    async def scenario(console: Console) -> None:
        await console.press("6", "x")
        assert isinstance(console.app.screen, RunScreen)
        assert console.notice == "press the key again on this page to cancel the run"
        await console.until(lambda: "RUNNING" in console.text)
        await console.press("x")
        assert "Cancel run 77" in console.text

    run_console(scenario, elsewhere, service)


def test_a_run_is_cancelled_from_its_page() -> None:
    service = fakes.FakeService([replace(samples.PAGE, progress=samples.running())])

    async def scenario(console: Console) -> None:
        await console.press("home", "enter")
        await console.until(lambda: "200 batches" in console.text)
        assert "x cancel" in console.text
        await console.press("x", "left", "enter")
        await console.until(lambda: service.calls_of("cancel") == [("cancel", 4812, False, "")])
        assert isinstance(console.app.screen, RunScreen)

    run_console(scenario, service=service)


def test_a_run_page_that_failed_to_load_has_nothing_to_cancel() -> None:
    async def scenario(console: Console) -> None:
        console.app.open_run(99)
        await console.until(lambda: "run 99 does not exist" in console.text)
        await console.press("x")
        assert console.notice == "nothing to cancel: run 99 is not loaded"
        await console.press("p", "u")
        assert console.notice == "choose a row with the arrows or tab first"

    run_console(scenario)


def test_cancelling_a_run_that_has_just_ended_shows_the_refusal() -> None:
    service = fakes.FakeService()
    service.result = fakes.refused("run 4812 has already ended as succeeded")

    async def scenario(console: Console) -> None:
        await console.press("home", "x", "left", "enter")
        await console.until(lambda: console.notice == "refused: run 4812 has already ended as succeeded")
        service.error = UnknownRun(4812)
        await console.press("x", "left", "enter")
        await console.until(lambda: "run 4812 does not exist" in console.notice)

    run_console(scenario, service=service)
