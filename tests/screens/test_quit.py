"""Quitting while runs are running: the question, and the effect of each answer."""

from __future__ import annotations

import asyncio

import pytest

from opsconsole.authoring.run import RunState
from opsconsole.core.errors import NotAllowed, OpsconsoleError, Unavailable
from screens.dialogs.dialog import Confirm
from screens.dialogs.trigger import TriggerDialog
from screens.pages.dashboard import Dashboard
from screens.pages.run import RunScreen
from tests.screens import fakes, samples
from tests.screens.console import Console, run_console

RUN = samples.running().run
OTHER = samples.running(4820, job="reporting.daily_report").run
AWAITED = "quits when run 4812 of attempts.cache_day has ended"


def leading(*runs: object) -> fakes.FakeService:
    """A service whose process executes runs."""
    service = fakes.FakeService()
    service.local_runs = runs or (RUN,)  # type: ignore[assignment]
    return service


async def open_question(console: Console, key: str = "q") -> None:
    """Presses q and waits for the question."""
    await console.press(key)
    await console.until(lambda: isinstance(console.app.screen, Confirm) and "Quit the console?" in console.text)


async def press_button(console: Console, button: str) -> None:
    """Moves to a button and presses it."""
    for _ in range(4):
        if f"[ {button} ]" in console.text:
            break
        await console.press("left")
    assert f"[ {button} ]" in console.text
    await console.press("enter")


def test_q_quits_when_nothing_runs() -> None:
    async def scenario(console: Console) -> None:
        await console.press("q")
        await console.until(lambda: console.app._exit)

    run_console(scenario)


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
def test_quitting_lists_running_runs_and_defaults_to_staying(key: str) -> None:
    async def scenario(console: Console) -> None:
        await open_question(console, key)
        for words in (
            "2 runs are running in this process (staging):",
            "· run 4812 of attempts.cache_day 2026-01-19, 61% done",
            "· run 4820 of reporting.daily_report 2026-01-19, 61% done",
            "Wait       Hand over       Stop them     [ Stay ]",
        ):
            assert words in console.text
        await console.press("enter")
        assert isinstance(console.app.screen, Dashboard)
        assert not console.app._exit
        assert console.service.calls == []
        await open_question(console, key)
        await console.press("escape")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, service=leading(RUN, OTHER))


def test_of_many_runs_the_first_are_listed_and_the_rest_counted() -> None:
    async def scenario(console: Console) -> None:
        await open_question(console)
        assert "9 runs are running in this process" in console.text
        assert "· and 5 more" in console.text
        await press_button(console, "Wait")
        await console.until(lambda: "quits when 9 runs have ended" in console.text)
        console.service.local_runs = (RUN, OTHER)
        console.app._tick()
        await console.until(lambda: "quits when runs 4812, 4820 have ended" in console.text)

    run_console(scenario, service=leading(*(samples.running(4800 + i).run for i in range(9))))


def test_waiting_keeps_the_console_usable_and_quits_when_the_run_ends() -> None:
    async def scenario(console: Console) -> None:
        await open_question(console)
        await press_button(console, "Wait")
        await console.until(lambda: AWAITED in console.text)
        assert "q shows the choices" in console.text
        await console.press("home", "enter")
        assert isinstance(console.app.screen, RunScreen)
        assert AWAITED in console.text
        await console.press("escape", "t")
        assert isinstance(console.app.screen, TriggerDialog)
        await console.press("enter")
        await console.until(lambda: "attempts.cache_day: run 4900 started" in console.text)
        assert "quits after run 4812\n" in console.text
        assert not console.app._exit
        console.service.local_runs = ()
        await console.until(lambda: console.app._exit)

    run_console(scenario, service=leading())


def test_q_asks_again_while_waiting_and_stay_ends_the_wait() -> None:
    async def scenario(console: Console) -> None:
        await open_question(console)
        await press_button(console, "Wait")
        await console.until(lambda: AWAITED in console.text)
        await open_question(console)
        await console.press("escape")
        assert AWAITED in console.text
        await open_question(console)
        await press_button(console, "Keep waiting")
        assert AWAITED in console.text
        await open_question(console)
        await press_button(console, "Stay")
        assert AWAITED not in console.text
        assert console.notice == "the console stays open"
        console.service.local_runs = ()
        console.app._tick()
        await asyncio.sleep(0.1)
        assert not console.app._exit

    run_console(scenario, service=leading())


def test_an_unreachable_store_does_not_end_the_wait() -> None:
    service = leading()

    async def scenario(console: Console) -> None:
        await open_question(console)
        await press_button(console, "Wait")
        polls: list[bool] = []

        def unreachable() -> tuple[object, ...]:
            polls.append(True)
            raise Unavailable("store", "database is locked")

        service.runs_here = unreachable  # type: ignore[method-assign, assignment]
        console.app._tick()
        await console.until(lambda: polls)
        await console.pilot.pause()
        assert not console.app._exit
        assert AWAITED in console.text

    run_console(scenario, service=service)


def test_hand_over_starts_another_process_and_quits() -> None:
    async def scenario(console: Console) -> None:
        await open_question(console)
        await press_button(console, "Hand over")
        await console.until(lambda: console.app._exit)
        assert console.service.calls == [("hand_over",)]

    run_console(scenario, service=leading())


def test_a_failed_hand_over_is_shown_and_the_console_stays_open() -> None:
    service = leading()
    service.hand_over_error = OpsconsoleError("no process could be started: out of memory")

    async def scenario(console: Console) -> None:
        await open_question(console)
        await press_button(console, "Hand over")
        await console.until(lambda: console.notice == "no process could be started: out of memory")
        assert not console.app._exit

    run_console(scenario, service=service)


def test_stop_cancels_every_run_and_quits_when_they_have_ended() -> None:
    async def scenario(console: Console) -> None:
        await open_question(console)
        await press_button(console, "Stop them")
        await console.until(lambda: "quits when runs 4812, 4820 have ended" in console.text)
        assert [each[:3] for each in console.service.calls] == [("cancel", 4812, False), ("cancel", 4820, False)]
        assert not console.app._exit
        console.service.local_runs = ()
        await console.until(lambda: console.app._exit)

    run_console(scenario, service=leading(RUN, OTHER))


def test_stop_also_cancels_a_run_that_started_after_the_question() -> None:
    async def scenario(console: Console) -> None:
        await open_question(console)
        console.service.local_runs = (OTHER,)  # what the question lists has ended
        await press_button(console, "Stop them")
        await console.until(lambda: ("cancel", OTHER.id, False) in [each[:3] for each in console.service.calls])
        console.service.local_runs = ()
        await console.until(lambda: console.app._exit)
        assert [each[1] for each in console.service.calls] == [RUN.id, OTHER.id], "each once"

    run_console(scenario, service=leading(RUN))


def test_the_demo_offers_no_process_that_takes_over() -> None:
    service = leading()
    service.can_hand_over = False

    async def scenario(console: Console) -> None:
        await open_question(console)
        assert "Wait" in console.text
        assert "Hand over" not in console.text
        await console.press("enter")
        assert console.app.is_running, "Stay is chosen"
        assert not console.app._exit

    run_console(scenario, service=service)


def test_a_viewer_cannot_stop_runs() -> None:
    service = leading()
    service.error = NotAllowed("cancel")

    async def scenario(console: Console) -> None:
        await open_question(console)
        await press_button(console, "Stop them")
        await console.until(lambda: console.notice == NotAllowed("cancel").sentence)
        assert AWAITED not in console.text
        assert not console.app._exit

    run_console(scenario, service=service)


def test_a_store_that_hangs_does_not_prevent_quitting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.quit.STORE_SECONDS", 0.05)
    service = leading()
    service.answering.clear()

    async def scenario(console: Console) -> None:
        await open_question(console)
        assert "The runs of this process are unknown: the store is unreachable" in console.text
        await press_button(console, "Quit")
        await console.until(lambda: console.app._exit)
        service.answering.set()

    run_console(scenario, service=service)


def test_quitting_closes_an_open_dialog_first() -> None:
    async def scenario(console: Console) -> None:
        await console.press("t", "q")
        assert isinstance(console.app.screen, TriggerDialog)
        await open_question(console, "ctrl+c")
        await console.press("escape")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, service=leading())


def test_quitting_also_waits_for_runs_that_start_later() -> None:
    async def scenario(console: Console) -> None:
        await open_question(console)
        await press_button(console, "Wait")
        console.service.local_runs = (OTHER,)
        console.app._tick()
        await console.until(lambda: "quits when run 4820 of reporting.daily_report has ended" in console.text)
        assert not console.app._exit

    run_console(scenario, service=leading(samples.running().run))


def test_an_interrupted_run_does_not_prevent_quitting() -> None:
    """The service reports what this process would interrupt; a viewer quits at once, even if others have runs."""

    async def scenario(console: Console) -> None:
        await console.press("q")
        await console.until(lambda: console.app._exit)

    assert samples.TROUBLE.live[0].run.state is RunState.INTERRUPTED
    run_console(scenario, samples.TROUBLE)
