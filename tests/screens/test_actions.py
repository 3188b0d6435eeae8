"""Cancel, pause and resume: the questions, the commands that are sent, and the notices."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from textual import events

from opsconsole.authoring.run import Counts, RunState, Stop, StopReason
from opsconsole.core.errors import NotAllowed, UnknownRun
from opsconsole.service.snapshot import Progress, Snapshot
from screens.dialogs.dialog import Confirm
from screens.dialogs.pause import NOTE_LENGTH, PauseDialog
from screens.pages.dashboard import Dashboard
from screens.pages.run import RunScreen
from tests.screens import fakes
from tests.screens.console import Console, run_console

CACHE_DAY, LIFE_REGEN, REPORT = ("tab", "tab"), ("tab", "tab", "down"), ("tab", "tab", *["down"] * 4)
"""Keys that bring the cursor to a job's row while runs go on."""
HALF_A_DAY = datetime(2026, 1, 20, 6, 20, tzinfo=UTC)


def done(sentence: str) -> fakes.FakeService:
    """A service that executes every command, with this message."""
    service = fakes.FakeService()
    service.result = fakes.Done("resume", sentence=sentence)
    return service


def calls_of(verb: str, service: fakes.FakeService) -> list[tuple[object, ...]]:
    """The calls of a service with a verb."""
    return [call for call in service.calls if call[0] == verb]


# --- cancel -------------------------------------------------------------------------------------------------------


def test_cancel_shows_the_run_and_its_progress_and_defaults_to_no() -> None:
    async def scenario(console: Console) -> None:
        await console.press("down", "x")
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
        assert calls_of("cancel", console.service) == []
        await console.press("x", "left", "enter")
        await console.until(lambda: console.notice == "run 4812 of attempts.cache_day ends when its batches are done")
        assert calls_of("cancel", console.service) == [("cancel", 4812, False, "")]

    run_console(scenario, service=done("run 4812 of attempts.cache_day ends when its batches are done"))


def test_a_queued_run_can_be_cancelled() -> None:
    async def scenario(console: Console) -> None:
        await console.press("down", "down", "x")
        assert "Cancel run 4813" in console.text
        assert "Queued, no item is done." in console.text

    run_console(scenario)


def test_a_second_cancel_offers_force_and_defaults_to_no() -> None:
    async def scenario(console: Console) -> None:
        await console.press("down", "x")
        for words in ("Run 4812 is already being cancelled", "Requested by ben", "force in 7 s", "By force     [ No ]"):
            assert words in console.text
        assert "Cancel the run" not in console.text
        await console.press("enter", "x", "left", "enter")
        await console.until(lambda: calls_of("cancel", console.service) == [("cancel", 4812, True, "")])

    run_console(scenario, fakes.PAUSED)


def test_a_run_being_stopped_by_force_cannot_be_cancelled_again() -> None:
    late = replace(fakes.BUSY, live=(fakes.running(stop=msgspec.structs.replace(fakes.STOP, force_at=fakes.NOW)),))

    async def scenario(console: Console) -> None:
        await console.press("down", "x")
        assert isinstance(console.app.screen, Dashboard)
        assert console.notice == "run 4812 of attempts.cache_day is already being stopped by force, for ben"

    run_console(scenario, late)


def test_cancel_on_a_jobs_row_selects_its_running_run() -> None:
    queued = Progress(fakes.a_run(4815, state=RunState.QUEUED), "Asia/Kolkata", None, None)

    async def scenario(console: Console) -> None:
        await console.press(*CACHE_DAY[:1], "tab", "x")
        assert "Cancel run 4812" in console.text

    run_console(scenario, replace(fakes.BUSY, live=(queued, *fakes.BUSY.live)))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("down", "down", "down"), "run 4811 has already ended: it is partial"),
        (REPORT, "reporting.daily_report has no run to cancel"),
        ((), "choose a row with the arrows or tab first"),
    ],
)
def test_a_cancel_that_is_impossible_is_refused_at_once(keys: tuple[str, ...], words: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press(*keys, "x")
        assert isinstance(console.app.screen, Dashboard)
        assert console.notice == words

    run_console(scenario)


def test_a_run_outside_the_snapshot_is_opened_first() -> None:
    elsewhere = replace(fakes.QUIET, findings=(replace(fakes.FAILED, run=fakes.a_run(77)),))
    service = fakes.FakeService([replace(fakes.PAGE, progress=fakes.running(77))])

    async def scenario(console: Console) -> None:
        await console.press("tab", "tab", "tab", "x")
        assert isinstance(console.app.screen, RunScreen)
        assert console.notice == "press the key again on this page to cancel the run"
        await console.until(lambda: "RUNNING" in console.text)
        await console.press("x")
        assert "Cancel run 77" in console.text

    run_console(scenario, elsewhere, service)


def test_a_run_is_cancelled_from_its_page() -> None:
    service = fakes.FakeService([replace(fakes.PAGE, progress=fakes.running())])

    async def scenario(console: Console) -> None:
        await console.press("down", "enter")
        await console.until(lambda: "200 batches" in console.text)
        assert "x cancel" in console.text
        await console.press("x", "left", "enter")
        await console.until(lambda: calls_of("cancel", service) == [("cancel", 4812, False, "")])
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
    service.result = fakes.refused("run 4812 has already ended: it is succeeded")

    async def scenario(console: Console) -> None:
        await console.press("down", "x", "left", "enter")
        await console.until(lambda: console.notice == "refused: run 4812 has already ended: it is succeeded")
        service.error = UnknownRun(4812)
        await console.press("x", "left", "enter")
        await console.until(lambda: "run 4812 does not exist" in console.notice)

    run_console(scenario, service=service)


# --- pause --------------------------------------------------------------------------------------------------------


def test_two_keys_pause_a_job_for_12_hours() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN, "p")
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
        assert calls_of("pause", console.service) == [("pause", "game.life_regen", HALF_A_DAY, "")]

    run_console(scenario, service=done("game.life_regen is paused until 2026-01-20 06:20 UTC"))


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
    end = None if hours is None else fakes.NOW.replace(second=0) + timedelta(hours=hours)

    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN, "p", *keys)
        assert ("when it is resumed" in console.text) == (hours is None)
        await console.press("enter")
        await console.until(lambda: calls_of("pause", console.service) == [("pause", "game.life_regen", end, "")])

    run_console(scenario)


@pytest.mark.parametrize(("downs", "target"), [(0, "game.life_regen"), (1, "game"), (2, "all"), (7, "all")])
def test_arrows_choose_the_target(downs: int, target: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN, "p", *["down"] * downs, "enter")
        await console.until(lambda: calls_of("pause", console.service) == [("pause", target, HALF_A_DAY, "")])

    run_console(scenario)


def test_all_letters_are_typed_into_the_note() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN, "p", *"quit? hjkl x", "backspace", "backspace", *"12 ")
        assert "Note     > quit? hjkl12 _" in console.text
        console.app.post_message(events.Paste("ticket\n81\x1b[2J\u202e"))
        await console.pilot.pause()
        assert "quit? hjkl12 ticket 81[2J_" in console.text
        await console.press("enter")
        note = "quit? hjkl12 ticket 81[2J"
        await console.until(
            lambda: calls_of("pause", console.service) == [("pause", "game.life_regen", HALF_A_DAY, note)]
        )
        assert not console.app._exit

    run_console(scenario)


def test_a_long_note_shows_its_end_and_is_limited() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN, "p")
        console.app.post_message(events.Paste("日本語 " * 300 + "end"))
        await console.pilot.pause()
        assert "…" in console.text
        await console.press("enter")
        await console.until(lambda: calls_of("pause", console.service))
        note = calls_of("pause", console.service)[0][3]
        assert isinstance(note, str)
        assert NOTE_LENGTH - 1 <= len(note) <= NOTE_LENGTH

    run_console(scenario)


def test_the_pause_dialog_can_be_closed_without_pausing() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN, "p", "escape", "p", "tab", "enter", "p", "shift+tab", "enter")
        assert isinstance(console.app.screen, Dashboard)
        assert calls_of("pause", console.service) == []

    run_console(scenario)


def test_the_pause_dialog_shows_the_pause_that_it_replaces() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN, "p")
        assert "◫ game.life_regen is paused by ben until 23:00 UTC" in console.text
        assert "This pause replaces it." in console.text
        await console.press("down")
        assert "replaces it" not in console.text
        await console.press("escape", "down", "down", "down", "p", "down")
        assert "◫ reporting is paused by chen until resumed: ledger is moved" in console.text

    run_console(scenario, fakes.PAUSED)


def test_without_a_job_there_is_nothing_to_pause_or_resume() -> None:
    async def scenario(console: Console) -> None:
        for key in ("p", "u"):
            await console.press(key)
            assert isinstance(console.app.screen, Dashboard)
            assert console.notice == "choose a row with the arrows or tab first"

    run_console(scenario)


def test_a_finding_without_a_job_cannot_be_paused() -> None:
    async def scenario(console: Console) -> None:
        await console.press("tab", "tab", "tab", "down", "p")
        assert console.notice == "choose a row with the arrows or tab first"
        await console.press("down", "p")
        assert "▸reporting.daily_report" in console.text

    run_console(scenario, fakes.TROUBLE)


def test_the_job_of_a_run_can_be_paused_from_its_page() -> None:
    async def scenario(console: Console) -> None:
        await console.press("down", "enter", "p", "enter")
        await console.until(lambda: calls_of("pause", console.service))
        assert calls_of("pause", console.service)[0][1] == "attempts.cache_day"

    run_console(scenario)


# --- resume -------------------------------------------------------------------------------------------------------


def test_one_key_resumes_a_job() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN)
        assert "u resume" in console.text
        assert "p pause" not in console.text
        await console.press("u")
        assert isinstance(console.app.screen, Dashboard)
        await console.until(lambda: console.notice == "resumed game.life_regen")
        assert calls_of("resume", console.service) == [("resume", "game.life_regen")]

    run_console(scenario, fakes.PAUSED, done("resumed game.life_regen"))


def test_the_service_decides_whether_a_job_is_paused() -> None:
    service = fakes.FakeService()
    service.result = fakes.refused("game.life_regen is not paused")

    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN, "u")
        await console.until(lambda: console.notice == "refused: game.life_regen is not paused")

    run_console(scenario, service=service)


def test_a_job_paused_with_its_pack_is_resumed_with_its_pack() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*REPORT, "u")
        assert isinstance(console.app.screen, Confirm)
        for words in ("Resume all of reporting?", "with all of reporting by chen", "until resumed", "ledger is moved"):
            assert words in console.text
        await console.press("right", "enter")
        assert calls_of("resume", console.service) == []
        await console.press("u", "enter")
        await console.until(lambda: calls_of("resume", console.service) == [("resume", "reporting")])

    run_console(scenario, fakes.PAUSED)


def test_a_job_that_is_paused_twice_is_resumed_twice() -> None:
    twice = replace(fakes.PAUSED, pauses=(fakes.paused("game"), fakes.paused("game.life_regen", 9, number=2)))

    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN, "u")
        assert "Resume game.life_regen and all of game?" in console.text
        await console.press("enter")
        both = [("resume", "game.life_regen"), ("resume", "game")]
        await console.until(lambda: sorted(calls_of("resume", console.service)) == sorted(both))

    run_console(scenario, twice)


def test_a_pause_of_all_jobs_can_be_resumed_without_a_selected_job() -> None:
    everything = replace(fakes.BUSY, pauses=(fakes.paused("all", note="move to web3"),))

    async def scenario(console: Console) -> None:
        assert "◫ PAUSED  all jobs are paused until 23:00 UTC by ben" in console.text
        assert "u resume" in console.text.splitlines()[1]
        await console.press("u")
        assert "Resume all jobs?" in console.text
        assert "all jobs are paused by ben until 23:00 UTC: move to web3." in console.text
        await console.press("enter")
        await console.until(lambda: calls_of("resume", console.service) == [("resume", "all")])

    run_console(scenario, everything)


# --- pending commands ----------------------------------------------------------------------------------------------


def test_twenty_presses_of_trigger_start_one_run() -> None:
    service = fakes.FakeService()
    service.answering.clear()

    async def scenario(console: Console) -> None:
        notices: list[str] = []
        for _ in range(20):
            await console.press("t", "enter")
            notices.append(console.notice)
        assert calls_of("trigger", service) == [("trigger", "attempts.cache_day", None)]
        assert notices[0] == "requested: attempts.cache_day"
        assert all(notice.startswith("attempts.cache_day is already requested") for notice in notices[1:])
        service.answering.set()
        await console.until(lambda: "run 4900 started" in console.notice)
        await console.press("t", "enter")
        await console.until(lambda: len(calls_of("trigger", service)) == 2)

    run_console(scenario, service=service)


def test_twenty_presses_of_resume_send_one_command() -> None:
    service = fakes.FakeService()
    service.answering.clear()

    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN, *["u"] * 20)
        assert calls_of("resume", service) == [("resume", "game.life_regen")]
        assert console.notice.startswith("resume of game.life_regen is already requested")
        service.answering.set()

    run_console(scenario, fakes.PAUSED, service)


def test_a_pending_command_is_followed_until_its_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.commands.LEADER_SECONDS", 0.1)
    service = fakes.FakeService()
    service.result = None

    async def scenario(console: Console) -> None:
        await console.press(*LIFE_REGEN, "u")
        await console.until(lambda: "resume of game.life_regen: command 21 is still pending" in console.notice)
        await console.press("u")
        assert console.notice == ("resume of game.life_regen is already requested (command 21, still pending)")
        assert len(calls_of("resume", service)) == 1
        service.result = fakes.Done("resume", sentence="resumed game.life_regen")
        await console.until(lambda: console.notice == "resumed game.life_regen")

    run_console(scenario, fakes.PAUSED, service)


# --- viewers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "keys"),
    [
        ("trigger", ("t", "enter")),
        ("cancel", ("down", "x", "left", "enter")),
        ("retry", ("down", "down", "down", "r", "enter")),
        ("pause", (*LIFE_REGEN, "p", "enter")),
        ("resume", (*LIFE_REGEN, "u")),
    ],
)
def test_a_viewer_sees_all_keys_and_the_service_refuses_its_commands(verb: str, keys: tuple[str, ...]) -> None:
    service = fakes.FakeService()
    service.error = NotAllowed(verb)
    service.read_only = True

    async def scenario(console: Console) -> None:
        top = console.text.splitlines()[0]
        assert top.startswith(" staging  read-only  leading since")
        for key in ("t trigger", "b backfill", "r retry", "p pause", "? help", "^p find", "q quit"):
            assert key in console.text
        await console.press(*keys)
        await console.until(lambda: console.notice == f"{verb} is not allowed in read-only mode")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, service=service)


# --- the palette --------------------------------------------------------------------------------------------------


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
            "resume the job",
            "cancel run 4812 of attempts.cache_day",
            "cancel run 4814 of attempts.suggest",
            "pause reporting.daily_report",
            "pause all jobs",
            "resume game.life_regen",
            "resume all of reporting",
        ):
            assert name in names
        assert "resume attempts.cache_day" not in names

    run_console(scenario, fakes.PAUSED)


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

    run_console(scenario, fakes.PAUSED)


def test_without_jobs_pause_shows_a_notice() -> None:
    async def scenario(console: Console) -> None:
        await console.press("ctrl+p", *"pause all", "enter")
        assert "no job to pause" in console.notice

    run_console(scenario, fakes.EMPTY)


@pytest.mark.parametrize(
    ("snapshot", "keys"),
    [(fakes.BUSY, ()), (fakes.PAUSED, LIFE_REGEN), (fakes.BUSY, ("down", "enter")), (fakes.QUIET, ("down", "enter"))],
)
def test_the_footer_has_at_most_nine_keys_in_80_cells(snapshot: Snapshot, keys: tuple[str, ...]) -> None:
    many = fakes.partial(4811, counts=Counts(planned=10**6, ok=0, failed=10**5))
    service = fakes.FakeService([replace(fakes.PAGE, progress=replace(fakes.PAGE.progress, run=many))])

    async def scenario(console: Console) -> None:
        await console.press(*keys)
        await console.pilot.pause(0.1)
        page = console.app.front_page
        assert page is not None
        assert len(page.footer()) <= 9
        assert console.text.splitlines()[-1].endswith("q quit")

    run_console(scenario, snapshot, service)


def test_a_run_replaced_by_the_schedule_shows_the_reason() -> None:
    stop = Stop("schedule", fakes.NOW, fakes.NOW + timedelta(seconds=30), StopReason.REPLACED, run=4900)
    page = replace(fakes.PAGE, progress=fakes.running(stop=stop))

    async def scenario(console: Console) -> None:
        assert "being cancelled by schedule · by force in 30 s" in console.text
        await console.press("down", "enter")
        await console.until(lambda: "replaced by run 4900" in console.text)

    run_console(scenario, replace(fakes.BUSY, live=(fakes.running(stop=stop),)), fakes.FakeService([page]))
