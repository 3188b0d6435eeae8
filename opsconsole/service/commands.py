"""Everything an operator can request: each request becomes a command row, and the leader carries it out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.run import OPEN, Run, Selection
from opsconsole.cache import clearing
from opsconsole.core.database import reason
from opsconsole.core.errors import NotAllowed, Unavailable
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.settings import Actor, Role
from opsconsole.rules import actions
from opsconsole.rules.actions import MATCHING, Verb
from opsconsole.service.backend import Backend
from opsconsole.service.queries import canonical
from opsconsole.service.snapshot import CommandProgress, Outcome
from opsconsole.store import commands, runs
from opsconsole.store.commands import CommandState
from opsconsole.store.runs import RunFilter

POLL_SECONDS = 0.05


class Commands:
    """Each request returns the number of its command. Requests of a viewer are recorded as refused and raise
    NotAllowed. `sent` is called after each request.
    """

    def __init__(self, backend: Backend, sent: Callable[[], None]) -> None:
        self._backend, self._sent = backend, sent

    def trigger(
        self,
        job: str,
        day: str | None = None,
        *,
        only: Selection = Selection.ALL,
        backfill: bool = False,
        actor: Actor | None = None,
    ) -> int:
        """Requests a run, over all items or only the stale ones. `actor` is who requests it when that is not this
        process's user. Raises BadWindow, UnknownJob or StaleNotSupported at once.
        """
        found = self._backend.catalog.find(job)
        actions.trigger_window(found, day, self._backend.now())
        actions.check_selection(found, only)
        return self.send(Verb.TRIGGER, found.name, {"date": day, "only": only, "backfill": backfill}, actor)

    def retry(self, run: int, *, everything: bool = False) -> int:
        """Requests a retry of a run's failed items, or of all its items. Raises UnknownRun."""
        self._run(run)
        return self.send(Verb.RETRY, str(run), {"all": everything})

    def retry_matching(self, wanted: RunFilter, *, everything: bool = False) -> int:
        """Requests a retry of every run that matches and has no retry yet."""
        found = msgspec.to_builtins(canonical(self._backend, wanted))
        return self.send(Verb.RETRY, MATCHING, {"all": everything, "filter": found})

    def cancel(self, run: int, *, force: bool = False, note: str = "") -> int:
        """Requests the end of a run: once its batches in flight are done or the grace period is over, at once with
        `force`. Raises UnknownRun.
        """
        self._run(run)
        return self.send(Verb.CANCEL, str(run), {"force": force, "note": note})

    def pause(self, target: str, *, until: datetime | None, note: str = "") -> int:
        """Requests that the scheduled times of a job, a pack, or `all` are skipped until `until`; until resumed when
        that is None. Replaces a pause of the same target. Raises UnknownJob.
        """
        name = actions.pause_target(self._backend.catalog, target)
        return self.send(Verb.PAUSE, name, {"until": until.isoformat() if until else None, "note": note})

    def resume(self, target: str, *, note: str = "") -> int:
        """Requests that a paused job, pack, or `all` continues. Raises UnknownJob."""
        return self.send(Verb.RESUME, actions.pause_target(self._backend.catalog, target), {"note": note})

    def clear_cache(self, wanted: clearing.ClearFilter, *, counted: int | None = None) -> int:
        """Requests that the matching cached keys are removed, unless there are many more than `counted`. Raises
        BadWanted or BadKey at once.
        """
        backend = self._backend
        # Refuses a bad filter; counts nothing until the first step is taken.
        clearing.sweep(backend.tools.cache.client, backend.catalog.families, wanted, remove=False)
        parts = {"user": wanted.user, "subject": wanted.subject, "family": wanted.family, "date": wanted.date}
        return self.send(Verb.CLEAR, str(wanted), {**parts, "counted": counted})

    def replay_events(self, since: datetime) -> int:
        """Requests that the events that happened at `since` or later are published again."""
        return self.send(Verb.REPLAY, f"events since {since.isoformat()}", {"since": since.isoformat()})

    def send(self, verb: Verb, target: str, arguments: Mapping[str, object], actor: Actor | None = None) -> int:
        """Writes a command row, and returns its number. Raises NotAllowed, Unavailable."""
        actor, at = actor or self._backend.settings.actor, self._backend.now()
        try:
            with self._backend.store.writing() as db:
                number = commands.request(db, verb, target, arguments, actor, at)
                if actor.role is not Role.OPERATOR:
                    # The leader would refuse it too, but there may be none.
                    commands.refuse(db, commands.get(db, number), NotAllowed(verb), at)
        except SQLAlchemyError as error:
            raise Unavailable("store", reason(error)) from error
        if actor.role is not Role.OPERATOR:
            raise NotAllowed(verb)
        reach(Point.COMMAND_REQUESTED)
        self._sent()
        return number

    # --- what came of it ----------------------------------------------------------------------------------------

    def outcome(self, command: int, wait_seconds: float) -> Outcome | None:
        """The outcome of a command; None when no leader has carried it out within `wait_seconds`."""
        end = time.monotonic() + wait_seconds
        while True:
            with self._backend.reading() as db:
                found = commands.get(db, command)
            if found.state not in (CommandState.REQUESTED, CommandState.RUNNING):
                return Outcome(found.verb, found.outcome)
            if time.monotonic() > end:
                return None
            time.sleep(POLL_SECONDS)

    def progress(self, command: int) -> CommandProgress | None:
        """How far a command is that is carried out in steps; None before and after."""
        with self._backend.reading() as db:
            found = commands.get(db, command)
        if found.state is not CommandState.RUNNING:
            return None
        step = found.outcome
        return CommandProgress(step.get("step", ""), *(step.get(name, 0) for name in ("scanned", "of", "cleared")))

    def wait_for_run(self, run: int, seconds: float) -> Run | None:
        """The run once it has ended; None when it has not within `seconds`. Raises UnknownRun."""
        end = time.monotonic() + seconds
        while (found := self._run(run)).state in OPEN:
            if time.monotonic() > end:
                return None
            time.sleep(POLL_SECONDS)
        return found

    def _run(self, number: int) -> Run:
        with self._backend.reading() as db:
            return runs.get(db, number)
