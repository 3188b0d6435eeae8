"""Runs jobs through the engine, with worker processes, as in a headless process or a console."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from benchmarks.environment import Environment
from opsconsole.authoring.run import Run, RunState
from opsconsole.core import clock
from opsconsole.leader.engine import Engine
from opsconsole.service.service import Service
from opsconsole.store import windows

TIMEOUT_SECONDS = 3600


class RunningEngine:
    """A leading engine with a paused schedule, which runs only what is requested."""

    def __init__(self, env: Environment, service: Service) -> None:
        self._env, self.service = env, service

    def run(self, job: str, day: date | None) -> tuple[Run, float]:
        """Runs a job; returns the run and the seconds from the request to its recorded end."""
        began = clock.now()
        command = self.service.commands.trigger(job, day.isoformat() if day else None)
        outcome = self.service.commands.outcome(command, 30)
        assert outcome is not None, "the command was not processed"
        assert outcome.run is not None, outcome.refused
        run = self.service.commands.wait_for_run(outcome.run, TIMEOUT_SECONDS)
        assert run is not None, "the run did not end"
        assert run.ended_at is not None
        assert run.state is RunState.SUCCEEDED, (run.state, run.counts, run.error, run.kinds)
        self._looked_at(run)
        return run, (run.ended_at - began).total_seconds()

    def _looked_at(self, run: Run) -> None:
        """Marks the window as checked, so that the leader's staleness check does not disturb the next measurement."""
        if run.window.start < run.window.end:
            with self._env.store.writing() as db:
                windows.record_check(db, run.job, run.window, 0, clock.now())


@contextmanager
def running_engine(env: Environment) -> Iterator[RunningEngine]:
    """Runs an engine with ready workers during the block."""
    service = Service(env.settings, env.store, env.catalog)
    engine = Engine(env.settings, env.store, env.catalog)
    service.use_engine(engine)
    paused = service.commands.pause("all", until=None, note="a benchmark")
    engine.start()
    try:
        outcome = service.commands.outcome(paused, 30)
        assert outcome is not None, engine.problem or "no process leads"
        assert outcome.refused is None, outcome.refused
        yield RunningEngine(env, service)
    finally:
        engine.stop()
        service.close()
