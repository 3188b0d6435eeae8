"""Runs that were planned: the engine starts them without reading them, and none twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from opsconsole.authoring.run import Run
from opsconsole.calendar.windows import Window
from opsconsole.leader.planned_runs import PlannedRuns
from opsconsole.store.run_rows import scheduled_run
from tests.packs.counting import pack

NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)


def run(number: int) -> Run:
    window = Window(NOON, NOON, "12:00")
    return scheduled_run(number, pack.jobs[0], window, as_of=NOON, at=NOON, occurrence=number)


def test_runs_are_taken_once_after_they_are_committed() -> None:
    woken: list[bool] = []
    planned = PlannedRuns(lambda: woken.append(planned.are_waiting))

    with planned.adding([run(1), run(2)]):
        assert not planned.are_waiting

    assert woken == [True]
    assert planned.take() == [run(1), run(2)]
    assert planned.take() == []


def test_a_plan_without_runs_wakes_nobody() -> None:
    planned = PlannedRuns(lambda: pytest.fail("there is nothing to start"))

    with planned.adding([]):
        pass


def test_runs_of_a_plan_that_was_not_committed_are_not_taken() -> None:
    planned = PlannedRuns(lambda: pytest.fail("there is nothing to start"))

    with pytest.raises(ConnectionError), planned.adding([run(1)]):
        raise ConnectionError

    assert planned.take() == []


def test_runs_that_replace_others_are_left_to_be_read_with_them() -> None:
    woken: list[bool] = []
    planned = PlannedRuns(lambda: woken.append(planned.are_waiting))

    with planned.adding([run(1)], replace_others=True):
        pass

    assert woken == [False]


def test_runs_that_were_added_before_one_that_replaces_them_are_left_to_be_read() -> None:
    planned = PlannedRuns(lambda: None)
    with planned.adding([run(1)]):
        pass

    with planned.adding([run(2)], replace_others=True):
        pass

    assert planned.take() == []


def test_runs_after_one_that_replaces_others_are_left_to_be_read_as_they_may_follow_it() -> None:
    planned = PlannedRuns(lambda: None)
    with planned.adding([run(1)], replace_others=True):
        pass

    with planned.adding([run(2)]):
        pass
    taken = planned.take()
    with planned.reading():
        pass
    with planned.adding([run(3)]):
        pass

    assert taken == []
    assert planned.take() == [run(3)]


def test_a_failed_reading_hands_nothing_over() -> None:
    planned = PlannedRuns(lambda: None)
    with planned.adding([run(1)], replace_others=True):
        pass

    with pytest.raises(ConnectionError), planned.reading():
        raise ConnectionError
    with planned.adding([run(2)]):
        pass

    assert planned.take() == []


def test_runs_that_were_read_are_not_taken_as_well() -> None:
    planned = PlannedRuns(lambda: None)
    with planned.adding([run(1)]):
        pass

    with planned.reading():
        pass
    with planned.adding([run(2)]):
        pass

    assert planned.take() == [run(2)]
