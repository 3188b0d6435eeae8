"""Untrusted text: only visible characters reach the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len
from textual import events

from opsconsole.authoring.run import Run, RunState, Stop
from opsconsole.core.errors import BadWindow
from opsconsole.core.text import safe
from opsconsole.rules.admission import Wait, WaitReason
from opsconsole.rules.notifications import DeliveryState
from opsconsole.rules.run_search import Segment as RunSegment
from opsconsole.service.history import FailedItem
from opsconsole.service.job_page import JobPage
from opsconsole.service.run_details import Cause, RunPage
from opsconsole.service.snapshot import (
    Acknowledgement,
    AlertCard,
    AlertPage,
    AlertState,
    Finding,
    FindingKind,
    JobCard,
    JobHistory,
    Outage,
    Pause,
    Severity,
    Silence,
    Snapshot,
)
from opsconsole.store.failing import FailingItem, FailingItems
from opsconsole.store.statistics import Rates
from screens.panels import (
    alert_detail,
    alerts,
    dashboard,
    health,
    redis,
    run as run_panel,
    run_detail,
    run_failures,
    run_grid,
    run_log,
    running,
    runs,
    upcoming,
)
from screens.panels.alerts import Segment
from screens.panels.run_failures import Items
from screens.panels.run_log import Log
from screens.panels.runs import Listed
from screens.panels.top_line import top_line, verdict
from screens.panels.view import View
from screens.widgets.lines import Line, width
from screens.widgets.panel import border
from tests.screens import fakes, past_alerts, past_jobs, samples
from tests.screens.console import Console, run_console

HOSTILE = [
    "[/",
    "[@click=app.quit]x[/]",
    "[bold",
    "\x1b[2J\x1b[31mred",
    "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x9b31m\x90q\x9c",
    "a\rb\nc\td\x08\x7f",
    "\u202egnp.exe\u2066\u2069",
    "zero\u200bwidth\u200d\ufe0f",
    "👩‍🚀🇩🇪❤️ emoji",
    "日本語のジョブ名がとても長い場合",
    "e\u0301" * 40,
    "\ud800 surrogate",
    "x" * 5000,
    "",
]
ALL = " ".join(HOSTILE)


def hostile_snapshot(text: str) -> Snapshot:
    """A Snapshot in which everything that can be a text is this one."""
    run = samples.a_run(7, text, error=text, host=text, requested_by=text, window=replace(samples.day(), label=text))
    cards = (JobCard(text, text, text, "UTC", text, (text,), samples.NOW, run),)
    findings = (
        Finding(Severity.CRITICAL, FindingKind.UNREACHABLE, text, samples.ago(hours=1), reason=text),
        Finding(Severity.WARNING, FindingKind.FAILED_RUN, text, samples.ago(days=3), run),
    )
    waiting = replace(samples.running().run, job=text, kinds={text: 3}, window=run.window)
    stopped = replace(waiting, stop=Stop(text, samples.NOW, samples.NOW, note=text))
    queued = replace(waiting, state=RunState.QUEUED)
    return replace(
        samples.BUSY,
        environment=text,
        leader=replace(samples.OTHER, host=text, who=text),
        jobs=cards,
        live=(
            replace(samples.running(), run=waiting),
            replace(samples.running(), run=replace(waiting, planning_done=False)),
            replace(samples.running(), run=stopped),
            replace(samples.running(), run=queued, waits=Wait(WaitReason.AFTER, 1, text)),
            replace(
                samples.running(),
                run=replace(queued, state=RunState.INTERRUPTED),
                waits=Wait(WaitReason.AFTER, 1, text),
            ),
        ),
        recent=(run, replace(run, id=8, error=None)),
        histories=(JobHistory(text, Rates(0.5, None, 1.0), (run,), 3.0),),
        redis=replace(samples.BUSY.redis, stats=replace(samples.STATS, version=text), outage=Outage(samples.NOW, text)),
        findings=findings,
        store_outage=Outage(samples.ago(minutes=1), text),
        data_outage=Outage(samples.ago(minutes=1), text),
        engine_problem=text,
        pauses=(samples.paused("all", who=text, note=text), samples.paused(text, None, text, text)),
        attached=(samples.attached(text), samples.attached(text + "2", 2)),
        alerts=(
            hostile_alert(text).card,
            replace(hostile_alert(text).card, state=AlertState.SILENCED, acknowledged=None),
        ),
        silences=(Silence(1, text, samples.ago(hours=1), None, text, text),),
    )


def hostile_job(text: str) -> JobPage:
    """The details of a job of the same kind."""
    job = past_jobs.a_job(text, after=(text,), exclusive=text, aliases=(text,), description=text)
    items = FailingItems((7,), 9, (FailingItem(text, 2, 7, text),))
    run = samples.a_run(7, text, RunState.FAILED, error=text)
    return past_jobs.a_page(job, words=text, newest=(run,), excludes=(text,), followers=(text,), failing=items)


def hostile_alert(text: str) -> AlertPage:
    """An alert of the same kind, acknowledged and silenced, with a cause and a history."""
    given = Acknowledgement(text, samples.ago(hours=1), None, text)
    evidence = {"count": 1, "numbers": {text: 3.5}, "items": [text] * 20, "jobs": [text], "reason": text}
    alert = replace(
        past_alerts.ITEMS,
        id=7,
        subject=text,
        message=text,
        job=text,
        pack=text,
        evidence=evidence,
        acknowledged=given,
        worse_at=samples.ago(minutes=1),
        resolved_at=None,
    )
    silence = Silence(1, text, samples.ago(hours=1), None, text, text)
    card = AlertCard(alert, AlertState.ACKNOWLEDGED, given, silence, (8, 9))
    return past_alerts.page_of(
        card,
        cause=card,
        explains=(card, card),
        notifications=(past_alerts.sent(1, text, samples.ago(minutes=1), DeliveryState.GIVEN_UP, error=text),),
        earlier=(replace(alert, id=1), replace(alert, id=2, resolved_at=samples.NOW)),
    )


def hostile_page(text: str) -> RunPage:
    """A run's page of the same kind."""
    run = replace(samples.partial(7), job=text, error=text, requested_by=text, metrics={text: 3}, kinds={text: 2})
    return _page_of(run, text)


def hostile_waiting_page(text: str) -> RunPage:
    """One of a run that waits and is to end."""
    return _page_of(
        samples.a_run(7, text, RunState.QUEUED, stop=Stop(text, samples.NOW, samples.NOW, note=text)),
        text,
        Wait(WaitReason.AFTER, 1, text),
    )


def _page_of(run: Run, text: str, waits: Wait | None = None) -> RunPage:
    return replace(
        samples.PAGE,
        progress=replace(
            samples.PAGE.progress,
            run=replace(run, window=replace(run.window, label=text)),
            tz=text or "UTC",
            waits=waits,
        ),
        causes=(Cause(text, text, 2, (text, text)),),
        log=((samples.NOW, text),),
    )


def has_only_visible_characters(lines: list[Line], cells: int) -> bool:
    """No control character, no invisible one, no line that is too wide."""
    for each in lines:
        shown = "".join(piece.text for piece in each)
        assert safe(shown, 10_000) == shown, ascii(shown)
        assert width(each) <= cells, (width(each), shown)
        assert cell_len(shown) <= cells
    return True


def dashboard_lines(view: View, cells: int, rows: int) -> list[Line]:
    draws = (running.panel, upcoming.panel, dashboard.jobs, redis.panel, health.panel)
    drawings = [draw(view, cells, rows) for draw in draws]
    return [each for drawing in drawings for each in (border(drawing, cells), *drawing.lines)]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("size", [(80, 20), (120, 36), (200, 56)])
def test_no_panel_shows_hostile_characters(text: str, size: tuple[int, int]) -> None:
    view = View(hostile_snapshot(text), samples.NOW)
    view = replace(view, cursor=dashboard.keys(view, size[0])[0])
    lines = [top_line(view, size[0]), verdict(view, size[0]), *dashboard_lines(view, *size)]
    assert has_only_visible_characters(lines, size[0])
    page = hostile_alert(text)
    view = replace(view, cursor=alerts.key(page.card))
    lines = [alerts.header(view, Segment.ALL, size[0]), *alerts.rows(view, Segment.ALL, *size).lines]
    lines += alert_detail.rows(view, page.card, page, *size)
    assert has_only_visible_characters(lines, size[0])
    paused = view.pauses_of(text)
    for run_page in (hostile_page(text), hostile_waiting_page(text)):
        assert has_only_visible_characters(list(_run_lines(run_page, text, paused, size)), size[0])


def _run_lines(page: RunPage, text: str, paused: Sequence[Pause], size: tuple[int, int]) -> Iterator[Line]:
    """Every line about a run, on its own page and in lists."""
    cells, rows = size
    view, run = View(hostile_snapshot(text), samples.NOW, runs.key(page.progress.run)), page.progress.run
    yield from run_panel.head(replace(page, retries=(run,)), samples.NOW, cells, pauses=paused)
    yield from (run_grid.title(page, cells, 3), run_grid.legend(page), *run_grid.rows(page, cells, 3))
    items = Items([FailedItem(text, 1, text, text), FailedItem(text, 2, None, None)])
    yield from (run_failures.end(page, items, rows, view.keys), *run_failures.rows(page, items, cells, rows))
    log = Log(page.log, page.progress.tz, is_open=False, query=text[:1])
    yield from (run_log.end(log, (), rows, view.keys), *run_log.rows(log, cells, rows))
    listed = Listed([run], total=1, problem=text)
    yield from (runs.header(view, RunSegment.ALL, (), listed, cells), *runs.rows(view, listed, cells, rows)[0])
    yield from (run_detail.title(view, run, cells), run_detail.end(view, run))
    yield from run_detail.rows(view, page, cells, rows)


@given(st.text(st.characters(), max_size=60), st.integers(80, 210))
def test_no_text_breaks_the_layout(text: str, cells: int) -> None:
    view = View(hostile_snapshot(text), samples.NOW)
    assert has_only_visible_characters(dashboard_lines(view, cells, 30), cells)


DIALOGS = ("t", "escape", "down", "r", "enter", "ctrl+p", "escape", "u", "enter", "p", "enter", "q")
LIVE = ("down", "x", "left", "enter", "down", "down", "x", "enter", "p", "down", "q", "ctrl+c", "left", "enter")
PAGES = ("down", "enter", "f", "tab", "down", "slash", "x", "enter", "question_mark", "escape", "escape", "t", "enter")
JOBS = ("2", "down", "w", "left", "escape", "asterisk", "a", "escape", "v", "v", "v", "slash", "m", "enter", "enter")
RUNS = ("3", "down", "slash", "m", "enter", "tab", "w", "escape", "y", "=", "escape", "enter")


ALERTS = ("6", "a", "down", "enter", "s", "down", "down", "enter", "u", "right", "equals_sign", "tab", "r", "ctrl+p")


@pytest.mark.parametrize("ascii_only", [False, True], ids=["unicode", "ascii"])
@pytest.mark.parametrize(
    "keys", [DIALOGS, LIVE, PAGES, ALERTS, JOBS], ids=["dialogs", "live", "pages", "alerts", "jobs"]
)
def test_no_page_and_no_dialog_shows_hostile_characters(keys: tuple[str, ...], ascii_only: bool) -> None:
    service = fakes.FakeService([hostile_page(ALL)])
    service.alert_pages = {7: hostile_alert(ALL)}
    service.job_pages = {ALL: hostile_job(ALL)}
    service.local_runs, service.result = (samples.running(7, job=ALL).run,), fakes.refused(ALL)
    service.error = service.hand_over_error = BadWindow(ALL)
    snapshot = hostile_snapshot(ALL)
    if keys is not LIVE:
        snapshot = replace(snapshot, live=(), recent=(samples.partial(7, job=ALL, error=ALL),))

    async def scenario(console: Console) -> None:
        for key in keys:
            await console.press(key)
            picture = console.app.export_screenshot()
            assert not {c for c in picture if not c.isprintable()} - {"\n"}
            assert console.text.replace("\n", "").isprintable()
            assert not ascii_only or console.text.isascii()

    run_console(scenario, snapshot, service, ascii=ascii_only)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_note_has_no_invisible_characters(text: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press("down", "p")
        console.app.post_message(events.Paste(text))
        await console.pilot.pause()
        assert console.text.replace("\n", "").isprintable()
        await console.press("enter")
        await console.until(lambda: console.service.calls)
        note = console.service.calls[0][3]
        assert isinstance(note, str)
        assert note.isprintable()
        assert len(note) <= 200

    run_console(scenario, samples.PAUSED)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_pasting_into_a_dialog_inserts_plain_text(text: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press("t")
        console.app.screen.post_message(events.Paste(text + "2026-01-19"))
        await console.pilot.pause()
        assert console.text.replace("\n", "").isprintable()
        await console.press("escape", "ctrl+p")
        console.app.screen.post_message(events.Paste(text))
        await console.pilot.pause()
        assert console.text.replace("\n", "").isprintable()
        assert not console.app._exit

    run_console(scenario)
