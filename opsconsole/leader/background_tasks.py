"""Executes commands that take several steps, and counts stale items, in a thread of the leader."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.cache.filters import ClearFilter
from opsconsole.cache.reads import Reads
from opsconsole.calendar.windows import Window, minutes
from opsconsole.core.clock import Clock
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import Exit, Fenced, OpsconsoleError, Refused, Unavailable
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.humanize import count
from opsconsole.core.problems import Work
from opsconsole.core.supervision import Loop, Supervisor, describe, is_outage, log_failure
from opsconsole.leader.command_handlers import refuse_failed
from opsconsole.rules.actions import BACKGROUND_VERBS, Verb, check_actor
from opsconsole.store import Store, cache_days, commands, events, set_aside, windows
from opsconsole.store.commands import Command, CommandState
from opsconsole.store.set_aside import Kind, SetAside
from opsconsole.worker.counting import Counter, request

if TYPE_CHECKING:
    from opsconsole.cache.clearing import ClearProgress  # redis-py, which most commands do without

CHECK_SECONDS = 5.0
"""The time between two checks; the engine wakes this thread for commands."""
QUIET_CHECKS = 12
"""How many times longer the wait is while no window is due and this process has written nothing. A run that ends does
not shorten a wait that has begun: its window may be counted a minute later."""
CHECK_AGAIN = minutes(10)
"""The shortest time between two checks of a window."""
SIZES_SECONDS, FIRST_SIZES_SECONDS = 600.0, 60.0
"""The time between two samples of the cache, and before the first one."""
SURVEY_SECONDS = 1.0
PROGRESS_SECONDS = 0.25
MAX_SET_ASIDE = 10_000
"""How many events that were set aside a replay forgets."""
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
        supervisor: Supervisor,
        may_start_work: Callable[[], bool],
        now: Clock,
        only_command: int | None = None,
    ) -> None:
        self._store, self._tools, self._catalog, self._token = store, tools, catalog, token
        self._counter = counter
        self._now, self._only_command = now, only_command
        self._may_start_work = may_start_work
        self._checks = supervisor.repeated(Work.STALENESS_CHECKS)
        self._checked = time.monotonic()
        self._quiet_version: int | None = None
        self._sizes = supervisor.repeated(Work.CACHE_SIZES)
        self._sized = time.monotonic() - SIZES_SECONDS + FIRST_SIZES_SECONDS
        self._is_cancelled = False
        self._loop = Loop(Work.BACKGROUND_COMMANDS, self._step, seconds=CHECK_SECONDS, now=now)
        supervisor.watch(self._loop)

    def start(self) -> None:
        """Starts with the commands of earlier leaders."""
        self._loop.start()

    def wake(self) -> None:
        """Checks for commands now."""
        self._loop.wake()

    def stop(self) -> None:
        """Stops after the current step, and closes its connections."""
        self._loop.request_stop()
        self._counter.close()
        self._loop.stop()
        self._tools.close()

    def _step(self) -> float | None:
        for number in self._waiting():
            self._execute(number)
        due = time.monotonic() - self._checked > CHECK_SECONDS * (QUIET_CHECKS if self._is_quiet else 1)
        if due and self._only_command is None and self._may_start_work() and not self._loop.is_stopping:
            self._checked = time.monotonic()
            self._checks.attempt(self._check_a_window)
            if time.monotonic() - self._sized > SIZES_SECONDS:
                self._sized = time.monotonic()
                self._sizes.attempt(self._record_cache_sizes)
        return CHECK_SECONDS * QUIET_CHECKS if self._is_quiet else None

    @property
    def _is_quiet(self) -> bool:
        """Whether no window was due at the last check, and this process has written nothing since."""
        return self._quiet_version == self._store.version

    def _record_cache_sizes(self) -> None:
        """Samples what Redis holds of each family, for the figures of the day. An unreachable Redis is reported by
        others.
        """
        with suppress(Unavailable):
            survey = self._tools.cache.survey(self._tools.families, seconds=SURVEY_SECONDS)
            with self._store.fenced(self._token) as db:
                cache_days.record_sizes(db, self._now().date(), survey.families)

    def _check_a_window(self) -> None:
        """Counts the stale items of the window with the oldest check. One that cannot be counted is set aside, so that
        the others get their turn.
        """
        now, version = self._now(), self._store.version
        jobs = [job.name for job in self._catalog if job.stale is not None]
        due = None
        if jobs:
            with self._store.reading() as db:
                due = windows.next_to_check(db, jobs, now - CHECK_AGAIN)
        if due is None:
            self._quiet_version = version
            return
        name, label = due
        subject = f"{name} {label}"
        try:
            window, stale = self._count_stale(name, label, now)
        except BaseException as error:  # it is code of the pack, or a damaged record
            if isinstance(error, Unavailable) or is_outage(error):
                raise
            if self._loop.is_stopping:
                return  # which ends the count
            log_failure(f"counting the stale items of {subject}", error)
            with self._store.fenced(self._token) as db:
                windows.record_failed_check(db, name, label, now)
                set_aside.add(db, SetAside(Kind.STALENESS_CHECK, subject, subject, now, describe(error)[0]))
            return
        with self._store.fenced(self._token) as db:
            windows.record_check(db, name, window, stale, now)
            set_aside.remove(db, Kind.STALENESS_CHECK, [subject])

    def _count_stale(self, name: str, label: str, now: datetime) -> tuple[Window, int]:
        with self._store.reading() as db:
            window = windows.get(db, name, label)
        return window, self._counter.count(request(self._catalog.find(name), window, min(window.end, now), stale=True))

    def _waiting(self) -> list[int]:
        if not self._may_start_work():
            return []
        with self._store.reading() as db:
            unfinished = commands.unfinished(db, BACKGROUND_VERBS)
        return [number for number in unfinished if self._only_command in (None, number)]

    def _execute(self, number: int) -> None:
        try:
            self._execute_steps(number)
        except BaseException as error:  # noqa: BLE001 - raised again, or the reason why the command is refused
            refuse_failed(self._store, self._token, number, error, self._now())

    def _execute_steps(self, number: int) -> None:
        with self._store.reading() as db:
            command = commands.get(db, number)
        progress: Mapping[str, Any] = {}
        recorded = 0.0
        refusal: OpsconsoleError | None = None
        self._is_cancelled = command.state is CommandState.STOPPING
        try:
            check_actor(Verb(command.verb), command.actor)
            for progress in self._steps(command):
                self._loop.repeated.progress()
                if self._loop.is_stopping or not self._may_start_work():
                    with suppress(Fenced), self._store.fenced(self._token) as db:
                        commands.record_progress(db, command, progress)  # the next leader adds to it
                    return
                if time.monotonic() - recorded > PROGRESS_SECONDS:
                    recorded = time.monotonic()
                    with self._store.fenced(self._token) as db:
                        self._is_cancelled = not commands.record_progress(db, command, progress)
        except Fenced:
            raise
        except OpsconsoleError as error:
            refusal = error
        with self._store.fenced(self._token) as db:
            if refusal is not None:
                commands.refuse(db, command, refusal, self._now())
            elif self._is_cancelled:
                by = commands.get(db, number).outcome.get("cancelled_by")
                commands.finish(db, command, {**progress, "cancelled_by": by}, self._now())
            else:
                commands.finish(db, command, progress, self._now())
        reach(Point.COMMAND_SETTLED)

    def _steps(self, command: Command) -> Steps:
        if Verb(command.verb) is Verb.CLEAR:
            return self._clear(command)
        return self._replay(command)

    def _clear(self, command: Command) -> Steps:
        """Counts the matching keys again and clears them, up to where it is cancelled. Raises Refused when there are
        many more than before.
        """
        selected = ClearFilter(**{each.name: command.arguments.get(each.name) for each in fields(ClearFilter)})
        from opsconsole.cache.clearing import ClearProgress, sweep

        before = collections.Counter(command.outcome.get("families", {}))
        if self._is_cancelled:
            yield clear_outcome(ClearProgress(before, 0, 0), {})
            return
        client, declared = self._tools.cache.client, self._tools.families
        counted = command.arguments.get("counted")
        if counted is not None:
            for step in sweep(client, declared, selected, remove=False):
                yield {"step": "counting", "scanned": step.scanned, "of": step.of}
                if self._is_cancelled:
                    yield clear_outcome(replace(step, found=before), {})
                    return
            if step.total > counted + max(FEW_KEYS, TOLERANCE * counted):
                raise Refused(f"{step.total:,} keys match now, not {counted:,}; count them again before clearing")
        cleared = 0
        try:
            for step in sweep(client, declared, selected, remove=True):
                step = replace(step, found=before + collections.Counter(step.found))
                cleared = step.total
                families = {name: n for name, n in step.found.items() if n}
                done = {"cleared": cleared, "families": families}
                yield {"step": "clearing", "scanned": step.scanned, "of": step.of, **done}
                if self._is_cancelled:
                    break
        except Unavailable as error:
            raise PartlyCleared(error, cleared) from error
        yield clear_outcome(step, self._reads(step.found))

    def _reads(self, families: Mapping[str, int]) -> Mapping[str, Reads]:
        """The reads of today so far, with which the reads after a clearing are compared."""
        with self._store.reading() as db:
            today = cache_days.since(db, self._now().date())
        return {each.family: Reads(each.hits, each.misses) for each in today if families.get(each.family)}

    def _replay(self, command: Command) -> Steps:
        since = datetime.fromisoformat(command.arguments["since"])
        with self._store.reading() as db:
            aside = [int(item.subject) for item in set_aside.newest(db, Kind.EVENT, limit=MAX_SET_ASIDE)]
        try:
            with self._tools.data.writing() as db:
                again = events.publish_again(db, since)
                tried_again = events.requeued(db, aside)
        except SQLAlchemyError as error:
            raise Unavailable("data", reason(error)) from error
        with self._store.fenced(self._token) as db:
            set_aside.remove(db, Kind.EVENT, list(map(str, tried_again)))
        yield {"events": again}


class PartlyCleared(OpsconsoleError):
    """Redis became unreachable while keys were being cleared."""

    exit_code = Exit.FAILED

    def __init__(self, cause: Unavailable, cleared: int) -> None:
        super().__init__(f"{cause.sentence}; {count(cleared, 'key')} cleared so far, clear again for the rest")


def clear_outcome(swept: ClearProgress, reads: Mapping[str, Reads]) -> Mapping[str, Any]:
    """The outcome of a finished clear. `reads` are those of the day until then."""
    return {
        "cleared": swept.total,
        "families": {name: n for name, n in swept.found.items() if n},
        "skipped_families": list(swept.skipped_families),
        "reads": {name: [each.hits, each.misses] for name, each in sorted(reads.items())},
    }
