"""Opens the console without a terminal and reads what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from textual.pilot import Pilot

from opsconsole.service.snapshot import Snapshot
from screens.app import ConsoleApp
from screens.widgets.paint import Lines
from tests.screens import fakes
from tests.waiting import PATIENCE_SECONDS


class Opened(NamedTuple):
    """An open console, its service and its keyboard."""

    app: ConsoleApp
    service: fakes.FakeService
    pilot: Pilot[None]

    @property
    def text(self) -> str:
        """What the screen in front shows."""
        lines = self.app.screen.query(Lines)
        return lines.first().text if lines else ""  # a screen that is being opened shows nothing yet

    @property
    def notice(self) -> str:
        """The notice line of the page, also when a dialog stands before it."""
        return self.app.notice

    async def press(self, *keys: str) -> None:
        """Presses keys and lets the console answer."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, claim: Callable[[], object]) -> None:
        """Waits until a claim is true: for what a thread has to tell first."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not claim():
                await self.pilot.pause(0.01)


@asynccontextmanager
async def opened(
    snapshot: Snapshot = fakes.BUSY,
    service: fakes.FakeService | None = None,
    size: tuple[int, int] = (80, 24),
    ascii: bool = False,  # noqa: A002 - as the application calls it
    start_run: str | None = None,
) -> AsyncIterator[Opened]:
    """A console that shows a Snapshot."""
    answers = service or fakes.FakeService()
    app = ConsoleApp(answers, now=lambda: fakes.NOW, ascii=ascii, start_run=start_run)
    async with app.run_test(size=size) as pilot:
        app.show(snapshot)
        await pilot.pause()
        yield Opened(app, answers, pilot)


def trying(
    what: Callable[[Opened], Awaitable[None]],
    snapshot: Snapshot = fakes.BUSY,
    service: fakes.FakeService | None = None,
    size: tuple[int, int] = (80, 24),
    ascii: bool = False,  # noqa: A002 - as the application calls it
    start_run: str | None = None,
) -> None:
    """Opens a console and tries something with it."""

    async def tried() -> None:
        async with opened(snapshot, service, size, ascii, start_run) as console:
            await what(console)

    asyncio.run(tried())
