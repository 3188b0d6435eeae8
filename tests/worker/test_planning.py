"""The contract of plannings: the same facts and the same pages from each executor."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsconsole.authoring.batch import Lost
from opsconsole.authoring.context import Resources
from opsconsole.authoring.run import RunState, Selection
from opsconsole.calendar.windows import Window
from opsconsole.store import batches
from opsconsole.worker.executor import Executor, Stopped
from opsconsole.worker.inline import Inline
from opsconsole.worker.messages import Planning, PlanningResult, Work
from opsconsole.worker.planning import PAGE_CHARACTERS, PAGE_KEYS
from opsconsole.worker.processes import Processes
from tests.conftest import Installing
from tests.installation import Installation

EXECUTORS = ("inline", "processes")
AT = datetime(2026, 1, 18, 18, 30, tzinfo=UTC)
WINDOW = Window(AT, AT, "2025-01-19")


@pytest.fixture(params=EXECUTORS)
def place(request: pytest.FixtureRequest, installing: Installing) -> Installation:
    return installing(
        database_url=None,
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.planned",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": request.param, "OPSCONSOLE_ENGINE__WORKERS": "1"},
    )


def executor_of(place: Installation, folder: Path) -> Executor:
    if place.settings.engine.executor == "inline":
        resources = Resources(place.settings.data_url.reveal(), "unix:///nowhere/redis.sock")
        return Inline(place.catalog, resources)
    return Processes(place.settings.for_workers(), 1, errors=folder / "workers.log")


def feed_of(planning: Planning) -> Generator[Work | None, bool, None]:
    yield None
    yield None
    yield planning
    yield from [None] * 10_000


def answers(
    place: Installation,
    folder: Path,
    job: str,
    *,
    prepare: bool = False,
    selection: Selection | None = Selection.ALL,
    stopped: Stopped = lambda work: False,
) -> list[PlanningResult]:
    """All answers to a planning."""
    executor = executor_of(place, folder)
    found = []
    for answer in executor(feed_of(Planning(7, job, WINDOW, AT, prepare, selection, 60.0)), stopped):
        if answer is not None:
            assert isinstance(answer, PlanningResult)
            found.append(answer)
            if answer.is_last:
                break
    executor.close()
    return found


def test_a_population_comes_in_pages(place: Installation, tmp_path: Path) -> None:
    found = answers(place, tmp_path, "planned.many")

    assert [len(answer.keys) for answer in found] == [PAGE_KEYS, PAGE_KEYS, 2_000]
    assert [answer.done for answer in found] == [False, False, True]
    assert [key for answer in found for key in answer.keys] == [f"item{i:05}" for i in range(12_000)]
    assert {answer.run for answer in found} == {7}


def test_pages_of_long_keys_are_shorter(place: Installation, tmp_path: Path) -> None:
    found = answers(place, tmp_path, "planned.long")

    assert len(found) > 1
    assert max(sum(map(len, answer.keys)) for answer in found) <= PAGE_CHARACTERS
    assert sum(len(answer.keys) for answer in found) == 3_000


def test_facts_come_first_and_as_json_has_them(place: Installation, tmp_path: Path) -> None:
    facts, *pages = answers(place, tmp_path, "planned.prepared", prepare=True)

    assert facts.facts == {"1": [1, 2], "day": "2025-01-19"}
    assert not facts.is_last
    assert [(page.keys, page.done) for page in pages] == [(["anna", "ben"], True)]


def test_facts_alone_are_prepared_for_a_retry(place: Installation, tmp_path: Path) -> None:
    facts, end = answers(place, tmp_path, "planned.prepared", prepare=True, selection=None)

    assert facts.facts is not None
    assert (end.keys, end.done) == ([], True)


def test_an_empty_population_is_one_answer(place: Installation, tmp_path: Path) -> None:
    assert answers(place, tmp_path, "planned.nothing") == [PlanningResult(7, done=True)]


@pytest.mark.parametrize(
    ("job", "cause"),
    [
        ("planned.immense", "the preparation of planned.immense failed: its facts must have at most "),
        ("planned.strange", "the preparation of planned.strange failed: its facts cannot be encoded as JSON: "),
        ("planned.unfinished", "the population of planned.unfinished must yield strings, not int"),
    ],
)
def test_what_cannot_be_planned_says_why(job: str, cause: str, place: Installation, tmp_path: Path) -> None:
    last = answers(place, tmp_path, job, prepare=job != "planned.unfinished")[-1]

    assert last.reason is not None
    assert last.reason.startswith(cause)
    assert (last.done, last.broken, last.lost) == (False, None, None)


def test_a_planning_that_is_stopped_ends(place: Installation, tmp_path: Path) -> None:
    last = answers(place, tmp_path, "planned.endless", stopped=lambda work: True)[-1]

    assert (last.lost, last.reason) == (Lost.STOPPED, "it was stopped")


def test_a_run_is_planned_whole_with_each_executor(place: Installation) -> None:
    run = place.run("planned.many", "2025-01-19")

    assert (run.state, run.counts.planned, run.counts.ok) == (RunState.SUCCEEDED, 12_000, 12_000)
    with place.store.reading() as db:
        grid = batches.grid(db, run.id, limit=100)
    assert {items for _, _, items, _ in grid[:-1]} == {700}


def test_a_run_without_an_end_fails(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsconsole.leader.run_planner.MAX_ITEMS", 20_000)

    run = place.run("planned.endless", "2025-01-19")

    assert (run.state, run.error) == (
        RunState.FAILED,
        "its population has more than 20,000 items; make it smaller",
    )
    assert run.counts.planned == run.counts.not_reached + run.counts.ok
