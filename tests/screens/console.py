"""Runs the console without a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from rich.cells import cell_len
from textual.pilot import Pilot

from opsconsole.service.snapshot import Snapshot
from screens.app import ConsoleApp
from screens.files import Installation
from screens.pages.page import Page
from screens.widgets.paint import Lines
from tests.screens import fakes, samples
from tests.waiting import PATIENCE_SECONDS


class Console(NamedTuple):
    """An open console, its service and its keyboard."""

    app: ConsoleApp
    service: fakes.FakeService
    pilot: Pilot[None]

    @property
    def text(self) -> str:
        """The text of the screen in front."""
        return text_of(self.app)

    @property
    def notice(self) -> str:
        """The notice of the page, also below a dialog."""
        return self.app.notice

    async def press(self, *keys: str) -> None:
        """Presses keys and lets the console process them."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def select(self, row: tuple[str, str] | None) -> None:
        """Moves the cursor of the page in front to a row, or away from all."""
        assert self.app.front_page is not None
        self.app.front_page.move_to(row)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until a condition is true, for results that arrive from a thread."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                await self.pilot.pause(0.01)


def text_of(app: ConsoleApp) -> str:
    """The text of the screen in front, as its widgets draw it; only the inside of a dialog's frame."""
    widgets = [each for each in app.screen.query(Lines) if each.is_on_screen]
    if not isinstance(app.screen, Page):
        return widgets[0].text if widgets else ""  # empty while a screen is being opened
    canvas = [[" "] * app.size.width for _ in range(app.size.height)]
    for widget in widgets:
        region = widget.region
        for y, strip in enumerate(widget.render_lines(region.size.region), region.y):
            if y >= len(canvas):
                break  # below the screen
            x = region.x
            for character in strip.text:
                if x >= app.size.width:
                    break  # it was laid out for the size of before
                canvas[y][x] = character
                cells = cell_len(character)
                canvas[y][x + 1 : x + cells] = [""] * (cells - 1)
                x += cells
    return "\n".join("".join(row).rstrip() for row in canvas)


@asynccontextmanager
async def opened(
    snapshot: Snapshot = samples.BUSY,
    service: fakes.FakeService | None = None,
    size: tuple[int, int] = (80, 24),
    ascii: bool = False,  # noqa: A002 - as the application calls it
    start_run: str | None = None,
    installation: Installation | None = None,
) -> AsyncIterator[Console]:
    """A console that shows a Snapshot."""
    fake = service or fakes.FakeService()
    app = ConsoleApp(fake, now=lambda: samples.NOW, ascii=ascii, start_run=start_run, installation=installation)
    async with app.run_test(size=size) as pilot:
        app.show(snapshot)
        await pilot.pause()
        yield Console(app, fake, pilot)


def run_console(
    scenario: Callable[[Console], Awaitable[None]],
    snapshot: Snapshot = samples.BUSY,
    service: fakes.FakeService | None = None,
    size: tuple[int, int] = (80, 24),
    ascii: bool = False,  # noqa: A002 - as the application calls it
    start_run: str | None = None,
    installation: Installation | None = None,
) -> None:
    """Opens a console and runs a scenario in it."""

    async def run() -> None:
        async with opened(snapshot, service, size, ascii, start_run, installation) as console:
            await scenario(console)

    asyncio.run(run())
