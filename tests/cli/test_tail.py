"""What `tail` prints of runs whose states have changed."""

from __future__ import annotations

from dataclasses import replace

from opsconsole.authoring.run import RunState
from opsconsole.cli.commands.tail import RunEvent, changes
from tests.rules.ended_runs import day, ended

GOOD = ended(6, day(1), ok=100)
QUEUED = replace(GOOD, id=8, state=RunState.QUEUED)
RUNNING = replace(GOOD, id=7, state=RunState.RUNNING)


def test_a_run_is_printed_when_it_is_queued_starts_and_ends() -> None:
    states = {6: RunState.RUNNING, 7: RunState.QUEUED}

    transitions = list(changes(states, [QUEUED, RUNNING, replace(GOOD, id=6)]))

    assert [(each.event, each.run.id) for each in transitions] == [
        (RunEvent.ENDED, 6),
        (RunEvent.STARTED, 7),
        (RunEvent.QUEUED, 8),
    ]


def test_nothing_is_printed_twice_and_a_recovery_is_not_a_start() -> None:
    states = {6: RunState.SUCCEEDED, 7: RunState.INTERRUPTED}

    assert list(changes(states, [RUNNING, replace(GOOD, id=6, state=RunState.SUCCEEDED)])) == []
