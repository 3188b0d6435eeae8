"""A part of the screen that cannot be drawn shows the cause in its place, and the console goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from opsconsole.service.snapshot import Snapshot
from screens.pages.dashboard import Dashboard
from tests.screens import samples
from tests.screens.console import Console, run_console


class Broken:
    """A value of a foreign kind: every use raises, its text too."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no ink")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no ink")

    def __bool__(self) -> bool:
        raise RuntimeError("no ink")


def spoilt(part: str) -> Snapshot:
    return replace(samples.BUSY, **{part: cast("Any", Broken())})


@pytest.mark.parametrize("part", ["jobs", "live", "recent", "histories", "redis", "findings", "leader", "pauses"])
def test_a_page_that_cannot_be_drawn_ends_neither_the_console_nor_its_keys(
    part: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(console: Console) -> None:
        console.app.show(spoilt(part))
        await console.until(lambda: "cannot be drawn: " in console.text)
        console.app.show(spoilt(part))
        for keys in (("question_mark", "escape"), ("7", "escape"), ("4", "1"), ("ctrl+p", "escape"), ("c", "escape")):
            await console.press(*keys)
            assert console.app.is_running
            assert isinstance(console.app.front_page, Dashboard)

        console.app.show(samples.BUSY)
        await console.until(lambda: "cannot be drawn" not in console.text)
        await console.until(lambda: "game.life_regen" in console.text)
        await console.press("q")

    run_console(scenario)

    logged = [record for record in caplog.records if record.message == "the page Dashboard cannot be drawn"]
    assert len(logged) == 1
    assert logged[0].exc_info is not None
