"""A client that does not read its events costs no memory, holds up nobody, and gets the state when it reads again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from starlette.types import Message

from opsconsole.authoring.run import Trigger
from opsconsole.core import clock
from opsconsole.http import events
from opsconsole.http.events import EventStreams
from opsconsole.store import runs
from tests.installation import Installation

T = TypeVar("T")
KEPT, RUNS = 5, 12
SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "headers": []}


async def in_thread(call: Callable[[], T]) -> T:
    return await asyncio.to_thread(call)


async def never() -> Message:
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}


def create_run(place: Installation) -> None:
    job, at = place.catalog.find("counting.moment"), clock.now()
    with place.store.writing() as db:
        runs.create(
            db, job, job.covers.at(at, ZoneInfo("UTC")), as_of=at, trigger=Trigger.HAND, requested_by="asha", at=at
        )


class Reader:
    """Collects what is sent, while it is reading."""

    def __init__(self) -> None:
        self.text, self.reads = "", asyncio.Event()

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.text += message.get("body", b"").decode()

    async def until(self, part: str, count: int = 1) -> None:
        while self.text.count(part) < count:
            await asyncio.sleep(0.005)


def test_a_follower_that_does_not_read_gets_the_state_later(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "KEPT", KEPT)
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)

    async def follow() -> None:
        streams = EventStreams(place.service.live_events(), in_thread, lambda _count: None)
        quick, slow = Reader(), Reader()
        for each in (quick, slow):
            each.reads.set()
        serving = [asyncio.create_task(streams.serve(SCOPE, never, each.send)) for each in (quick, slow)]
        await quick.until("event: state")
        await slow.until("event: leader")
        slow.reads.clear()
        for number in range(RUNS):
            await in_thread(lambda: create_run(place))
            await quick.until("event: run", number + 1)
        assert len(streams._kept) == KEPT
        slow.reads.set()
        await slow.until("event: state", 2)
        await slow.until("event: run", RUNS)
        streams.end()
        await asyncio.gather(*serving)

    asyncio.run(follow())


def test_clients_that_come_at_the_same_time_share_one_reader(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)
    reading: list[int] = [0]
    most = 0

    async def counted(call: Callable[[], T]) -> T:
        nonlocal most
        reading[0] += 1
        most = max(most, reading[0])
        try:
            return await asyncio.to_thread(call)
        finally:
            reading[0] -= 1

    async def follow() -> None:
        streams = EventStreams(place.service.live_events(), counted, lambda _count: None)
        readers = [Reader() for _ in range(5)]
        for each in readers:
            each.reads.set()
        serving = [asyncio.create_task(streams.serve(SCOPE, never, each.send)) for each in readers]
        await in_thread(lambda: create_run(place))
        for each in readers:
            await each.until("event: run")
        streams.end()
        await asyncio.gather(*serving)

    asyncio.run(follow())

    assert most == 1
