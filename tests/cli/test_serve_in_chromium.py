"""The console in a real browser, driven by the DevTools protocol."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.cli.test_serve import Serving, browsers, pages, place as place, serving as serving, until
from tests.installation import Installation
from tests.waiting import PATIENCE_SECONDS, eventually

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--window-size=1400,900")
EMPTY_PICTURE = 20_000
"""Characters that a picture without any text has at most."""
FROM_ANOTHER_SITE = """
new Promise(done => {{
    const socket = new WebSocket({url});
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
}})
"""


class Tab:
    """A page of the browser."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._websocket, self._numbers = websocket, count(1)

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """The result of a call of the DevTools protocol."""
        number = next(self._numbers)
        await self._websocket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = await self._websocket.receive_json(timeout=PATIENCE_SECONDS)
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    async def evaluate(self, script: str) -> Any:
        """The value of a script."""
        done = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return done["result"].get("value")

    async def eventually(self, script: str, what: str) -> None:
        """Waits until a script is true."""
        for _ in range(int(PATIENCE_SECONDS * 10)):
            if await self.evaluate(script):
                return
            await asyncio.sleep(0.1)
        pytest.fail(f"not in time: {what}")

    async def is_drawn(self) -> None:
        """Waits until a picture of the page shows more than a background."""
        for _ in range(int(PATIENCE_SECONDS * 10)):
            picture = await self.call("Page.captureScreenshot")
            if len(picture["data"]) > EMPTY_PICTURE:
                return
            await asyncio.sleep(0.1)
        pytest.fail("not in time: the page is drawn")

    async def type(self, letter: str) -> None:
        """Presses a key."""
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=letter, key=letter)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=letter)


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[str]:
    """The address of the DevTools of a browser without a window."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("chromium is not installed")
    profile = tmp_path / "profile"
    process = subprocess.Popen(
        [program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"HOME": str(tmp_path)},
    )
    port = profile / "DevToolsActivePort"
    try:
        eventually(lambda: port.exists() and bool(port.read_text().splitlines()), "the browser has started")
        yield f"http://127.0.0.1:{port.read_text().splitlines()[0]}"
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


@asynccontextmanager
async def tab(devtools: str) -> AsyncIterator[Tab]:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{devtools}/json") as response:
            found = json.loads(await response.text())
        url = next(each["webSocketDebuggerUrl"] for each in found if each["type"] == "page")
        async with session.ws_connect(url, max_msg_size=0) as websocket:
            yield Tab(websocket)


@pytest.mark.soak
def test_a_browser_shows_the_console_and_a_page_of_another_site_cannot(
    serving: Serving, place: Installation, chromium: str
) -> None:
    async def visit() -> None:
        async with tab(chromium) as page:
            await page.call("Page.enable")
            await page.call("Page.navigate", url=serving.addresses[-1])
            await page.eventually("document.body.classList.contains('-first-byte')", "the console is drawn")
            assert await page.evaluate("location.href") == f"{serving.origin}/", "the token is no longer shown"
            assert await page.evaluate("document.cookie") == "", "scripts cannot read the session"
            await until(lambda: browsers(place) == ["(browser 1)"], "the browser is attached")
            await until(lambda: pages(place) == {"dashboard"}, "the Dashboard is open")
            await page.evaluate("document.querySelector('.xterm-helper-textarea').focus()")
            await page.type("2")
            await until(lambda: pages(place) == {"jobs"}, "the key has opened the page of jobs")
            await page.is_drawn()

            await page.call("Page.navigate", url="data:text/html,<title>another site</title>")
            await until(lambda: browsers(place) == [], "leaving the page ends the console")
            socket = json.dumps(serving.origin.replace("http", "ws") + "/ws")
            assert await page.evaluate(FROM_ANOTHER_SITE.format(url=socket)) == "refused"

    asyncio.run(visit())
