"""A new demo: three alerts, each with the key that fixes it, and nothing else."""

from __future__ import annotations

import asyncio
import time
from datetime import date
from pathlib import Path

import pytest
from textual.pilot import Pilot

from opsconsole.cli.commands.demo import SLOW_JOB, demo_settings
from opsconsole.cli.session import open_service
from opsconsole.core.trust import make_private
from opsconsole.embedded.claude import sample_claude
from opsconsole.embedded.preparation import Preparing
from opsconsole.rules.backfill import Only
from opsconsole.rules.findings import FindingKey, FindingKind, Remedy
from opsconsole.service.service import Service
from opsconsole.service.snapshot import AlertCard
from screens.app import ConsoleApp
from tests.screens.console import text_of
from tests.waiting import PATIENCE_SECONDS, eventually

USERS, WALKED_USERS = 60, 300
PLANTED: dict[FindingKey, Remedy] = {
    (FindingKind.FAILED_RUN, "attempts.cache_day"): Remedy.RETRY,
    (FindingKind.INCOMPLETE_WINDOWS, "reporting.daily_report"): Remedy.BACKFILL,
    (FindingKind.SLOW_RUN, SLOW_JOB): Remedy.TRIGGER,
}


def causes(service: Service) -> dict[FindingKey, Remedy | None]:
    """What fires, without what another alert explains."""
    return {card.alert.key: card.remedy for card in service.snapshot().firing}


def is_running(service: Service, job: str) -> bool:
    """Whether a run of the job is active."""
    return any(progress.run.job == job for progress in service.snapshot().live)


def fix(service: Service, card: AlertCard) -> None:
    """Does what the key beside an alert does."""
    alert = card.alert
    if card.remedy is Remedy.RETRY:
        assert alert.run is not None
        command = service.commands.retry(alert.run)
    elif card.remedy is Remedy.TRIGGER:
        command = service.commands.trigger(alert.subject)
    else:
        days = [date.fromisoformat(label) for label in alert.evidence["items"]]
        plan = service.backfills.plan([alert.subject], min(days), max(days), only=Only.STALE)
        command = service.backfills.apply(plan)
    outcome = service.commands.outcome(command, PATIENCE_SECONDS)
    assert outcome is not None
    assert outcome.refused is None


@pytest.mark.soak
def test_the_trouble_of_a_new_demo_is_three_alerts_that_their_keys_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = demo_settings(USERS)
    make_private(settings.folder)
    with (
        sample_claude(),
        open_service(settings) as service,
        Preparing(service, USERS, slow_job=SLOW_JOB),
    ):
        assert service.snapshot().preparation is not None
        eventually(lambda: service.preparation is None, "it is prepared")
        eventually(lambda: causes(service) == PLANTED, "there are exactly these alerts")
        eventually(lambda: not is_running(service, SLOW_JOB), "the import has ended, and with it the slow run")
        assert causes(service) == PLANTED

        for card in service.snapshot().firing:
            fix(service, card)

        eventually(lambda: not causes(service), "all of them are resolved")
        recorded = {card.alert.key for card in service.alerts.current() if card.alert.cause is None}
        assert recorded == set(PLANTED), "there was no other one, from the start on"


# --- the walk through the README ----------------------------------------------------------------------------------


async def until(pilot: Pilot[None], app: ConsoleApp, words: str, *, absent: bool = False) -> None:
    """Waits until the console shows some words, or no longer does."""
    deadline = time.monotonic() + 5 * PATIENCE_SECONDS
    while (words in text_of(app)) is absent:
        assert time.monotonic() < deadline, f"{words!r}:\n{text_of(app)}"
        await pilot.pause(0.1)


async def choose(pilot: Pilot[None], app: ConsoleApp, key: str, words: str, most: int = 10) -> None:
    """Presses a key until the console shows some words."""
    for _ in range(most):
        await pilot.pause(0.5)
        if words in text_of(app):
            return
        await pilot.press(key)
    raise AssertionError(f"{words!r}:\n{text_of(app)}")


async def walk(app: ConsoleApp) -> None:
    """Does what the README describes, and nothing else."""
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, app, "PREPARING")
        await until(pilot, app, "PREPARING", absent=True)
        await until(pilot, app, "3 alerts")
        await pilot.press("6")
        # A partial run.
        await choose(pilot, app, "down", "─ attempts.cache_day ─")
        await pilot.press("enter")
        await until(pilot, app, "1 failed, 1 cause")
        await pilot.press("escape")
        await until(pilot, app, "attempts.update_performance took")  # the import has ended
        await pilot.press("r")
        await until(pilot, app, "Retry")
        await pilot.press("enter")
        await until(pilot, app, "firing 2")
        # A stale day.
        await pilot.press("up", "up", "up")
        await choose(pilot, app, "down", "─ reporting.daily_report ─")
        await pilot.press("b")
        await until(pilot, app, "enter starts it")
        await pilot.press("enter")
        await until(pilot, app, "[ Run 1 window ]")
        await pilot.press("enter")
        await until(pilot, app, "4 fresh")
        # A slow run.
        await pilot.press("6")
        await until(pilot, app, "firing 1")
        await pilot.press("up", "up", "up")
        await choose(pilot, app, "down", "─ attempts.update_performance ─")
        await pilot.press("t")
        await until(pilot, app, "Trigger a job")
        await pilot.press("enter")
        await until(pilot, app, "firing 0")


@pytest.mark.soak
def test_a_new_demo_is_as_the_readme_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = demo_settings(WALKED_USERS)
    make_private(settings.folder)
    with sample_claude(), open_service(settings) as service, Preparing(service, WALKED_USERS, slow_job=SLOW_JOB):
        asyncio.run(walk(ConsoleApp(service)))


def test_a_console_that_is_closed_before_the_demo_is_ready_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = demo_settings(USERS)
    make_private(settings.folder)
    with sample_claude(), open_service(settings) as service:
        with Preparing(service, USERS, slow_job=SLOW_JOB):
            started = service.snapshot().preparation
        left = service.preparation

    assert started is not None
    assert left is not None, "it was not completed"
    assert left.problem == ""
