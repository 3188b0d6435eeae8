"""The Dashboard draws only what has changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from screens.pages.dashboard import Dashboard
from screens.pages.quiet import REST
from screens.panels.dashboard import PanelName
from screens.panels.view import View
from screens.widgets.panel import Panel
from tests.screens import samples
from tests.screens.console import Console, run_console

QUIET = replace(samples.BUSY, live=(), recent=(), leader=samples.ME)


def test_while_only_the_time_passes_only_what_shows_it_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = timedelta(0)
    drawn: list[str | None] = []

    async def scenario(console: Console) -> None:
        nonlocal passed
        monkeypatch.setattr(console.app, "now", lambda: samples.NOW + passed)
        page = console.app.screen
        assert isinstance(page, Dashboard)
        paint = page.paint

        def recorded(panel: Panel[View]) -> None:
            drawn.append(panel.id)
            paint(panel)

        monkeypatch.setattr(page, "paint", recorded)

        def after(seconds: float) -> set[str | None]:
            nonlocal passed
            drawn.clear()
            passed += timedelta(seconds=seconds)
            console.app.show(replace(QUIET, at=QUIET.at + passed))
            return set(drawn)

        after(1), after(1)
        assert after(1) == {"head", PanelName.JOBS}  # a job starts in less than ten minutes
        redis = replace(QUIET.redis, lost=None, hit_rates=())
        drawn.clear()
        console.app.show(replace(QUIET, at=QUIET.at + passed, redis=redis))
        assert set(drawn) == {"head", PanelName.REDIS}
        drawn.clear()
        heartbeat = replace(samples.attached("ben"), seen_at=samples.NOW + passed)
        console.app.show(replace(QUIET, at=QUIET.at + passed, redis=redis, attached=(heartbeat,)))
        assert set(drawn) == {"head"}
        drawn.clear()
        console.app.show(replace(QUIET, at=QUIET.at + passed, redis=redis, jobs=QUIET.jobs[1:]))
        assert {PanelName.HEALTH, PanelName.JOBS, "foot"} <= set(drawn)
        assert {PanelName.HEALTH, PanelName.DETAIL, "foot"} <= after(REST.total_seconds())

    run_console(scenario, QUIET, size=(120, 40))
