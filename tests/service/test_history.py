"""The history of runs, as the service reads it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from opsconsole.authoring.run import RunState
from opsconsole.core.errors import UnknownRun
from opsconsole.rules.run_search import RunSearch, Segment
from opsconsole.rules.search_words import BadSearch
from opsconsole.store import registrations
from tests.cli import seeds
from tests.cli.seeds import NOON
from tests.conftest import Installing
from tests.installation import Installation

JOB = "counting.count"


@pytest.fixture
def place(installing: Installing) -> Installation:
    return installing(database_url=None, redis_url="redis://127.0.0.1:1", packs="tests.packs.counting")


def ran(place: Installation, days: int, state: RunState = RunState.SUCCEEDED) -> int:
    at = NOON + timedelta(days=days)
    return seeds.ran(place, JOB, at, state, failed=["ben"] if state is RunState.PARTIAL else [], scheduled=False)


def test_runs_are_found_by_segment_and_filter(place: Installation) -> None:
    first, second, third = ran(place, 0, RunState.FAILED), ran(place, 1, RunState.PARTIAL), ran(place, 2)
    history = place.service.history

    def found(typed: str, segment: Segment = Segment.ALL) -> list[int]:
        return [run.id for run in history.find(typed, segment).runs]

    assert found("") == [third, second, first]
    assert found("count", Segment.FAILED) == [first]
    assert found("2026-01-20..2026-01-21") == [third, second]
    assert found("partial", Segment.FAILED) == []
    assert found("by asha") == [third, second, first]
    assert found("by somebody", Segment.MINE) == []
    with pytest.raises(BadSearch):
        history.find("31 feb", Segment.ALL)


def test_only_the_first_page_counts(place: Installation) -> None:
    numbers = [ran(place, day) for day in range(5)]
    history = place.service.history

    first = history.find("", Segment.ALL, limit=2)
    second = history.find("", Segment.ALL, before=first.next_before, limit=2)
    last = history.find("", Segment.ALL, before=second.next_before, limit=2)

    assert [run.id for page in (first, second, last) for run in page.runs] == numbers[::-1]
    assert (first.total, first.more_in_total, second.total, last.next_before) == (5, False, None, None)
    with pytest.raises(UnknownRun):
        history.find("", Segment.ALL, before=999)


def test_runs_of_a_job_that_is_no_longer_loaded_are_found(place: Installation) -> None:
    run = ran(place, 0)
    with place.store.writing() as db:
        registrations.register(db, seeds.job(place, JOB), NOON)
        db.exec_driver_sql("UPDATE ops_jobs SET job = 'former.job', tz = 'Asia/Kolkata'")
        db.exec_driver_sql("UPDATE ops_runs SET job = 'former.job'")

    assert [each.id for each in place.service.history.find("former", Segment.ALL).runs] == [run]
    assert place.service.history.select(RunSearch(jobs=("former.job",)), limit=5).total == 1


def test_every_failed_item_is_read(place: Installation) -> None:
    run = ran(place, 0, RunState.PARTIAL)
    assert [each.item for each in place.service.history.all_failed_items(run)] == ["ben"]
    with pytest.raises(UnknownRun):
        place.service.history.failed_items(999)
