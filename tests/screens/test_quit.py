"""Quitting: what is asked while runs go on, and what comes of each answer."""

from __future__ import annotations

import asyncio

import pytest

from opsconsole.authoring.run import RunState
from opsconsole.core.errors import NotAllowed, OpsconsoleError, Unavailable
from screens.dialogs.dialog import Confirm
from screens.dialogs.trigger import TriggerDialog
from screens.pages.dashboard import Dashboard
from screens.pages.run import RunScreen
from tests.screens import fakes
from tests.screens.console import Opened, trying

RUN = fakes.running().run
OTHER = fakes.running(4820, job="reporting.daily_report").run
AWAITED = "quits when run 4812 of attempts.cache_day has ended"


def leading(*runs: object) -> fakes.FakeService:
    """A service whose process has runs going."""
    service = fakes.FakeService()
    service.local_runs = runs or (RUN,)  # type: ignore[assignment]
    return service


async def asked(console: Opened, key: str = "q") -> None:
    """Presses q and waits for the question."""
    await console.press(key)
    await console.until(lambda: isinstance(console.app.screen, Confirm) and "Quit the console?" in console.text)


async def answered(console: Opened, button: str) -> None:
    """Moves to a button and presses it."""
    for _ in range(4):
        if f"[ {button} ]" in console.text:
            break
        await console.press("left")
    assert f"[ {button} ]" in console.text
    await console.press("enter")


def test_nothing_runs_so_q_quits() -> None:
    async def look(console: Opened) -> None:
        await console.press("q")
        await console.until(lambda: console.app._exit)

    trying(look)


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
def test_quitting_over_runs_names_them_and_staying_is_the_default(key: str) -> None:
    async def look(console: Opened) -> None:
        await asked(console, key)
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
        await asked(console, key)
        await console.press("escape")
        assert isinstance(console.app.screen, Dashboard)

    trying(look, service=leading(RUN, OTHER))


def test_of_many_runs_the_first_are_named_and_the_rest_are_counted() -> None:
    async def look(console: Opened) -> None:
        await asked(console)
        assert "9 runs are running in this process" in console.text
        assert "· and 5 more" in console.text
        await answered(console, "Wait")
        await console.until(lambda: "quits when 9 runs have ended" in console.text)
        console.service.local_runs = (RUN, OTHER)
        console.app._tick()
        await console.until(lambda: "quits when runs 4812, 4820 have ended" in console.text)

    trying(look, service=leading(*(fakes.running(4800 + i).run for i in range(9))))


def test_whoever_waits_can_go_on_working_and_leaves_when_the_run_has_ended() -> None:
    async def look(console: Opened) -> None:
        await asked(console)
        await answered(console, "Wait")
        await console.until(lambda: AWAITED in console.text)
        assert "waiting; q asks again" in console.text
        await console.press("down", "enter")
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

    trying(look, service=leading())


def test_q_asks_again_and_whoever_stays_waits_no_more() -> None:
    async def look(console: Opened) -> None:
        await asked(console)
        await answered(console, "Wait")
        await console.until(lambda: AWAITED in console.text)
        await asked(console)
        await console.press("escape")
        assert AWAITED in console.text
        await asked(console)
        await answered(console, "Keep waiting")
        assert AWAITED in console.text
        await asked(console)
        await answered(console, "Stay")
        assert AWAITED not in console.text
        assert console.notice == "the console stays open"
        console.service.local_runs = ()
        console.app._tick()
        await asyncio.sleep(0.1)
        assert not console.app._exit

    trying(look, service=leading())


def test_a_store_that_goes_away_while_it_waits_ends_nothing() -> None:
    service = leading()

    async def look(console: Opened) -> None:
        await asked(console)
        await answered(console, "Wait")
        looked: list[bool] = []

        def away() -> tuple[object, ...]:
            looked.append(True)
            raise Unavailable("store", "database is locked")

        service.runs_here = away  # type: ignore[method-assign, assignment]
        console.app._tick()
        await console.until(lambda: looked)
        await console.pilot.pause()
        assert not console.app._exit
        assert AWAITED in console.text

    trying(look, service=service)


def test_handing_over_starts_another_process_and_leaves() -> None:
    async def look(console: Opened) -> None:
        await asked(console)
        await answered(console, "Hand over")
        await console.until(lambda: console.app._exit)
        assert console.service.calls == [("hand_over",)]

    trying(look, service=leading())


def test_what_cannot_be_handed_over_is_said_and_the_console_stays() -> None:
    service = leading()
    service.hand_over_error = OpsconsoleError("no process could be started: out of memory")

    async def look(console: Opened) -> None:
        await asked(console)
        await answered(console, "Hand over")
        await console.until(lambda: console.notice == "no process could be started: out of memory")
        assert not console.app._exit

    trying(look, service=service)


def test_stopping_cancels_every_run_and_leaves_when_they_have_ended() -> None:
    async def look(console: Opened) -> None:
        await asked(console)
        await answered(console, "Stop them")
        await console.until(lambda: "quits when runs 4812, 4820 have ended" in console.text)
        assert [each[:3] for each in console.service.calls] == [("cancel", 4812, False), ("cancel", 4820, False)]
        assert not console.app._exit
        console.service.local_runs = ()
        await console.until(lambda: console.app._exit)

    trying(look, service=leading(RUN, OTHER))


def test_whoever_may_only_look_cannot_stop_them() -> None:
    service = leading()
    service.error = NotAllowed("cancel")

    async def look(console: Opened) -> None:
        await asked(console)
        await answered(console, "Stop them")
        await console.until(lambda: console.notice == NotAllowed("cancel").sentence)
        assert AWAITED not in console.text
        assert not console.app._exit

    trying(look, service=service)


def test_a_store_that_hangs_does_not_keep_anyone_from_quitting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.quit.STORE_SECONDS", 0.05)
    service = leading()
    service.answering.clear()

    async def look(console: Opened) -> None:
        await asked(console)
        assert "The runs of this process are unknown: the store is unreachable" in console.text
        await answered(console, "Quit")
        await console.until(lambda: console.app._exit)
        service.answering.set()

    trying(look, service=service)


def test_quitting_over_a_dialog_closes_that_first() -> None:
    async def look(console: Opened) -> None:
        await console.press("t", "q")
        assert isinstance(console.app.screen, TriggerDialog)
        await asked(console, "ctrl+c")
        await console.press("escape")
        assert isinstance(console.app.screen, Dashboard)

    trying(look, service=leading())


def test_a_run_that_begins_meanwhile_is_waited_for_too() -> None:
    async def look(console: Opened) -> None:
        await asked(console)
        await answered(console, "Wait")
        console.service.local_runs = (OTHER,)
        console.app._tick()
        await console.until(lambda: "quits when run 4820 of reporting.daily_report has ended" in console.text)
        assert not console.app._exit

    trying(look, service=leading(fakes.running().run))


def test_an_interrupted_run_is_no_reason_to_stay() -> None:
    """The service says what this process would interrupt; whoever only looks quits at once, whatever runs elsewhere."""

    async def look(console: Opened) -> None:
        await console.press("q")
        await console.until(lambda: console.app._exit)

    assert fakes.TROUBLE.live[0].run.state is RunState.INTERRUPTED
    trying(look, fakes.TROUBLE)
