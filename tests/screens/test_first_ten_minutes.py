"""What `docs/first-ten-minutes.md` describes: each task in three keys or fewer from the Dashboard, where a typed name
or date counts as one; and the pictures in the docs, which `make snapshots` draws again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from opsconsole.authoring.job import NONE
from opsconsole.authoring.occurrence import OccurrenceState, Reason
from opsconsole.cache.filters import ClearFilter
from opsconsole.calendar.windows import MOMENT
from opsconsole.rules.backfill import Only, StepState, WindowState
from opsconsole.rules.explain import Answer
from opsconsole.rules.job_history import usual_duration
from opsconsole.rules.proofs import Proof
from opsconsole.service.occurrence_details import Explanation
from opsconsole.service.snapshot import AlertCard, AlertState, Finding, FindingKind, Severity, Snapshot
from opsconsole.store.failing import FailingItems
from screens.files import COPY, Installation
from screens.pages.calendar import CalendarScreen
from screens.pages.runs import RunsScreen
from tests.screens import fakes, past, past_alerts, past_jobs, past_runs, samples
from tests.screens.console import Console, run_console

DOCS = Path(__file__).parent.parent.parent / "docs"
DOCUMENT = DOCS / "first-ten-minutes.md"
SIZE = (100, 30)
MOST_KEYS = 3

DUE = samples.NOW.replace(minute=0, second=0)
GAP = Finding(
    Severity.WARNING,
    FindingKind.INCOMPLETE_WINDOWS,
    past.REPORT,
    samples.ago(days=40),
    count=4,
    items=tuple(each.window.label for each in past.A_YEAR if each.state is WindowState.MISSING),
    numbers={"missing": 4},
)
BOARD = "game.leaderboard_recalc"
OVERDUE = Finding(Severity.CRITICAL, FindingKind.OVERDUE, BOARD, DUE)
ALERTS = (
    AlertCard(
        replace(past_alerts.LATE, subject=BOARD, job=BOARD, pack="game", since=DUE, cause=None), AlertState.FIRING
    ),
    AlertCard(past_alerts.ITEMS, AlertState.ACKNOWLEDGED, past_alerts.ITEMS.acknowledged),
)
MORNING = replace(
    samples.BUSY,
    leader=replace(samples.ME, since=samples.ago(minutes=1, seconds=5)),
    alerts=ALERTS,
    findings=(OVERDUE, samples.FAILED, GAP),
)
"""Three problems, the worst first."""
LATER = replace(MORNING, findings=(samples.FAILED, GAP))
"""The overdue job has run."""
LAST = replace(MORNING, findings=(GAP,))
"""Nothing that failed is left."""


class Service(fakes.FakeService):
    """A service that knows the overdue job."""

    def __init__(self) -> None:
        super().__init__()
        job = past_jobs.a_job(
            BOARD, cron="0 * * * *", tz="UTC", covers=MOMENT, after=(), exclusive=None, aliases=(), catch_up=NONE
        )
        newest = next(each.newest for each in samples.SUCCESS if each.job == BOARD)
        others: dict[str, object] = {"excludes": (), "followers": (), "failing": FailingItems((), 0, ())}
        self.job_pages = {BOARD: past_jobs.a_page(job, newest=newest, usual=usual_duration(newest), **others)}

    def why(self, job: str, at: str | None, /) -> Explanation:
        missed = Answer(
            DUE,
            True,
            OccurrenceState.MISSED,
            Reason.NOT_LEADING,
            (
                "it was missed: no leader planned it on time, and missed times do not run (catch-up: none)",
                "it was recorded 2026-01-19 18:19:02 UTC, 19 min after the scheduled time, by the leader with token 41",
            ),
            (Proof("ops_occurrences", 812, {}), Proof("ops_leases", 1, {})),
        )
        hour = timedelta(hours=1)
        return past_jobs.an_explanation(
            job=job, cron="0 * * * *", tz="UTC", answers=(missed,), previous=DUE - hour, next=DUE + hour
        )


@pytest.fixture
def draw(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a picture in the docs with what it shows now, or replaces it."""

    def check(name: str, drawn: str) -> None:
        file = DOCS / name
        if request.config.getoption("update_snapshots"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(drawn, encoding="utf-8")
        assert text_of(file.read_text(encoding="utf-8")) == text_of(drawn), f"{name} is out of date: make snapshots"

    return check


def text_of(picture: str) -> str:
    """The text of a picture, without colours and positions."""
    return html.unescape("\n".join(re.findall(r"<text[^>]*>(.*?)</text>", picture, re.DOTALL)))


class Keys:
    """Presses keys and counts them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.count = 0

    async def press(self, *keys: str) -> None:
        for key in keys:
            self.count += 1
            await self._console.press(key)

    async def type(self, text: str) -> None:
        """Types a name or a date, which counts as one key."""
        self.count += 1
        await self._console.press(*("space" if letter == " " else letter for letter in text))


def within_three_keys(
    task: Callable[[Console, Keys, Callable[[str], None]], Awaitable[None]],
    draw: Callable[[str, str], None],
    snapshot: Snapshot,
    service: fakes.FakeService | None = None,
    installation: Installation | None = None,
) -> None:
    """Runs a task, which draws its picture."""

    async def scenario(console: Console) -> None:
        keys = Keys(console)
        await task(console, keys, lambda name: draw(f"pictures/{name}.svg", console.app.export_screenshot()))
        assert keys.count <= MOST_KEYS

    run_console(scenario, snapshot, service or Service(), SIZE, installation=installation)


Draw = Callable[[str, str], None]
Picture = Callable[[str], None]


def test_an_overdue_job_is_the_first_thing_on_the_screen(draw: Draw) -> None:
    async def task(console: Console, keys: Keys, picture: Picture) -> None:
        assert f"{BOARD} is overdue" in console.text
        picture("overdue")
        await keys.press("t", "enter")
        await console.until(lambda: console.service.calls_of("trigger"))
        assert console.service.calls_of("trigger") == [("trigger", BOARD, None)]

    within_three_keys(task, draw, MORNING)


def test_w_explains_why_it_is_overdue(draw: Draw) -> None:
    async def task(console: Console, keys: Keys, picture: Picture) -> None:
        await keys.press("w")
        await console.until(lambda: "loading the rows" not in console.text)
        assert f"Why {BOARD}" in console.text
        picture("why")

    within_three_keys(task, draw, MORNING)


def test_what_failed_is_retried(draw: Draw) -> None:
    async def task(console: Console, keys: Keys, picture: Picture) -> None:
        await keys.press("r")
        assert "Retry 3 items" in console.text
        picture("retry")
        await keys.press("enter")
        await console.until(lambda: console.service.calls_of("retry"))
        assert console.service.calls_of("retry") == [("retry", 4811)]

    within_three_keys(task, draw, LATER)


def test_a_gap_is_planned_and_filled(draw: Draw) -> None:
    async def task(console: Console, keys: Keys, picture: Picture) -> None:
        await keys.press("b")
        await console.until(lambda: "Plan 12" in console.text)
        assert isinstance(console.app.screen, CalendarScreen)
        picture("backfill")
        await keys.press("enter", "enter")
        await console.until(lambda: console.service.calls_of("apply_backfill"))
        planned = ("plan_backfill", (past.REPORT,), GAP.items[0], GAP.items[-1], Only.MISSING)
        assert console.service.calls_of("plan_backfill") == [planned]

    service = fakes.FakeService()
    service.plan_steps = tuple(past.a_step(n, date.fromisoformat(day)) for n, day in enumerate(GAP.items, 1))
    service.plan = replace(past.PLAN, since=GAP.items[0], until=GAP.items[-1], counts={StepState.PENDING: 4})
    service.warnings = []
    within_three_keys(task, draw, LAST, service)


def test_the_keys_of_a_user_are_cleared(draw: Draw) -> None:
    async def task(console: Console, keys: Keys, picture: Picture) -> None:
        await keys.press("c")
        await keys.type("asha")
        await console.until(lambda: "[ Clear 940 keys ]" in console.text)
        picture("clear")
        await keys.press("enter")
        await console.until(lambda: console.service.calls_of("clear"))
        assert console.service.calls_of("clear") == [("clear", ClearFilter(user="asha"), 940)]

    within_three_keys(task, draw, LAST)


def test_an_alert_is_acknowledged(draw: Draw) -> None:
    async def task(console: Console, keys: Keys, picture: Picture) -> None:
        await keys.press("a")
        picture("acknowledge")
        await keys.press("enter")
        await console.until(lambda: console.service.calls_of("acknowledge"))
        assert console.service.calls_of("acknowledge") == [("acknowledge", 8, None, "")]

    within_three_keys(task, draw, MORNING)


def test_last_tuesdays_run_is_found_and_its_number_copied(draw: Draw, tmp_path: Path) -> None:
    async def task(console: Console, keys: Keys, picture: Picture) -> None:
        await keys.press("slash")
        await keys.type("cache_day last tue")
        await console.until(lambda: "4,790" in console.text and "4,812" not in console.text)
        await keys.press("ctrl+y")
        await console.until(lambda: "copied.txt" in console.notice)
        assert isinstance(console.app.screen, RunsScreen)
        assert (tmp_path / COPY).read_text() == "4790\n"
        console.app.show_notice(
            "copied the number of run 4790 to the clipboard and ~/.local/share/opsconsole/copied.txt"
        )
        picture("copy")

    service = fakes.FakeService()
    service.pages[4790] = past_runs.PAGE
    within_three_keys(task, draw, LAST, service, Installation(data=tmp_path))


def test_the_picture_in_the_readme_is_the_dashboard(draw: Draw) -> None:
    async def scenario(console: Console) -> None:
        draw("dashboard.svg", console.app.export_screenshot())

    run_console(scenario, MORNING, Service(), (120, 40))


def test_every_picture_is_in_the_document() -> None:
    shown = re.findall(r"\]\((pictures/\w+\.svg)\)", DOCUMENT.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(f"pictures/{file.name}" for file in (DOCS / "pictures").iterdir())
