"""Operators during a campaign: they start, cancel, retry and pause jobs, and never wait for the outcome."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from opsconsole.authoring.run import NEEDS_A_LOOK, OPEN
from opsconsole.core.errors import OpsconsoleError
from tests.faults.cluster import Cluster
from tests.packs import chaos
from tests.waiting import finished


class Operators:
    """Send commands at random times, in a separate thread: on PostgreSQL a command waits for a leader that stopped
    while it recorded the outcome of another.
    """

    def __init__(self, cluster: Cluster, rng: random.Random) -> None:
        self.actions: Counter[str] = Counter()
        self._cluster, self._rng = cluster, rng
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, name="operators", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread when its current command is written."""
        self._done.set()
        if self._thread.is_alive():
            finished(self._thread)

    def _work(self) -> None:
        acts: dict[Callable[[], object], int] = {
            self._trigger: 5,
            self._cancel: 3,
            self._retry: 3,
            self._pause: 1,
            self._resume: 1,
        }
        while not self._done.wait(self._rng.uniform(0.02, 0.3)):
            act = self._rng.choices(list(acts), list(acts.values()))[0]
            try:
                act()
            except OpsconsoleError:
                self.actions["commands refused by an unreachable store"] += 1

    def _trigger(self) -> None:
        self._cluster.service.commands.trigger(self._rng.choice(chaos.BY_HAND))

    def _cancel(self) -> None:
        found = self._cluster.service.queries.runs(limit=10, states=OPEN)
        if found:
            self._cluster.service.commands.cancel(self._rng.choice(found).id, force=self._rng.random() < 0.5)

    def _retry(self) -> None:
        found = self._cluster.service.queries.runs(limit=10, states=NEEDS_A_LOOK)
        if found:
            self._cluster.service.commands.retry(self._rng.choice(found).id, everything=self._rng.random() < 0.3)

    def _pause(self) -> None:
        until = self._cluster.clock.now() + timedelta(minutes=self._rng.uniform(1, 5))
        self._cluster.service.commands.pause(self._rng.choice(chaos.JOBS).name, until=until)

    def _resume(self) -> None:
        found = self._cluster.service.queries.pauses()
        if found:
            self._cluster.service.commands.resume(self._rng.choice(found).target)
