"""Takes work from the live runs in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from opsconsole.authoring.run import Run, Trigger
from opsconsole.leader.live_run import LiveRun
from opsconsole.worker.messages import Work

BACKFILL_SHARE = 4
"""How many batches of other runs come before one of a backfill."""


class Turns:
    """The order of the `live` runs. The run that gave work last comes last. Backfills wait for all others, except for
    their share of the batches. `contained` ends a run whose work raises.
    """

    def __init__(self, live: Mapping[int, LiveRun], contained: Callable[[Run], AbstractContextManager[None]]) -> None:
        self._live, self._contained = live, contained
        self._order: dict[int, None] = {}
        self._resting: set[int] = set()
        self._backfilled: set[int] = set()
        self._since_backfill = 0

    def add(self, run: Run) -> None:
        """Adds a run at the end of the order."""
        self._order[run.id] = None
        if run.trigger is Trigger.BACKFILL:
            self._backfilled.add(run.id)

    def remove(self, number: int) -> None:
        """Removes a run that has ended."""
        self._order.pop(number, None)
        self._backfilled.discard(number)

    def begin(self) -> None:
        """Begins a round, in which runs that had no work are tried again."""
        self._resting.clear()

    def next_work(self, starving_only: bool) -> Work | None:
        """The next planning or batch; None when no run has any in this round. With `starving_only`, only runs without a
        batch in flight are considered.
        """
        for number in self._in_turn():
            live = self._live.get(number)
            if live is None or (starving_only and live.has_in_flight):
                continue
            work = None
            with self._contained(live.run):
                work = live.next_planning() or live.next_batch()
            if work is None:
                self._resting.add(number)
                continue
            self._order[number] = self._order.pop(number)  # to the end
            is_backfill = number in self._backfilled
            self._since_backfill = 0 if is_backfill else self._since_backfill + bool(self._backfilled)
            return work
        return None

    def _in_turn(self) -> list[int]:
        order = [number for number in self._order if number not in self._resting]
        if not self._backfilled:
            return order
        backfills_first = self._since_backfill >= BACKFILL_SHARE
        return sorted(order, key=lambda number: (number in self._backfilled) is not backfills_first)
