"""What operators ask for outside the store, and what is worked out in the background: a thread of the leader's own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring import outbox
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.cache.clearing import ClearFilter, ClearProgress, sweep
from opsconsole.calendar.windows import minutes
from opsconsole.core.clock import Clock
from opsconsole.core.database import reason
from opsconsole.core.errors import Exit, Fenced, OpsconsoleError, Refused, Unavailable
from opsconsole.core.failpoints import Point, reach
from opsconsole.rules.actions import BACKGROUND_VERBS, Verb, check_actor
from opsconsole.store import Store, commands, windows
from opsconsole.store.commands import Command, CommandState
from opsconsole.worker import staleness

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
LOOK_AT_A_WINDOW_SECONDS = 5.0
LOOK_AGAIN = minutes(10)
"""A window is looked at again after this time at the earliest."""
TELL_SECONDS = 0.25
"""Between two notes of how far a chore is."""
JOIN_SECONDS = 5.0
MAY_DIFFER = 0.1
FEW_KEYS = 10
"""A clearing is refused when it would remove over a tenth more keys than were counted before, if that is more than a
few."""

Steps = Iterator[Mapping[str, Any]]
"""How far a chore is, after each step; the last one is its outcome."""


class BackgroundTasks:
    """Does chores one after the other, with the token of the leader it belongs to. One that is cut off begins anew
    under the next leader: each may be done twice.

    `sure` says whether the lease allows new work; `only` limits it to one command.
    """

    def __init__(
        self,
        store: Store,
        tools: Resources,
        catalog: Catalog,
        token: int,
        *,
        sure: Callable[[], bool],
        now: Clock,
        only: int | None = None,
    ) -> None:
        self._store, self._tools, self._catalog, self._token = store, tools, catalog, token
        self._now, self._only = now, only
        self._sure = sure
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._main, name="chores", daemon=True)

    def start(self) -> None:
        """Begins with what others have left."""
        self._thread.start()

    def wake(self) -> None:
        """Something was asked for: look at once."""
        self._wake.set()

    def stop(self) -> None:
        """Ends after the step in flight, and closes its connections."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(JOIN_SECONDS)
        self._tools.close()

    def _main(self) -> None:
        looked = time.monotonic()
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                for command in self._waiting():
                    self._carry_out(command)
                if self._only is None and time.monotonic() - looked > LOOK_AT_A_WINDOW_SECONDS and self._sure():
                    looked = time.monotonic()
                    self._look_at_a_window()
            except Fenced:
                return
            except SQLAlchemyError as error:
                log.warning("chores wait: the store is away: %s", reason(error))
            self._wake.wait(LOOK_SECONDS)

    def _look_at_a_window(self) -> None:
        """Works out how much of one window is stale: the one whose last look is longest ago."""
        now = self._now()
        jobs = [job.name for job in self._catalog if job.stale is not None]
        with self._store.reading() as db:
            found = windows.oldest_look(db, jobs, now - LOOK_AGAIN)
        if found is None:
            return
        name, window = found
        try:
            stale = staleness.count(self._tools.data, self._catalog, self._catalog.find(name), window, now)
        except OpsconsoleError as error:
            log.warning("%s %s: what is stale could not be worked out: %s", name, window.label, error.sentence)
            return
        with self._store.fenced(self._token) as db:
            windows.looked(db, name, window, stale, now)

    def _waiting(self) -> list[Command]:
        if not self._sure():
            return []
        with self._store.reading() as db:
            found = commands.unsettled(db, BACKGROUND_VERBS)
        return [command for command in found if self._only in (None, command.id)]

    def _carry_out(self, command: Command) -> None:
        done: Mapping[str, Any] = {}
        told = 0.0
        try:
            check_actor(Verb(command.verb), command.actor)
            for done in self._steps(command):
                if self._stopping.is_set() or not self._sure():
                    return
                if time.monotonic() - told > TELL_SECONDS:
                    told = time.monotonic()
                    with self._store.fenced(self._token) as db:
                        commands.tell(db, command, done)
        except OpsconsoleError as error:
            if isinstance(error, Fenced):
                raise
            self._settle(command, CommandState.REFUSED, {"why": error.sentence, "exit_code": int(error.exit_code)})
        else:
            self._settle(command, CommandState.DONE, done)

    def _settle(self, command: Command, state: CommandState, outcome: Mapping[str, Any]) -> None:
        with self._store.fenced(self._token) as db:
            commands.settle(db, command, state, outcome, self._now())
        reach(Point.COMMAND_SETTLED)

    def _steps(self, command: Command) -> Steps:
        if Verb(command.verb) is Verb.CLEAR:
            return self._clear(command)
        return self._replay(command)

    def _clear(self, command: Command) -> Steps:
        """Counts once more and clears what is wanted. Raises Refused when there is much more than was counted."""
        wanted = ClearFilter(**{name: command.arguments.get(name) for name in ("user", "subject", "family", "date")})
        client, families = self._tools.cache.client, self._tools.families
        counted = command.arguments.get("counted")
        if counted is not None:
            for step in sweep(client, families, wanted, remove=False):
                yield {"step": "counting", "scanned": step.scanned, "of": step.of}
            if step.total > counted + max(FEW_KEYS, MAY_DIFFER * counted):
                raise Refused(f"there are {step.total:,} keys by now, not {counted:,}; look again before clearing them")
        gone = 0
        try:
            for step in sweep(client, families, wanted, remove=True):
                gone = step.total
                yield {"step": "clearing", "scanned": step.scanned, "of": step.of, "cleared": step.total}
        except Unavailable as error:
            raise PartlyCleared(error, gone) from error
        yield cleared(step)

    def _replay(self, command: Command) -> Steps:
        since = datetime.fromisoformat(command.arguments["since"])
        try:
            with self._tools.data.writing() as db:
                again = outbox.publish_again(db, since)
        except SQLAlchemyError as error:
            raise Unavailable("data", reason(error)) from error
        yield {"done": f"{_counted(again, 'event')} published again", "events": again}


class PartlyCleared(OpsconsoleError):
    """Redis went away while keys were being cleared."""

    exit_code = Exit.FAILED

    def __init__(self, cause: Unavailable, gone: int) -> None:
        super().__init__(f"{cause.sentence}; {gone:,} keys are cleared already, clear once more for the rest")


def cleared(swept: ClearProgress) -> Mapping[str, Any]:
    """What is kept of a clearing that is done."""
    families = {name: n for name, n in swept.found.items() if n}
    of = f" of {len(families)} famil{'y' if len(families) == 1 else 'ies'}" if families else ""
    done = f"{_counted(swept.total, 'key', of)} cleared"
    skipped = list(swept.skipped_families)
    return {"done": done, "cleared": swept.total, "families": families, "skipped_families": skipped}


def _counted(n: int, what: str, of: str = "") -> str:
    return f"1 {what}{of} is" if n == 1 else f"{n:,} {what}s{of} are"
