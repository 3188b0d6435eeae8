"""The pages and dialogs as pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from opsconsole.core.errors import Unavailable
from opsconsole.service.snapshot import Snapshot
from screens.app import ConsoleApp
from tests.screens import fakes, past_runs, samples
from tests.screens.console import text_of
from tests.waiting import PATIENCE_SECONDS

Compare = Callable[..., bool]
SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
THREE_SIZES = SIZES | {"200x60": (200, 60)}


def matches_snapshot(
    snap_compare: Compare,
    snapshot: Snapshot,
    size: tuple[int, int],
    *keys: str,
    shows: str = "",
    service: fakes.FakeService | None = None,
    then: tuple[str, ...] = (),
) -> bool:
    """Compares the console with its snapshot after some keys. Waits for the words `shows`, then presses `then`."""
    app = ConsoleApp(service or fakes.FakeService(), now=lambda: samples.NOW)

    async def before(pilot: Pilot[None]) -> None:
        app.show(snapshot)
        await pilot.pause()
        await pilot.press(*keys)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while shows not in text_of(app) or " loading" in text_of(app):
                await pilot.pause(0.01)
        await pilot.press(*then)

    return snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", THREE_SIZES)
@pytest.mark.parametrize("state", ["busy", "empty", "trouble"])
def test_the_dashboard(snap_compare: Compare, state: str, size: str) -> None:
    snapshot = {"busy": samples.BUSY, "empty": samples.EMPTY, "trouble": samples.TROUBLE}[state]
    assert matches_snapshot(snap_compare, snapshot, THREE_SIZES[size])


@pytest.mark.parametrize("size", SIZES)
def test_paused_waiting_and_cancelled_runs(snap_compare: Compare, size: str) -> None:
    assert matches_snapshot(snap_compare, samples.PAUSED, SIZES[size], "tab", "down")


def test_a_read_only_console(snap_compare: Compare) -> None:
    service = fakes.FakeService()
    service.read_only = True
    snapshot = replace(samples.QUIET, environment="production", leader=samples.OTHER)
    assert matches_snapshot(snap_compare, snapshot, SIZES["80x24"], service=service)


@pytest.mark.parametrize("size", ["80x24", "200x60"])
def test_a_run(snap_compare: Compare, size: str) -> None:
    to_runs = "tab" if size == "200x60" else "home"
    shown = THREE_SIZES[size]
    assert matches_snapshot(snap_compare, samples.QUIET, shown, to_runs, "enter", shows="question q-7781")


def test_the_trigger_dialog(snap_compare: Compare) -> None:
    assert matches_snapshot(snap_compare, samples.BUSY, SIZES["80x24"], "t", shows="Items    10,000")


@pytest.mark.parametrize(
    ("shown", "keys", "words"),
    [
        (samples.BUSY, ("home", "x"), "Cancel run 4812"),
        (samples.PAUSED, ("home", "x"), "By force"),
        (samples.PAUSED, ("tab", "down", "p", *"new disk"), "new disk"),
        (samples.BUSY, ("q",), "Stop them"),
    ],
    ids=["cancel", "by force", "pause", "quit"],
)
def test_questions(snap_compare: Compare, shown: Snapshot, keys: tuple[str, ...], words: str) -> None:
    service = fakes.FakeService()
    service.local_runs = (samples.running().run, samples.running(4820, job="reporting.daily_report").run)
    assert matches_snapshot(snap_compare, shown, SIZES["80x24"], *keys, shows=words, service=service)


def test_the_help(snap_compare: Compare) -> None:
    assert matches_snapshot(snap_compare, samples.BUSY, SIZES["80x24"], "question_mark")


@pytest.mark.parametrize("state", ["counting", "counted", "confirm", "type"])
def test_clearing_cached_keys(snap_compare: Compare, state: str) -> None:
    service = fakes.FakeService()
    keys, words = ("c", *"asha"), "940 keys of 2 families"
    snapshot = samples.BUSY
    if state == "counting":
        service.counting.clear()
        words = "310 match"
    elif state == "confirm":
        keys = ("c", "down", "down", "right")  # nobody types whose keys they are
    elif state == "type":
        snapshot = replace(samples.BUSY, environment="production")
    then = ("enter",) if state in ("confirm", "type") else ()
    size = SIZES["80x24"]
    assert matches_snapshot(snap_compare, snapshot, size, *keys, shows=words, service=service, then=then)


@pytest.mark.parametrize("size", SIZES)
def test_packs_page(snap_compare: Compare, size: str) -> None:
    assert matches_snapshot(snap_compare, samples.BUSY, SIZES[size], "7", shows="Leaderboards")


RUNS_PAGES = [("data", "80x24"), ("data", "120x40"), ("data", "200x60"), ("empty", "80x24"), ("trouble", "120x40")]


@pytest.mark.parametrize(("state", "size"), RUNS_PAGES)
def test_the_runs_page(snap_compare: Compare, state: str, size: str) -> None:
    service, keys = fakes.FakeService([past_runs.PAGE, samples.PAGE]), ["3"]
    snapshot, shows = samples.BUSY, "retried  by run 4,791"
    if state == "data":
        keys += ["slash", *"cache_day last tue", "enter"]
    elif state == "empty":
        service.history.runs = ()
        snapshot, shows = samples.NEW, "no run yet"
    else:
        service.history.error = Unavailable("store", "database is locked")
        snapshot, shows = samples.TROUBLE, "database is locked"
    assert matches_snapshot(snap_compare, snapshot, THREE_SIZES[size], *keys, shows=shows, service=service)
