"""Cancel, pause and resume: what the keys ask, what the service is told, and what is said of it."""

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
from tests.screens.console import Opened, trying

CACHE_DAY, LIFE_REGEN, REPORT = ("tab", "tab"), ("tab", "tab", "down"), ("tab", "tab", *["down"] * 4)
"""Keys that bring the cursor to a job's row while runs go on."""
HALF_A_DAY = datetime(2026, 1, 20, 6, 20, tzinfo=UTC)


def done(sentence: str) -> fakes.FakeService:
    """A service that carries out everything, and says so in these words."""
    service = fakes.FakeService()
    service.result = fakes.Done("resume", sentence=sentence)
    return service


def of(verb: str, service: fakes.FakeService) -> list[tuple[object, ...]]:
    """What a service was asked with a verb."""
    return [asked for asked in service.calls if asked[0] == verb]


# --- cancel -------------------------------------------------------------------------------------------------------


def test_cancel_names_the_run_and_how_far_it_is_and_no_is_the_default() -> None:
    async def look(console: Opened) -> None:
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
        assert of("cancel", console.service) == []
        await console.press("x", "left", "enter")
        await console.until(lambda: console.notice == "run 4812 of attempts.cache_day ends when its batches are done")
        assert of("cancel", console.service) == [("cancel", 4812, False, "")]

    trying(look, service=done("run 4812 of attempts.cache_day ends when its batches are done"))


def test_a_run_that_has_not_begun_can_be_cancelled_too() -> None:
    async def look(console: Opened) -> None:
        await console.press("down", "down", "x")
        assert "Cancel run 4813" in console.text
        assert "Queued, no item is done." in console.text

    trying(look)


def test_by_force_is_a_second_choice_and_no_the_default_there_too() -> None:
    async def look(console: Opened) -> None:
        await console.press("down", "x")
        for words in ("Run 4812 is already being cancelled", "Requested by ben", "force in 7 s", "By force     [ No ]"):
            assert words in console.text
        assert "Cancel the run" not in console.text
        await console.press("enter", "x", "left", "enter")
        await console.until(lambda: of("cancel", console.service) == [("cancel", 4812, True, "")])

    trying(look, fakes.HELD)


def test_what_is_ended_by_force_already_is_said() -> None:
    late = replace(fakes.BUSY, live=(fakes.running(stop=msgspec.structs.replace(fakes.STOP, force_at=fakes.NOW)),))

    async def look(console: Opened) -> None:
        await console.press("down", "x")
        assert isinstance(console.app.screen, Dashboard)
        assert console.notice == "run 4812 of attempts.cache_day is already being stopped by force, for ben"

    trying(look, late)


def test_on_a_jobs_row_the_run_that_goes_on_is_meant() -> None:
    queued = Progress(fakes.a_run(4815, state=RunState.QUEUED), "Asia/Kolkata", None, None)

    async def look(console: Opened) -> None:
        await console.press(*CACHE_DAY[:1], "tab", "x")
        assert "Cancel run 4812" in console.text

    trying(look, replace(fakes.BUSY, live=(queued, *fakes.BUSY.live)))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("down", "down", "down"), "run 4811 has already ended: it is partial"),
        (REPORT, "reporting.daily_report has no run to cancel"),
        ((), "choose a row with the arrows or tab first"),
    ],
)
def test_what_cannot_be_cancelled_is_said_at_once(keys: tuple[str, ...], words: str) -> None:
    async def look(console: Opened) -> None:
        await console.press(*keys, "x")
        assert isinstance(console.app.screen, Dashboard)
        assert console.notice == words

    trying(look)


def test_a_run_that_is_known_only_by_its_number_is_opened_first() -> None:
    elsewhere = replace(fakes.QUIET, findings=(replace(fakes.FAILED, run=fakes.a_run(77)),))
    service = fakes.FakeService([replace(fakes.PAGE, progress=fakes.running(77))])

    async def look(console: Opened) -> None:
        await console.press("tab", "tab", "tab", "x")
        assert isinstance(console.app.screen, RunScreen)
        assert console.notice == "press the key again on this page to cancel the run"
        await console.until(lambda: "RUNNING" in console.text)
        await console.press("x")
        assert "Cancel run 77" in console.text

    trying(look, elsewhere, service)


def test_a_run_is_cancelled_from_its_page() -> None:
    service = fakes.FakeService([replace(fakes.PAGE, progress=fakes.running())])

    async def look(console: Opened) -> None:
        await console.press("down", "enter")
        await console.until(lambda: "200 batches" in console.text)
        assert "x cancel" in console.text
        await console.press("x", "left", "enter")
        await console.until(lambda: of("cancel", service) == [("cancel", 4812, False, "")])
        assert isinstance(console.app.screen, RunScreen)

    trying(look, service=service)


def test_a_page_that_could_not_be_read_has_nothing_to_cancel() -> None:
    async def look(console: Opened) -> None:
        console.app.open_run(99)
        await console.until(lambda: "run 99 does not exist" in console.text)
        await console.press("x")
        assert console.notice == "nothing to cancel: run 99 is not loaded"
        await console.press("p", "u")
        assert console.notice == "choose a row with the arrows or tab first"

    trying(look)


def test_a_run_that_ended_meanwhile_is_refused_in_words() -> None:
    service = fakes.FakeService()
    service.result = fakes.refused("run 4812 has already ended: it is succeeded")

    async def look(console: Opened) -> None:
        await console.press("down", "x", "left", "enter")
        await console.until(lambda: console.notice == "refused: run 4812 has already ended: it is succeeded")
        service.error = UnknownRun(4812)
        await console.press("x", "left", "enter")
        await console.until(lambda: "run 4812 does not exist" in console.notice)

    trying(look, service=service)


# --- pause --------------------------------------------------------------------------------------------------------


def test_two_keys_pause_a_job_for_half_a_day() -> None:
    async def look(console: Opened) -> None:
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
        assert of("pause", console.service) == [("pause", "game.life_regen", HALF_A_DAY, "")]

    trying(look, service=done("game.life_regen is paused until 2026-01-20 06:20 UTC"))


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
def test_arrows_choose_for_how_long(keys: tuple[str, ...], hours: int | None) -> None:
    end = None if hours is None else fakes.NOW.replace(second=0) + timedelta(hours=hours)

    async def look(console: Opened) -> None:
        await console.press(*LIFE_REGEN, "p", *keys)
        assert ("when it is resumed" in console.text) == (hours is None)
        await console.press("enter")
        await console.until(lambda: of("pause", console.service) == [("pause", "game.life_regen", end, "")])

    trying(look)


@pytest.mark.parametrize(("downs", "target"), [(0, "game.life_regen"), (1, "game"), (2, "all"), (7, "all")])
def test_arrows_choose_what_is_paused(downs: int, target: str) -> None:
    async def look(console: Opened) -> None:
        await console.press(*LIFE_REGEN, "p", *["down"] * downs, "enter")
        await console.until(lambda: of("pause", console.service) == [("pause", target, HALF_A_DAY, "")])

    trying(look)


def test_every_letter_belongs_to_the_note() -> None:
    async def look(console: Opened) -> None:
        await console.press(*LIFE_REGEN, "p", *"quit? hjkl x", "backspace", "backspace", *"12 ")
        assert "Note     > quit? hjkl12 _" in console.text
        console.app.post_message(events.Paste("ticket\n81\x1b[2J\u202e"))
        await console.pilot.pause()
        assert "quit? hjkl12 ticket 81[2J_" in console.text
        await console.press("enter")
        note = "quit? hjkl12 ticket 81[2J"
        await console.until(lambda: of("pause", console.service) == [("pause", "game.life_regen", HALF_A_DAY, note)])
        assert not console.app._exit

    trying(look)


def test_a_long_note_shows_its_end_and_has_one() -> None:
    async def look(console: Opened) -> None:
        await console.press(*LIFE_REGEN, "p")
        console.app.post_message(events.Paste("日本語 " * 300 + "end"))
        await console.pilot.pause()
        assert "…" in console.text
        await console.press("enter")
        await console.until(lambda: of("pause", console.service))
        note = of("pause", console.service)[0][3]
        assert isinstance(note, str)
        assert NOTE_LENGTH - 1 <= len(note) <= NOTE_LENGTH

    trying(look)


def test_the_pause_dialog_can_be_left() -> None:
    async def look(console: Opened) -> None:
        await console.press(*LIFE_REGEN, "p", "escape", "p", "tab", "enter", "p", "shift+tab", "enter")
        assert isinstance(console.app.screen, Dashboard)
        assert of("pause", console.service) == []

    trying(look)


def test_what_is_paused_already_is_said_where_it_would_be_paused_again() -> None:
    async def look(console: Opened) -> None:
        await console.press(*LIFE_REGEN, "p")
        assert "◫ game.life_regen is paused by ben until 23:00 UTC" in console.text
        assert "This pause replaces it." in console.text
        await console.press("down")
        assert "replaces it" not in console.text
        await console.press("escape", "down", "down", "down", "p", "down")
        assert "◫ reporting is paused by chen until resumed: ledger is moved" in console.text

    trying(look, fakes.HELD)


def test_without_a_job_there_is_nothing_to_pause_or_resume() -> None:
    async def look(console: Opened) -> None:
        for key in ("p", "u"):
            await console.press(key)
            assert isinstance(console.app.screen, Dashboard)
            assert console.notice == "choose a row with the arrows or tab first"

    trying(look)


def test_a_finding_that_is_about_no_job_is_not_paused() -> None:
    async def look(console: Opened) -> None:
        await console.press("tab", "tab", "tab", "down", "p")
        assert console.notice == "choose a row with the arrows or tab first"
        await console.press("down", "p")
        assert "▸reporting.daily_report" in console.text

    trying(look, fakes.TROUBLE)


def test_the_job_of_a_run_is_paused_from_its_page() -> None:
    async def look(console: Opened) -> None:
        await console.press("down", "enter", "p", "enter")
        await console.until(lambda: of("pause", console.service))
        assert of("pause", console.service)[0][1] == "attempts.cache_day"

    trying(look)


# --- resume -------------------------------------------------------------------------------------------------------


def test_one_key_resumes_a_job() -> None:
    async def look(console: Opened) -> None:
        await console.press(*LIFE_REGEN)
        assert "u resume" in console.text
        assert "p pause" not in console.text
        await console.press("u")
        assert isinstance(console.app.screen, Dashboard)
        await console.until(lambda: console.notice == "game.life_regen goes on")
        assert of("resume", console.service) == [("resume", "game.life_regen")]

    trying(look, fakes.HELD, done("game.life_regen goes on"))


def test_whether_a_job_is_paused_is_for_the_desk_to_say() -> None:
    service = fakes.FakeService()
    service.result = fakes.refused("game.life_regen is not paused")

    async def look(console: Opened) -> None:
        await console.press(*LIFE_REGEN, "u")
        await console.until(lambda: console.notice == "refused: game.life_regen is not paused")

    trying(look, service=service)


def test_a_job_that_is_paused_with_its_pack_goes_on_only_with_it() -> None:
    async def look(console: Opened) -> None:
        await console.press(*REPORT, "u")
        assert isinstance(console.app.screen, Confirm)
        for words in ("Resume all of reporting?", "with all of reporting by chen", "until resumed", "ledger is moved"):
            assert words in console.text
        await console.press("right", "enter")
        assert of("resume", console.service) == []
        await console.press("u", "enter")
        await console.until(lambda: of("resume", console.service) == [("resume", "reporting")])

    trying(look, fakes.HELD)


def test_a_job_that_is_paused_twice_is_resumed_twice() -> None:
    twice = replace(fakes.HELD, pauses=(fakes.paused("game"), fakes.paused("game.life_regen", 9, number=2)))

    async def look(console: Opened) -> None:
        await console.press(*LIFE_REGEN, "u")
        assert "Resume game.life_regen and all of game?" in console.text
        await console.press("enter")
        both = [("resume", "game.life_regen"), ("resume", "game")]
        await console.until(lambda: sorted(of("resume", console.service)) == sorted(both))

    trying(look, twice)


def test_everything_is_resumed_from_anywhere() -> None:
    everything = replace(fakes.BUSY, pauses=(fakes.paused("all", note="move to web3"),))

    async def look(console: Opened) -> None:
        assert "◫ PAUSED  all jobs are paused until 23:00 UTC by ben" in console.text
        assert "u resume" in console.text.splitlines()[1]
        await console.press("u")
        assert "Resume all jobs?" in console.text
        assert "all jobs are paused by ben until 23:00 UTC: move to web3." in console.text
        await console.press("enter")
        await console.until(lambda: of("resume", console.service) == [("resume", "all")])

    trying(look, everything)


# --- asked for already --------------------------------------------------------------------------------------------


def test_a_trigger_pressed_twenty_times_is_one_run_and_notices() -> None:
    service = fakes.FakeService()
    service.answering.clear()

    async def look(console: Opened) -> None:
        said: list[str] = []
        for _ in range(20):
            await console.press("t", "enter")
            said.append(console.notice)
        assert of("trigger", service) == [("trigger", "attempts.cache_day", None)]
        assert said[0] == "requested: attempts.cache_day"
        assert all(told.startswith("attempts.cache_day is already requested") for told in said[1:])
        service.answering.set()
        await console.until(lambda: "run 4900 started" in console.notice)
        await console.press("t", "enter")
        await console.until(lambda: len(of("trigger", service)) == 2)

    trying(look, service=service)


def test_a_resume_pressed_twenty_times_is_one_command() -> None:
    service = fakes.FakeService()
    service.answering.clear()

    async def look(console: Opened) -> None:
        await console.press(*LIFE_REGEN, *["u"] * 20)
        assert of("resume", service) == [("resume", "game.life_regen")]
        assert console.notice.startswith("resume of game.life_regen is already requested")
        service.answering.set()

    trying(look, fakes.HELD, service)


def test_what_is_not_carried_out_yet_is_followed_until_it_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.commands.LEADER_SECONDS", 0.1)
    service = fakes.FakeService()
    service.result = None

    async def look(console: Opened) -> None:
        await console.press(*LIFE_REGEN, "u")
        await console.until(lambda: "resume of game.life_regen: command 21 is still pending" in console.notice)
        await console.press("u")
        assert console.notice == ("resume of game.life_regen is already requested (command 21, still pending)")
        assert len(of("resume", service)) == 1
        service.result = fakes.Done("resume", sentence="game.life_regen goes on")
        await console.until(lambda: console.notice == "game.life_regen goes on")

    trying(look, fakes.HELD, service)


# --- who may only look --------------------------------------------------------------------------------------------


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
def test_whoever_may_only_look_sees_every_key_and_is_refused_in_the_desks_words(
    verb: str, keys: tuple[str, ...]
) -> None:
    service = fakes.FakeService()
    service.error = NotAllowed(verb)
    service.read_only = True

    async def look(console: Opened) -> None:
        top = console.text.splitlines()[0]
        assert top.startswith(" staging  read-only  leading since")
        for key in ("t trigger", "b backfill", "r retry", "p pause", "? help", "^p find", "q quit"):
            assert key in console.text
        await console.press(*keys)
        await console.until(lambda: console.notice == f"{verb} is not allowed in read-only mode")
        assert isinstance(console.app.screen, Dashboard)

    trying(look, service=service)


# --- the palette --------------------------------------------------------------------------------------------------


def commands(console: Opened) -> list[str]:
    """What the palette in front lists."""
    return [command.name for command in console.app.screen._commands]  # type: ignore[attr-defined]


def test_the_palette_lists_what_can_be_cancelled_paused_and_resumed() -> None:
    async def look(console: Opened) -> None:
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

    trying(look, fakes.HELD)


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("resume all of rep", ("resume", "reporting")),
        ("pause all", ("pause", "all", HALF_A_DAY, "")),
        ("pause daily", ("pause", "reporting.daily_report", HALF_A_DAY, "")),
    ],
)
def test_what_the_palette_finds_is_done(typed: str, asked: tuple[object, ...]) -> None:
    async def look(console: Opened) -> None:
        await console.press("ctrl+p", *typed, "enter")
        if isinstance(console.app.screen, PauseDialog):
            await console.press("enter")
        await console.until(lambda: asked in console.service.calls)

    trying(look, fakes.HELD)


def test_with_no_job_there_is_nothing_to_pause() -> None:
    async def look(console: Opened) -> None:
        await console.press("ctrl+p", *"pause all", "enter")
        assert "no job to pause" in console.notice

    trying(look, fakes.EMPTY)


@pytest.mark.parametrize(
    ("snapshot", "keys"),
    [(fakes.BUSY, ()), (fakes.HELD, LIFE_REGEN), (fakes.BUSY, ("down", "enter")), (fakes.QUIET, ("down", "enter"))],
)
def test_the_footer_names_at_most_nine_keys_in_eighty_cells(snapshot: Snapshot, keys: tuple[str, ...]) -> None:
    many = fakes.partial(4811, counts=Counts(planned=10**6, ok=0, failed=10**5))
    service = fakes.FakeService([replace(fakes.PAGE, progress=replace(fakes.PAGE.progress, run=many))])

    async def look(console: Opened) -> None:
        await console.press(*keys)
        await console.pilot.pause(0.1)
        page = console.app.front_page
        assert page is not None
        assert len(page.footer()) <= 9
        assert console.text.splitlines()[-1].endswith("q quit")

    trying(look, snapshot, service)


def test_a_run_that_the_schedule_replaces_says_so() -> None:
    stop = Stop("schedule", fakes.NOW, fakes.NOW + timedelta(seconds=30), StopReason.REPLACED, run=4900)
    page = replace(fakes.PAGE, progress=fakes.running(stop=stop))

    async def look(console: Opened) -> None:
        assert "being cancelled by schedule · by force in 30 s" in console.text
        await console.press("down", "enter")
        await console.until(lambda: "replaced by run 4900" in console.text)

    trying(look, replace(fakes.BUSY, live=(fakes.running(stop=stop),)), fakes.FakeService([page]))
