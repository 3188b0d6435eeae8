"""Starts runs: those that were queued, and further attempts of those that were interrupted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from opsconsole.authoring import parameters
from opsconsole.authoring.job import Job
from opsconsole.authoring.parameters import BadParameter
from opsconsole.authoring.run import Run, RunState
from opsconsole.core.humanize import duration
from opsconsole.leader.live_run import LiveRun
from opsconsole.leader.recorder import Recorder

MAX_RECOVERIES = 3
"""A run that is interrupted more often, without a batch done in between, is abandoned."""


class Starts:
    """Makes live runs. `find` returns the job of a run, None when no pack defines it. `outlasted` are the runs that one
    was to follow, and no longer waits for.
    """

    def __init__(self, recorder: Recorder, find: Callable[[str], Job | None]) -> None:
        self._recorder, self._find = recorder, find

    def queued(self, run: Run, outlasted: Sequence[Run], now: datetime) -> LiveRun | None:
        """A run whose start is written with other changes; None for one that needs more than a start."""
        job = self._find(run.job)
        if job is None or run.state is not RunState.QUEUED or self.refusal(run) is not None:
            return None
        live = LiveRun.start(run, job, self._recorder.start_of(run, now))
        _prepare(live, outlasted, now)
        return live

    def resumed(self, run: Run, outlasted: Sequence[Run], now: datetime) -> LiveRun:
        """Starts a run and writes it."""
        job = self._find(run.job)
        assert job is not None  # noqa: S101 - it is refused otherwise
        run, last_seq, waiting = self._recorder.resume(run, now)
        live = LiveRun(run, job, last_seq=last_seq, waiting=waiting, at=now)
        _prepare(live, outlasted, now)
        return live

    def refusal(self, run: Run) -> tuple[RunState, str] | None:
        """How a run is to end instead of being started, and why."""
        job = self._find(run.job)
        if job is None:
            return RunState.FAILED, f"no loaded pack defines {run.job}"
        if run.stop is not None:
            return RunState.CANCELLED, run.stop.message
        try:
            parameters.checked(job, run.params)
        except BadParameter as error:  # the job has changed since
            return RunState.FAILED, error.sentence
        return None


def _prepare(live: LiveRun, outlasted: Sequence[Run], now: datetime) -> None:
    if outlasted:
        waited = duration(live.job.after_wait)
        live.add_log(now, f"starting without {outlasted[0].job}, after waiting {waited} for it")
    if live.run.recoveries > MAX_RECOVERIES:
        live.stop(RunState.ABANDONED, f"interrupted more than {MAX_RECOVERIES} times without progress")
