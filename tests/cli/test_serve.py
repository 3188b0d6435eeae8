"""The console in a browser: who gets in, and what is left when a browser goes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from opsconsole.store import presence
from opsconsole.store.presence import Attached
from tests.cli.conftest import RunCli
from tests.conftest import Installing
from tests.faults.fork_server import Child, ForkServer
from tests.http.client import HttpClient
from tests.installation import Installation
from tests.waiting import PATIENCE_SECONDS, eventually

DRAWN = 2_000
"""Bytes that the first frame of a console has at least."""


@dataclass
class Serving:
    """A process that runs `opsconsole serve`, and a client of it."""

    process: Child
    output: Path

    @property
    def addresses(self) -> list[str]:
        """Those that were printed, each with a token."""
        return re.findall(r"^open (\S+)$", self.output.read_text(), re.MULTILINE)

    @property
    def origin(self) -> str:
        return self.addresses[0].partition("/?")[0]

    @property
    def client(self) -> HttpClient:
        return HttpClient(self.origin)

    def sign_in(self) -> str:
        """Opens the newest address, and returns the cookie that the browser then sends."""
        before = len(self.addresses)
        response = self.client.get(self.addresses[-1].removeprefix(self.origin))
        assert response.status == 200, response.body
        cookie = response.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        eventually(lambda: len(self.addresses) > before, "the next address is printed")
        (name, morsel), *_ = SimpleCookie(cookie).items()
        return f"{name}={morsel.value}"


@pytest.fixture
def place(installing: Installing, tmp_path: Path, redis_url: str) -> Installation:
    return installing(database_url=f"sqlite:///{tmp_path / 'ops.db'}", redis_url=redis_url)


@pytest.fixture
def serving(place: Installation, fork_server: ForkServer, tmp_path: Path) -> Iterator[Serving]:
    output = tmp_path / "serve.log"
    process = fork_server.start(["serve", "--port", "0"], os.environ | place.environ, output=output)
    found = Serving(process, output)
    eventually(lambda: bool(found.addresses) or process.poll() is not None, "it is listening")
    yield found
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM


def attached(place: Installation) -> list[Attached]:
    """The consoles that are attached to the store."""
    with place.store.reading() as db:
        return presence.attached(db, place.service.now())


def browsers(place: Installation) -> list[str]:
    """Who is attached, by name."""
    return sorted(each.who.partition(" ")[2] for each in attached(place))


def pages(place: Installation) -> set[str]:
    """Which pages are open."""
    return {each.screen for each in attached(place)}


@asynccontextmanager
async def console(serving: Serving, cookie: str) -> AsyncIterator[Any]:
    """A websocket on which a console has been drawn."""
    headers = {"Cookie": cookie, "Origin": serving.origin}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{serving.origin}/ws?width=120&height=40", headers=headers) as websocket,
    ):
        received = 0
        while received < DRAWN:
            message = await websocket.receive(timeout=PATIENCE_SECONDS)
            assert message.type is aiohttp.WSMsgType.BINARY, message
            received += len(message.data)
        yield websocket


async def until(holds: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(eventually, holds, what)


def test_only_a_browser_with_a_session_gets_in(serving: Serving) -> None:
    client, first = serving.client, serving.addresses[0].removeprefix(serving.origin)
    assert client.get("/").status == 401
    assert client.get("/static/js/textual.js").status == 401
    assert "is wrong or was already used" in client.get("/?token=wrong").body.decode()
    assert client.get("/?token=caf%C3%A9").status == 401

    cookie = serving.sign_in()
    page = client.get("/", Cookie=cookie)

    assert page.status == 200
    assert f"{serving.origin.replace('http', 'ws')}/ws" in page.body.decode()
    assert page.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert client.get("/static/js/textual.js", Cookie=cookie).status == 200
    assert client.get(first).status == 401, "an address works once"
    assert client.get("/", Cookie=f"{cookie[:-1]}x").status == 401
    assert client.get("/", Cookie=cookie, Host="evil.example").status == 403, "a name that resolves to this machine"
    upgrade = {"Cookie": cookie, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"{serving.origin}.evil.example"):
        assert client.request("GET", "/ws", headers=upgrade | {"Origin": origin}).status == 403, (
            "a page of another site"
        )
        assert client.get("/", Cookie=cookie, Origin=origin).status == 403
    assert client.request("GET", "/ws", headers=upgrade).status == 403


def test_each_browser_is_an_observer_with_a_name_and_ends_with_its_connection(
    serving: Serving, place: Installation
) -> None:
    cookie = serving.sign_in()

    async def visit() -> None:
        async with console(serving, cookie) as first:
            await until(lambda: browsers(place) == ["(browser 1)"], "the first browser is attached")
            async with console(serving, cookie):
                both = ["(browser 1)", "(browser 2)"]
                await until(lambda: browsers(place) == both, "both browsers are attached")
            await until(lambda: browsers(place) == ["(browser 1)"], "the second browser has gone")
            await first.send_json(["resize", {"width": "wide", "height": -1}])
            await first.send_json(["stdin", "2"])
            await until(lambda: pages(place) == {"jobs"}, "the key has opened the page")
            await first.send_str("this is no JSON")
            await until(lambda: browsers(place) == [], "a message that is none ends the console")

    asyncio.run(visit())
    assert place.service.queries.leader() is None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--host", "192.0.2.1"), 78, "can be reached by other machines: add --public-url"),
        (("--public-url", "ops.example.com"), 2, "must be an address such as https://ops.example.com"),
        (("--public-url", "https://ops.example.com/console"), 2, "without a path"),
    ],
)
def test_an_address_that_browsers_cannot_use_is_refused(
    arguments: tuple[str, ...], code: int, message: str, cli: RunCli
) -> None:
    result = cli("serve", *arguments)

    assert (result.code, message in result.err) == (code, True), result.err
