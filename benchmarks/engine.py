"""Runs jobs through the engine, with worker processes, as in a headless process or a console."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from benchmarks.environment import Ground
from opsconsole.authoring.run import Run, RunState
from opsconsole.core import clock
from opsconsole.leader.engine import Engine
from opsconsole.service.service import Service
from opsconsole.store import windows

PATIENCE_SECONDS = 3600


class Leading:
    """An engine that leads and whose schedule is paused: it does what it is asked to."""

    def __init__(self, ground: Ground, service: Service) -> None:
        self._ground, self.service = ground, service

    def run(self, job: str, day: date | None) -> tuple[Run, float]:
        """A run of the job to its end, and seconds from asking for it to its recorded end."""
        began = clock.now()
        command = self.service.commands.trigger(job, day.isoformat() if day else None)
        outcome = self.service.commands.outcome(command, 30)
        assert outcome is not None, "nobody carried the command out"
        assert outcome.run is not None, outcome.refused
        run = self.service.commands.wait_for_run(outcome.run, PATIENCE_SECONDS)
        assert run is not None, "it did not end"
        assert run.ended_at is not None
        assert run.state is RunState.SUCCEEDED, (run.state, run.counts, run.error, run.kinds)
        self._looked_at(run)
        return run, (run.ended_at - began).total_seconds()

    def _looked_at(self, run: Run) -> None:
        """A leader looks in the background what of the window is stale: that is not to be in what is measured next."""
        if run.window.start < run.window.end:
            with self._ground.store.writing() as db:
                windows.record_check(db, run.job, run.window, 0, clock.now())


@contextmanager
def leading(ground: Ground) -> Iterator[Leading]:
    """Until the end of the block an engine leads, its workers ready."""
    service = Service(ground.settings, ground.store, ground.catalog)
    engine = Engine(ground.settings, ground.store, ground.catalog)
    service.use_engine(engine)
    paused = service.commands.pause("all", until=None, note="a benchmark")
    engine.start()
    try:
        outcome = service.commands.outcome(paused, 30)
        assert outcome is not None, engine.problem or "nobody leads"
        assert outcome.refused is None, outcome.refused
        yield Leading(ground, service)
    finally:
        engine.stop()
        service.close()
