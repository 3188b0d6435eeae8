"""The console is drawn before its service is open, shows what it waits for, and reads keys all the time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from opsconsole.core.errors import BadSettings
from screens.app import ConsoleApp
from screens.opening import BackgroundOpening, ClosedService, Report, Show, StillOpening
from screens.service import Service
from tests.screens import fakes, samples
from tests.screens.console import Console
from tests.waiting import PATIENCE_SECONDS

PANELS = ("Jobs", "Running", "Redis")


class Slow:
    """A service that is opened in steps: each waits until the test lets it go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.service = fakes.FakeService()
        self.opened, self.engine = threading.Event(), threading.Event()
        self.is_closed = False
        self._error = error

    @contextmanager
    def __call__(self, report: Report, show: Show) -> Iterator[None]:
        report("opening the store")
        assert self.opened.wait(PATIENCE_SECONDS)
        if self._error is not None:
            raise self._error
        show(self.service)
        report("checking the store")
        assert self.engine.wait(PATIENCE_SECONDS)
        yield
        self.is_closed = True


def run(slow: Slow, scenario: Callable[[Console], Awaitable[None]]) -> BackgroundOpening:
    """Opens a console, and closes it if the scenario does not."""
    opening = BackgroundOpening(slow, read_only=False)

    async def play() -> None:
        app = ConsoleApp(ClosedService(read_only=False), now=lambda: samples.NOW, opening=opening)
        async with app.run_test(size=(120, 40)) as pilot:
            await scenario(Console(app, slow.service, pilot))

    asyncio.run(play())
    return opening


def test_panels_are_named_before_the_service_is_open_and_filled_as_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.opening.DRAW_SECONDS", PATIENCE_SECONDS)
    slow = Slow()

    async def scenario(console: Console) -> None:
        await console.until(lambda: "opening the store" in console.text)
        await console.until(lambda: all(name in console.text for name in PANELS))
        assert "no leader" not in console.text
        assert "store ok" not in console.text
        assert "no problems" not in console.text
        await console.press("7")
        await console.until(lambda: "still starting" in console.text)
        await console.press("escape")
        slow.opened.set()
        await console.until(lambda: slow.service.is_watched)
        assert "checking the store" not in console.text, "it waits until the panels are drawn"
        console.app.show(samples.BUSY)
        await console.until(lambda: samples.BUSY.jobs[0].name in console.text)
        await console.until(lambda: "checking the store" in console.text)
        assert slow.service.presence == []
        slow.engine.set()
        await console.until(lambda: not console.app.step)
        await console.until(lambda: slow.service.presence)
        assert "checking the store" not in console.text

    opening = run(slow, scenario)
    assert not slow.is_closed
    opening.close()
    assert slow.is_closed


def test_a_console_can_be_quit_while_its_service_is_opened() -> None:
    slow = Slow()

    async def scenario(console: Console) -> None:
        await console.until(lambda: "opening the store" in console.text)
        await console.press("q")
        await console.until(lambda: not console.app.is_running)

    opening = run(slow, scenario)
    slow.opened.set()
    slow.engine.set()
    opening.close()
    assert slow.is_closed


def test_an_error_closes_the_console_and_is_raised_after_that() -> None:
    slow = Slow(BadSettings(["the store is damaged"]))

    async def scenario(console: Console) -> None:
        slow.opened.set()
        await console.until(lambda: not console.app.is_running)

    opening = run(slow, scenario)
    with pytest.raises(BadSettings, match="the store is damaged"):
        opening.close()


@pytest.mark.parametrize("part", ["queries", "history", "cache", "audit", "commands", "backfills", "alerts"])
def test_nothing_can_be_done_before_the_service_is_open(part: str) -> None:
    service: Service = ClosedService(read_only=True)

    assert (service.read_only, service.runs_here()) == (True, ())
    with pytest.raises(StillOpening, match="still starting"):
        getattr(service, part)
    with pytest.raises(StillOpening):
        service.hand_over()
