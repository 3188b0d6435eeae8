"""The contract of executors: the same counts, failures, effects and retries with each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil, log2
from pathlib import Path

import msgspec
import pytest

from opsconsole.authoring.batch import Batch, BatchState
from opsconsole.authoring.run import Run, RunState
from opsconsole.store import batches, runs
from tests.conftest import Installing
from tests.faults.fork_server import ForkServer
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS
from tests.worker.attached import attached, broker_server, environ as attached_environ

NO_REDIS = "unix:///nowhere/redis.sock"
EXECUTORS = ("inline", "processes", "celery")
CELERY_IN_SOAK = ("inline", "processes", pytest.param("celery", marks=pytest.mark.soak))
DAY, NEXT_DAY = "2025-01-19", "2025-01-20"

ODD_IDS = ("o'hara", 'say "hi"', "back\\slash", "आशा", "line\nbreak", "sep\u2028arator", "🦊", "100%", "[1, 2]", "")


def environ(executor: str, workers: int = 1) -> dict[str, str]:
    return {"OPSCONSOLE_ENGINE__EXECUTOR": executor, "OPSCONSOLE_ENGINE__WORKERS": str(workers)}


class Executing:
    """Installations with each executor; the workers that Celery needs are attached to them."""

    def __init__(self, folder: Path, fork_server: ForkServer) -> None:
        self._folder, self._fork_server = folder, fork_server
        self._closing = ExitStack()

    def install(self, executor: str) -> Installation:
        how = environ(executor)
        if executor == "celery":
            broker = self._closing.enter_context(broker_server(self._folder / "broker"))
            how = attached_environ(broker.url)
        packs, folder = "tests.packs.counting", self._folder / "installation"
        place = Installation(folder, database_url=None, redis_url=NO_REDIS, packs=packs, environ=how)
        self._closing.callback(place.close)
        if executor == "celery":
            self._closing.enter_context(attached(place, self._fork_server))
        return place

    def close(self) -> None:
        self._closing.close()


@pytest.fixture
def executing(tmp_path: Path, fork_server: ForkServer) -> Iterator[Executing]:
    made = Executing(tmp_path, fork_server)
    yield made
    made.close()


def accounted(run: Run) -> bool:
    """Whether every planned item has exactly one outcome."""
    counts = run.counts
    return counts.planned == counts.ok + counts.failed + counts.skipped + counts.not_reached


@dataclass
class Mixed:
    """A run over things of all moods, the retry of its failed items, and another run of the same window."""

    place: Installation
    first: Run
    marks_after_first: dict[tuple[str, str], int]
    retried: Run
    tried_by_retry: list[tuple[int, str, int]]
    marks_after_retry: dict[tuple[str, str], int]
    again: Run
    marks_after_again: dict[tuple[str, str], int]


@pytest.fixture(scope="module", params=EXECUTORS)
def mixed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer
) -> Iterator[Mixed]:
    executing = Executing(tmp_path_factory.mktemp("mixed"), fork_server)
    place = executing.install(request.param)
    counting.put(place.data, {f"fine{i:02}": "fine" for i in range(20)} | dict.fromkeys(ODD_IDS, "fine"), score=3)
    counting.put(place.data, {"raiser1": "raises", "raiser2": "raises", "failer1": "fails", "failer2": "fails"})
    counting.put(place.data, {"waiter": "waits", "chatterer": "chats"})
    counting.put(place.data, {"collider": "collides"}, left=2)
    with place.leading():
        first = place.run("counting.count", DAY)
        after_first = counting.marks(place.data)
        counting.change(place.data, "raiser1", "fine")
        before_retry = len(counting.tried(place.data))
        retried = place.retry(first.id)
        tried_by_retry = counting.tried(place.data)[before_retry:]
        after_retry = counting.marks(place.data)
        again = place.run("counting.count", DAY)
    yield Mixed(
        place,
        first,
        after_first,
        retried,
        tried_by_retry,
        after_retry,
        again,
        counting.marks(place.data),
    )
    executing.close()


def test_every_item_of_a_mixed_run_is_counted_once(mixed: Mixed) -> None:
    counts = mixed.first.counts

    assert (counts.planned, counts.ok, counts.failed, counts.skipped, counts.not_reached) == (37, 32, 4, 1, 0)
    assert mixed.first.state is RunState.PARTIAL
    assert mixed.first.error is None


def test_failures_are_stored_by_item_and_counted_by_kind(mixed: Mixed) -> None:
    with mixed.place.store.reading() as db:
        failures = runs.failures_of(db, mixed.first.id)

    assert sorted((item, message) for item, _, message in failures) == [
        ("failer1", "out of ink"),
        ("failer2", "out of ink"),
        ("raiser1", "ItemError: cannot digest raiser1"),
        ("raiser2", "ItemError: cannot digest raiser2"),
    ]
    assert mixed.first.kinds == {
        "out_of_ink": 2,
        "item_error": 2,
    }


def test_exactly_the_items_that_were_ok_have_an_effect(mixed: Mixed) -> None:
    expected = {(DAY, id_): 3 for id_ in [f"fine{i:02}" for i in range(20)] + list(ODD_IDS)}

    assert mixed.marks_after_first == expected | {(DAY, "collider"): 1, (DAY, "chatterer"): 1}


def test_metrics_count_only_tries_that_returned(mixed: Mixed) -> None:
    # Items that called `fail`, or waited, were in tries that returned; items that raised were not.
    assert mixed.first.metrics == {"marks": 32, "weight": (37 - 2) * 0.5}


def test_the_log_has_the_lines_of_the_job_and_a_summary(mixed: Mixed) -> None:
    with mixed.place.store.reading() as db:
        lines = [line for _, line in runs.log_lines(db, mixed.first.id, limit=1000)]

    assert lines[0] == "[counting.count] 37 items in 4 batches"
    assert any("marked" in line for line in lines)
    assert lines[-1].startswith("[counting.count] partial: 32 ok, 4 failed of 37 in ")
    assert len(lines) == mixed.first.log_lines


def test_retried_batches_are_not_counted_twice(mixed: Mixed) -> None:
    with mixed.place.store.reading() as db:
        kept = batches.grid(db, mixed.first.id, limit=100)

    assert {state for _, state, _, _ in kept} <= {BatchState.DONE, BatchState.FAILED}
    assert mixed.first.batches == mixed.first.batches_done == len(kept)


def test_a_retry_covers_only_the_failed_items(mixed: Mixed) -> None:
    counts = mixed.retried.counts

    assert (counts.planned, counts.ok, counts.failed) == (4, 1, 3)
    assert mixed.retried.parent == mixed.first.id
    assert mixed.retried.window == mixed.first.window
    assert max(items for items, _, _ in mixed.tried_by_retry) == 4
    assert mixed.marks_after_retry == mixed.marks_after_first | {(DAY, "raiser1"): 1}


def test_running_a_window_twice_has_the_same_effect(mixed: Mixed) -> None:
    assert (mixed.again.counts.planned, mixed.again.counts.ok) == (37, 33)
    assert mixed.marks_after_again == mixed.marks_after_retry


@pytest.mark.parametrize("executor", CELERY_IN_SOAK)
def test_one_bad_item_in_five_hundred_fails_alone_and_costs_few_calls(executor: str, executing: Executing) -> None:
    place = executing.install(executor)
    counting.put(place.data, {f"item{i:03}": "fine" for i in range(500)})
    counting.change(place.data, "item321", "raises")

    with place.leading():
        ended = place.run("counting.gross", DAY)
        calls = len(counting.tried(place.data, "counting.gross"))
        counting.change(place.data, "item321", "fine")
        retried = place.retry(ended.id)

    assert ended.state is RunState.PARTIAL
    assert (ended.counts.ok, ended.counts.failed) == (499, 1)
    assert calls - 1 <= 2 * ceil(log2(500))
    assert counting.tried(place.data, "counting.gross")[calls:] == [
        (1, "item321", counting.tried(place.data, "counting.gross")[-1][2])
    ]
    assert (retried.state, retried.counts.planned, retried.counts.ok) == (RunState.SUCCEEDED, 1, 1)
    assert len(counting.marks(place.data, "counting.gross")) == 500


@pytest.mark.parametrize("executor", CELERY_IN_SOAK)
def test_a_job_that_fails_for_every_item_is_stopped_early(executor: str, executing: Executing) -> None:
    place = executing.install(executor)
    counting.put(place.data, {f"item{i:04}": "fine" for i in range(2000)})

    with place.leading():
        ended = place.run("counting.broken", DAY)
        retried = place.retry(ended.id)

    assert ended.state is RunState.FAILED
    assert ended.error is not None
    assert "the printer is on fire" in ended.error
    assert accounted(ended)
    assert 60 <= ended.counts.failed <= 80
    assert ended.counts.not_reached == 2000 - ended.counts.failed
    assert retried.counts.planned == 2000, "items that were not reached are retried as well"


def test_a_permanent_conflict_fails_its_batch_after_the_last_attempt(installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ("inline"))
    counting.put(place.data, {"anna": "fine", "ben": "fine"})
    counting.put(place.data, {"collider": "collides"}, left=99)

    ended = place.run("counting.count", DAY)

    assert ended.state is RunState.FAILED
    assert ended.counts.failed == 3
    assert list(ended.kinds) == ["retries_exhausted"]
    assert len(counting.tried(place.data)) == 3


def test_a_conflict_on_postgresql_is_retried(installing: Installing, postgres_url: str) -> None:
    place = installing(
        database_url=postgres_url, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ("inline")
    )
    counting.put(place.data, {"anna": "fine"})
    counting.put(place.data, {"collider": "collides"}, left=2)

    ended = place.run("counting.count", DAY)

    assert ended.state is RunState.SUCCEEDED
    assert len(counting.tried(place.data)) == 3
    assert counting.marks(place.data) == {(DAY, "anna"): 1, (DAY, "collider"): 1}


def test_runs_for_different_moments_are_independent(installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ("inline"))
    counting.put(place.data, {"anna": "fine", "ben": "raises"})

    ended = place.run("counting.moment")
    counting.change(place.data, "ben", "fine")
    retried = place.retry(ended.id)

    assert retried.window == ended.window
    assert retried.as_of == ended.as_of
    assert counting.marks(place.data, "counting.moment") == {
        (ended.window.label, "anna"): 1,
        (ended.window.label, "ben"): 1,
    }


def test_a_run_without_items_succeeds(installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ("inline"))

    ended = place.run("counting.count", DAY)

    assert (ended.state, ended.counts.planned) == (RunState.SUCCEEDED, 0)


def test_a_short_list_of_names_is_a_population(installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ("inline"))

    ended = place.run("counting.names", NEXT_DAY)

    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 2)
    assert counting.marks(place.data, "counting.names") == {(NEXT_DAY, "ledger"): 6, (NEXT_DAY, "index"): 5}


@pytest.mark.parametrize(
    ("job", "problem"),
    [
        ("counting.scores", "must yield strings, not int"),
        ("counting.unknown", "must yield strings, not NoneType"),
        ("counting.numbers", "must yield strings, not int"),
        ("counting.pairs", "must select one column, not 2"),
        ("counting.misspelt", "raised KeyError: 'not prepared'"),
        ("counting.nowhere", "no such table"),
    ],
)
def test_an_invalid_population_fails_only_its_run(job: str, problem: str, installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ("inline"))
    counting.put(place.data, {"anna": "fine"})

    with place.leading() as engine:
        ended = place.run(job, DAY)
        other = place.run("counting.count", DAY)

    assert ended.state is RunState.FAILED
    assert ended.error is not None
    assert problem in ended.error
    assert ended.attempt == 1
    assert engine.problem is None
    assert other.state is RunState.SUCCEEDED


def test_a_retry_of_everything_plans_each_item_once(tmp_path: Path, installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ("inline"))
    counting.put(place.data, {f"item{i:02}": "fine" for i in range(30)})
    counting.put(place.data, {"collider": "collides"}, left=1)

    ended = place.run("counting.count", DAY)
    retried = place.retry(ended.id, everything=True)

    assert retried.counts.planned == ended.counts.planned == 31


def test_a_run_without_failed_items_cannot_be_retried(installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ("inline"))
    counting.put(place.data, {"anna": "fine"})
    ended = place.run("counting.count", DAY)

    with pytest.raises(AssertionError, match=r"has nothing to retry: no item failed; .* --all"):
        place.retry(ended.id)


def test_a_batch_survives_a_round_trip_through_json() -> None:
    from datetime import UTC, datetime

    from opsconsole.calendar.windows import Window

    at = datetime(2026, 1, 18, 18, 30, 0, 123456, tzinfo=UTC)
    batch = Batch(1, 2, 3, "counting.count", Window(at, at, DAY), at, list(ODD_IDS), {"mean": 0.1}, 300.0)

    line = msgspec.json.encode(batch)

    assert b"\n" not in line
    assert msgspec.json.decode(line, type=Batch) == batch


def test_ten_large_runs_are_planned_side_by_side(installing: Installing, postgres_url: str) -> None:
    place = installing(
        database_url=postgres_url, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ("inline")
    )
    counting.put(place.data, {f"item{i:05}": "fine" for i in range(12_000)})
    requested = [place.service.commands.trigger("counting.wide", f"2025-01-{day:02}") for day in range(1, 11)]

    with place.leading() as engine:
        made = [
            outcome.run
            for command in requested
            if (outcome := place.service.commands.outcome(command, PATIENCE_SECONDS)) and outcome.run
        ]
        ended = [run for number in made if (run := place.service.commands.wait_for_run(number, PATIENCE_SECONDS))]

    assert [(run.state, run.counts.ok, run.attempt) for run in ended] == [(RunState.SUCCEEDED, 12_000, 1)] * 10
    assert engine.problem is None
