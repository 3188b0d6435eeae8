"""Commands in general: pending ones, those of viewers, and the palette."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from opsconsole.authoring.run import Counts, Stop, StopReason
from opsconsole.service.snapshot import Snapshot
from screens.dialogs.pause import PauseDialog
from screens.pages.dashboard import Dashboard
from tests.screens import fakes, samples
from tests.screens.console import Console, run_console

CACHE_DAY, LIFE_REGEN, REPORT = (
    ("jobs", name) for name in ("attempts.cache_day", "game.life_regen", "reporting.daily_report")
)
"""Keys that bring the cursor to a job's row while runs go on."""
HALF_A_DAY = datetime(2026, 1, 20, 6, 20, tzinfo=UTC)


# --- pending commands ------------------------------------------------------------------------------------------------


def test_twenty_presses_of_trigger_start_one_run() -> None:
    service = fakes.FakeService()
    service.answering.clear()

    async def scenario(console: Console) -> None:
        notices: list[str] = []
        for _ in range(20):
            await console.press("t", "enter")
            notices.append(console.notice)
        assert service.calls_of("trigger") == [("trigger", "attempts.cache_day", None)]
        assert notices[0] == "requested: attempts.cache_day"
        assert all(notice.startswith("attempts.cache_day is already requested") for notice in notices[1:])
        service.answering.set()
        await console.until(lambda: "run 4900 started" in console.notice)
        await console.press("t", "enter")
        await console.until(lambda: len(service.calls_of("trigger")) == 2)

    run_console(scenario, service=service)


def test_twenty_presses_of_resume_send_one_command() -> None:
    service = fakes.FakeService()
    service.answering.clear()

    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        await console.press(*["u"] * 20)
        assert service.calls_of("resume") == [("resume", "game.life_regen")]
        assert console.notice.startswith("resume of game.life_regen is already requested")
        service.answering.set()

    run_console(scenario, samples.PAUSED, service)


def test_a_pending_command_is_followed_until_its_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.commands.LEADER_SECONDS", 0.1)
    service = fakes.FakeService()
    service.result = None

    async def scenario(console: Console) -> None:
        await console.select(LIFE_REGEN)
        await console.press("u")
        await console.until(lambda: "resume of game.life_regen: command 21 is still pending" in console.notice)
        await console.press("u")
        assert console.notice == ("resume of game.life_regen is already requested (command 21, still pending)")
        assert len(service.calls_of("resume")) == 1
        service.result = fakes.Done("resume", sentence="resumed game.life_regen")
        await console.until(lambda: console.notice == "resumed game.life_regen")

    run_console(scenario, samples.PAUSED, service)


# --- viewers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["t", "c", "x", "r", "p", "u", "a", "s"])
def test_a_viewer_is_offered_no_action(key: str) -> None:
    service = fakes.FakeService()
    service.read_only = True

    async def scenario(console: Console) -> None:
        assert console.text.splitlines()[0].startswith(" staging  read-only  leading since")
        assert f" {key} " not in console.text.splitlines()[-1]
        await console.press(key)
        assert console.notice == f"this console is read-only: no action on {key}; ? shows the keys"
        assert isinstance(console.app.screen, Dashboard)
        assert service.calls == []

    run_console(scenario, service=service)


def test_a_viewer_is_offered_no_remedy() -> None:
    service = fakes.FakeService()
    service.read_only = True

    async def scenario(console: Console) -> None:
        for words in ("t trigger", "r retry", "x cancel", "u resume"):
            assert words not in console.text
        assert "w why" in console.text

    run_console(scenario, service=service, size=(120, 40))


def test_a_viewer_finds_no_action_in_the_help_or_the_palette() -> None:
    service = fakes.FakeService()
    service.read_only = True

    async def scenario(console: Console) -> None:
        await console.press("ctrl+p")
        names = commands(console)
        await console.press("escape", "?")
        for verb in ("trigger", "cancel", "retry", "pause", "resume", "acknowledge", "silence the", "clear cached"):
            assert not [name for name in names if name.startswith(verb)]
            assert verb not in console.text.partition("Symbols")[0]
        assert "open newest run of attempts.cache_day" in names

    run_console(scenario, samples.PAUSED, service)


@pytest.mark.parametrize(("key", "shown"), [("K", "K"), ("!", "!"), ("f7", "f7"), ("ctrl+g", "^g")])
def test_a_key_without_an_action_says_so(key: str, shown: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press(key)
        assert console.notice == f"no action on {shown}; ? shows the keys"
        await console.press("7", key)
        assert console.notice == f"no action on {shown}; ? shows the keys"

    run_console(scenario)


# --- the palette -----------------------------------------------------------------------------------------------------


def test_enter_in_the_palette_does_not_quit() -> None:
    async def scenario(console: Console) -> None:
        await console.press("ctrl+p")
        assert commands(console)[-1] == "quit"
        await console.press("enter")
        assert console.app.is_running
        assert console.app.return_code is None

    run_console(scenario)


def commands(console: Console) -> list[str]:
    """What the palette in front lists."""
    return [command.name for command in console.app.screen._commands]  # type: ignore[attr-defined]


def test_the_palette_lists_what_can_be_cancelled_paused_and_resumed() -> None:
    async def scenario(console: Console) -> None:
        await console.press("ctrl+p")
        names = commands(console)
        for name in (
            "cancel the run",
            "pause the job",
            "cancel run 4812 of attempts.cache_day",
            "cancel run 4814 of attempts.suggest",
            "pause reporting.daily_report",
            "pause all jobs",
            "resume game.life_regen",
            "resume all of reporting",
        ):
            assert name in names
        assert not {"resume attempts.cache_day", "resume the job", "retry failed items"} & set(names)

    run_console(scenario, samples.PAUSED)


@pytest.mark.parametrize(
    ("typed", "call"),
    [
        ("resume all of rep", ("resume", "reporting")),
        ("pause all", ("pause", "all", HALF_A_DAY, "")),
        ("pause daily", ("pause", "reporting.daily_report", HALF_A_DAY, "")),
    ],
)
def test_the_palette_runs_the_chosen_command(typed: str, call: tuple[object, ...]) -> None:
    async def scenario(console: Console) -> None:
        await console.press("ctrl+p", *typed, "enter")
        if isinstance(console.app.screen, PauseDialog):
            await console.press("enter")
        await console.until(lambda: call in console.service.calls)

    run_console(scenario, samples.PAUSED)


def test_without_jobs_pause_shows_a_notice() -> None:
    async def scenario(console: Console) -> None:
        await console.press("ctrl+p", *"pause all", "enter")
        assert "no job to pause" in console.notice

    run_console(scenario, samples.EMPTY)


@pytest.mark.parametrize(
    ("snapshot", "row", "keys"),
    [
        (samples.BUSY, ("running", "4812"), ()),
        (samples.PAUSED, LIFE_REGEN, ()),
        (samples.BUSY, ("running", "4812"), ("enter",)),
        (samples.QUIET, ("running", "4811"), ("enter",)),
    ],
)
def test_the_footer_has_at_most_nine_keys_in_80_cells(
    snapshot: Snapshot, row: tuple[str, str], keys: tuple[str, ...]
) -> None:
    many = samples.partial(4811, counts=Counts(planned=10**6, ok=0, failed=10**5))
    service = fakes.FakeService([replace(samples.PAGE, progress=replace(samples.PAGE.progress, run=many))])

    async def scenario(console: Console) -> None:
        await console.select(row)
        await console.press(*keys)
        await console.pilot.pause(0.1)
        page = console.app.front_page
        assert page is not None
        assert len(page.footer()) <= 9
        assert "…" not in console.text.splitlines()[-1]

    run_console(scenario, snapshot, service)


def test_the_footer_cuts_no_word() -> None:
    async def scenario(console: Console) -> None:
        page = console.app.front_page
        assert page is not None
        whole = [f"{key} {word}" for key, word in page.footer()]
        for cells in range(20, 90):
            drawn = "".join(piece.text for piece in page._footer(cells)).strip().split("  ")
            assert set(drawn) <= set(whole), cells

    run_console(scenario, samples.TROUBLE, fakes.FakeService([samples.PAGE]))


def test_a_run_replaced_by_the_schedule_shows_the_reason() -> None:
    stop = Stop("schedule", samples.NOW, samples.NOW + timedelta(seconds=30), StopReason.REPLACED, run=4900)
    page = replace(samples.PAGE, progress=samples.running(stop=stop))

    async def scenario(console: Console) -> None:
        assert "being cancelled by schedule · by force in 30 s" in console.text
        await console.press("home", "enter")
        await console.until(lambda: "replaced by run 4900" in console.text)

    run_console(scenario, replace(samples.BUSY, live=(samples.running(stop=stop),)), fakes.FakeService([page]))
