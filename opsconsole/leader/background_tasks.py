"""Executes commands that take several steps, and counts stale items, in a thread of the leader."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.cache.clearing import ClearProgress, sweep
from opsconsole.cache.filters import ClearFilter
from opsconsole.calendar.windows import minutes
from opsconsole.core.clock import Clock
from opsconsole.core.database import reason
from opsconsole.core.errors import Exit, Fenced, OpsconsoleError, Refused, Unavailable
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.humanize import count
from opsconsole.rules.actions import BACKGROUND_VERBS, Verb, check_actor
from opsconsole.store import Store, commands, events, windows
from opsconsole.store.commands import Command
from opsconsole.worker.counting import Counter, request

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
CHECK_SECONDS = 5.0
CHECK_AGAIN = minutes(10)
"""The shortest time between two checks of a window."""
PROGRESS_SECONDS = 0.25
JOIN_SECONDS = 5.0
TOLERANCE = 0.1
FEW_KEYS = 10
"""A clear is refused when it would remove over a tenth more keys than were counted before, and more than a few."""

Steps = Iterator[Mapping[str, Any]]
"""The progress of a command after each step; the last one is its outcome."""


class BackgroundTasks:
    """Executes one command at a time with its leader's token. The next leader restarts an interrupted command, so
    every command must be repeatable.

    `may_start_work` returns whether the lease allows new work; `only_command` limits it to one command.
    """

    def __init__(
        self,
        store: Store,
        tools: Resources,
        catalog: Catalog,
        counter: Counter,
        token: int,
        *,
        may_start_work: Callable[[], bool],
        now: Clock,
        only_command: int | None = None,
    ) -> None:
        self._store, self._tools, self._catalog, self._token = store, tools, catalog, token
        self._counter = counter
        self._now, self._only_command = now, only_command
        self._may_start_work = may_start_work
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._main, name="background-tasks", daemon=True)

    def start(self) -> None:
        """Starts with the commands of earlier leaders."""
        self._thread.start()

    def wake(self) -> None:
        """Checks for commands now."""
        self._wake.set()

    def stop(self) -> None:
        """Stops after the current step, and closes its connections."""
        self._stopping.set()
        self._wake.set()
        self._counter.close()
        self._thread.join(JOIN_SECONDS)
        self._tools.close()

    def _main(self) -> None:
        checked = time.monotonic()
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                for command in self._waiting():
                    self._execute(command)
                due = time.monotonic() - checked > CHECK_SECONDS
                if due and self._only_command is None and self._may_start_work():
                    checked = time.monotonic()
                    self._check_a_window()
            except Fenced:
                return
            except SQLAlchemyError as error:
                log.warning("background tasks wait: the store is unreachable: %s", reason(error))
            self._wake.wait(POLL_SECONDS)

    def _check_a_window(self) -> None:
        """Counts the stale items of the window with the oldest check."""
        now = self._now()
        jobs = [job.name for job in self._catalog if job.stale is not None]
        with self._store.reading() as db:
            due = windows.next_to_check(db, jobs, now - CHECK_AGAIN)
        if due is None:
            return
        name, window = due
        try:
            counting = request(self._catalog.find(name), window, min(window.end, now), stale=True)
            stale = self._counter.count(counting)
        except OpsconsoleError as error:
            log.warning("%s %s: stale items could not be counted: %s", name, window.label, error.sentence)
            return
        with self._store.fenced(self._token) as db:
            windows.record_check(db, name, window, stale, now)

    def _waiting(self) -> list[Command]:
        if not self._may_start_work():
            return []
        with self._store.reading() as db:
            unfinished = commands.unfinished(db, BACKGROUND_VERBS)
        return [command for command in unfinished if self._only_command in (None, command.id)]

    def _execute(self, command: Command) -> None:
        progress: Mapping[str, Any] = {}
        recorded = 0.0
        refusal: OpsconsoleError | None = None
        try:
            check_actor(Verb(command.verb), command.actor)
            for progress in self._steps(command):
                if self._stopping.is_set() or not self._may_start_work():
                    return
                if time.monotonic() - recorded > PROGRESS_SECONDS:
                    recorded = time.monotonic()
                    with self._store.fenced(self._token) as db:
                        commands.record_progress(db, command, progress)
        except Fenced:
            raise
        except OpsconsoleError as error:
            refusal = error
        with self._store.fenced(self._token) as db:
            if refusal is not None:
                commands.refuse(db, command, refusal, self._now())
            else:
                commands.finish(db, command, progress, self._now())
        reach(Point.COMMAND_SETTLED)

    def _steps(self, command: Command) -> Steps:
        if Verb(command.verb) is Verb.CLEAR:
            return self._clear(command)
        return self._replay(command)

    def _clear(self, command: Command) -> Steps:
        """Counts the matching keys again and clears them. Raises Refused when there are many more than before."""
        selected = ClearFilter(**{name: command.arguments.get(name) for name in ("user", "subject", "family", "date")})
        client, families = self._tools.cache.client, self._tools.families
        counted = command.arguments.get("counted")
        if counted is not None:
            for step in sweep(client, families, selected, remove=False):
                yield {"step": "counting", "scanned": step.scanned, "of": step.of}
            if step.total > counted + max(FEW_KEYS, TOLERANCE * counted):
                raise Refused(f"{step.total:,} keys match now, not {counted:,}; count them again before clearing")
        cleared = 0
        try:
            for step in sweep(client, families, selected, remove=True):
                cleared = step.total
                yield {"step": "clearing", "scanned": step.scanned, "of": step.of, "cleared": step.total}
        except Unavailable as error:
            raise PartlyCleared(error, cleared) from error
        yield clear_outcome(step)

    def _replay(self, command: Command) -> Steps:
        since = datetime.fromisoformat(command.arguments["since"])
        try:
            with self._tools.data.writing() as db:
                again = events.publish_again(db, since)
        except SQLAlchemyError as error:
            raise Unavailable("data", reason(error)) from error
        yield {"events": again}


class PartlyCleared(OpsconsoleError):
    """Redis became unreachable while keys were being cleared."""

    exit_code = Exit.FAILED

    def __init__(self, cause: Unavailable, cleared: int) -> None:
        super().__init__(f"{cause.sentence}; {count(cleared, 'key')} cleared so far, clear again for the rest")


def clear_outcome(swept: ClearProgress) -> Mapping[str, Any]:
    """The outcome of a finished clear."""
    families = {name: n for name, n in swept.found.items() if n}
    return {"cleared": swept.total, "families": families, "skipped_families": list(swept.skipped_families)}
