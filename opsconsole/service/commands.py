"""Everything an operator can request: each request becomes a command row, and the leader carries it out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import msgspec

from opsconsole.authoring import parameters
from opsconsole.authoring.run import NO_PARAMS, OPEN, Run, Selection
from opsconsole.cache.filters import ClearFilter
from opsconsole.core.bounds import MAX_NOTE, json_problem, text_problem
from opsconsole.core.database import Connection
from opsconsole.core.errors import BadValue, Exit, NotAllowed, OpsconsoleError, Refused
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.settings import Actor, Role
from opsconsole.rules import actions
from opsconsole.rules.actions import MATCHING, Verb
from opsconsole.service.backend import Backend
from opsconsole.service.outcomes import CommandProgress, Outcome
from opsconsole.store import audit, commands, runs
from opsconsole.store.commands import Command, CommandState

POLL_SECONDS = 0.05
OTHER = "request"
"""The verb of what is no command, in the audit trail."""
NO_FILTER: Mapping[str, object] = MappingProxyType({})
SAME_TIME = timedelta(seconds=2)
"""How much two times of a repeated request may differ beyond what has passed in between."""


class KeyUsed(Refused):
    """An idempotency key that was already used for another request."""

    def __init__(self, command: int) -> None:
        super().__init__(f"this key was already used for another request (command {command}); use a new key")


class RefusedBefore(OpsconsoleError):
    """A repeated request that was refused the first time: it stays refused, also if it would be allowed by now."""

    def __init__(self, command: int, message: str, exit_code: int) -> None:
        self.exit_code = Exit(exit_code)
        super().__init__(f"{message} (command {command}); use a new key to request it again")


class Commands:
    """Each request returns the number of its command. Requests of a viewer are recorded as refused and raise
    NotAllowed. `sent` is called after each request.
    """

    def __init__(self, backend: Backend, sent: Callable[[], None]) -> None:
        self._backend, self._sent = backend, sent
        self._actor: Actor | None = None
        self._key: str | None = None

    def by(self, actor: Actor, key: str | None = None) -> Commands:
        """The same, for requests of someone other than this process's user. A second request with the same `key`
        returns the command of the first.
        """
        found = Commands(self._backend, self._sent)
        found._actor, found._key = actor, key
        return found

    @property
    def actor(self) -> Actor:
        """The user who makes the requests."""
        return self._actor or self._backend.settings.actor

    def trigger(
        self,
        job: str,
        day: str | None = None,
        *,
        only: Selection = Selection.ALL,
        params: Mapping[str, object] = NO_PARAMS,
        backfill: bool = False,
    ) -> int:
        """Requests a run, over all items or only the stale ones. Raises BadWindow, UnknownJob,
        StaleNotSupported or BadParameter at once.
        """
        found = self._backend.catalog.find(job)
        actions.trigger_window(found, day, self._backend.now())
        actions.check_selection(found, only)
        given = parameters.checked(found, params)
        arguments = {"date": day, "only": only, "backfill": backfill, **({"params": given} if given else {})}
        return self.send(Verb.TRIGGER, found.name, arguments)

    def retry(self, run: int, *, everything: bool = False) -> int:
        """Requests a retry of a run's failed items, or of all its items. Raises UnknownRun."""
        self._run(run)
        return self.send(Verb.RETRY, str(run), {"all": everything})

    def retry_runs(
        self,
        numbers: Sequence[int],
        *,
        everything: bool = False,
        matching: Mapping[str, object] = NO_FILTER,
        counted: int | None = None,
    ) -> int:
        """Requests a retry of exactly these runs, unless there are more than `counted`. `matching` is the filter that
        has found them, which is recorded.
        """
        return self.send(Verb.RETRY, MATCHING, {"all": everything, **_found(numbers, matching, counted)})

    def cancel_runs(
        self,
        numbers: Sequence[int],
        *,
        force: bool = False,
        note: str = "",
        matching: Mapping[str, object] = NO_FILTER,
        counted: int | None = None,
    ) -> int:
        """Requests the end of exactly these runs, as `cancel` does for one; the rest as for `retry_runs`."""
        return self.send(Verb.CANCEL, MATCHING, {"force": force, "note": note, **_found(numbers, matching, counted)})

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

    def schedule(self, job: str, cron: str, tz: str | None = None, *, note: str = "") -> int:
        """Requests another schedule for a job, in its zone or in `tz`. Raises UnknownJob, BadCron, BadZone,
        SameSchedule at once.
        """
        found, cron = self._backend.catalog.find(job), " ".join(cron.split())
        actions.check_schedule(found, cron, tz or found.tz)
        return self.send(Verb.SCHEDULE, found.name, {"cron": cron, "tz": tz or found.tz, "note": note})

    def reset_schedule(self, job: str, *, note: str = "") -> int:
        """Requests that a job has the schedule of code and configuration again. Raises UnknownJob."""
        return self.send(Verb.RESET_SCHEDULE, self._backend.catalog.find(job).name, {"note": note})

    def clear_cache(self, conditions: ClearFilter, *, counted: int | None = None) -> int:
        """Requests that the matching cached keys are removed, unless there are many more than `counted`. Raises
        BadClearFilter or BadKey at once.
        """
        self.check_clear(conditions)
        return self.send(Verb.CLEAR, str(conditions), {**asdict(conditions), "counted": counted})

    def cancel_clearing(self, number: int | None = None) -> int:
        """Requests that a clearing of the cache stops: the newest one without a number. Raises NoClearing."""
        if number is None:
            with self._backend.reading() as db:
                number = max(commands.unfinished(db, (Verb.CLEAR,)), default=None)
            if number is None:
                raise actions.NoClearing
        return self.send(Verb.CANCEL_CLEARING, str(number), {})

    def check_clear(self, conditions: ClearFilter) -> None:
        """Raises BadClearFilter or BadKey for conditions that can match no key. Scans nothing."""
        from opsconsole.cache import clearing  # redis-py, which the other commands do without

        backend = self._backend
        clearing.sweep(backend.resources.cache.client, backend.catalog.families, conditions, remove=False)

    def replay_events(self, since: datetime) -> int:
        """Requests that the events that happened at `since` or later are published again."""
        return self.send(Verb.REPLAY, f"events since {since.isoformat()}", {"since": since.isoformat()})

    def refuse(self, action: str) -> NotAllowed:
        """Records that a viewer requested an action that is no command; the error to raise. Raises Unavailable."""
        error, at = NotAllowed(action), self._backend.now()
        after = {"error": error.code, "message": error.sentence, "exit_code": int(error.exit_code)}
        with self._backend.writing() as db:
            audit.append(
                db,
                command=None,
                verb=OTHER,
                target=action,
                actor=self.actor,
                at=at,
                outcome=CommandState.REFUSED,
                before=None,
                after=after,
            )
        return error

    def performed(self, verb: Verb, target: str, arguments: Mapping[str, object]) -> Mapping[str, Any] | None:
        """The outcome of the same request with the same key, if there was one. Refuses viewers, as `send` does. Raises
        RefusedBefore when that request was refused.
        """
        if self.actor.role is not Role.OPERATOR:
            self.send(verb, target, arguments)
        if self._key is None:
            return None
        with self._backend.reading() as db:
            number = self._repeated(db, verb, target, arguments, self._backend.now())
            return None if number is None else _performed(db, number)

    def perform(
        self,
        verb: Verb,
        target: str,
        arguments: Mapping[str, object],
        write: Callable[[Connection], Mapping[str, object]],
    ) -> Mapping[str, Any]:
        """Carries out at once, in one transaction, what needs no leader: `write` returns the outcome. Raises BadValue,
        KeyUsed, RefusedBefore, Unavailable.
        """
        _check(target, arguments)
        at = self._backend.now()
        with self._backend.writing() as db:
            if (repeated := self._repeated(db, verb, target, arguments, at)) is not None:
                return _performed(db, repeated)
            number = commands.request(db, verb, target, arguments, self.actor, at, self._key)
            outcome = write(db)
            commands.finish(db, commands.get(db, number), outcome, at)
        return outcome

    def send(self, verb: Verb, target: str, arguments: Mapping[str, object]) -> int:
        """Writes a command row, and returns its number. Raises BadValue, NotAllowed, Unavailable."""
        _check(target, arguments)
        actor, at = self.actor, self._backend.now()
        refusal: NotAllowed | None = None
        try:
            actions.check_actor(verb, actor)
        except NotAllowed as error:
            refusal = error
        with self._backend.writing() as db:
            if (repeated := self._repeated(db, verb, target, arguments, at)) is not None:
                if refusal is not None:
                    raise refusal
                return repeated
            number = commands.request(db, verb, target, arguments, actor, at, self._key)
            if refusal is not None:
                # The leader would refuse it too, but there may be none.
                commands.refuse(db, commands.get(db, number), refusal, at)
        if refusal is not None:
            raise refusal
        reach(Point.COMMAND_REQUESTED)
        self._sent()
        return number

    def _repeated(
        self, db: Connection, verb: Verb, target: str, arguments: Mapping[str, object], at: datetime
    ) -> int | None:
        """The command that was requested with the same key, if any. Raises KeyUsed if that was another request."""
        earlier = commands.with_key(db, self.actor, self._key) if self._key is not None else None
        if earlier is None:
            return None
        if not _is_same(earlier, verb, target, arguments, at):
            raise KeyUsed(earlier.id)
        return earlier.id

    # --- outcomes -----------------------------------------------------------------------------------------------

    def outcome(self, command: int, wait_seconds: float) -> Outcome | None:
        """The outcome of a command; None when no leader has carried it out within `wait_seconds`."""
        deadline = time.monotonic() + wait_seconds
        while True:
            with self._backend.reading() as db:
                found = commands.get(db, command)
            if found.state in (CommandState.DONE, CommandState.REFUSED):
                return Outcome(found.verb, found.outcome)
            if time.monotonic() > deadline:
                return None
            time.sleep(POLL_SECONDS)

    def progress(self, command: int) -> CommandProgress | None:
        """The progress of a command that is carried out in steps; None before and after."""
        with self._backend.reading() as db:
            found = commands.get(db, command)
        if found.state not in (CommandState.RUNNING, CommandState.STOPPING):
            return None
        step = found.outcome
        return CommandProgress(step.get("step", ""), *(step.get(name, 0) for name in ("scanned", "of", "cleared")))

    def wait_for_run(self, run: int, seconds: float) -> Run | None:
        """The run once it has ended; None when it is still active after `seconds`. Raises UnknownRun."""
        deadline = time.monotonic() + seconds
        while (found := self._run(run)).state in OPEN:
            if time.monotonic() > deadline:
                return None
            time.sleep(POLL_SECONDS)
        return found

    def _run(self, number: int) -> Run:
        with self._backend.reading() as db:
            return runs.get(db, number)


def _check(target: str, arguments: Mapping[str, object]) -> None:
    """Raises BadValue for what cannot be stored."""
    for name, value in {"target": target, **arguments}.items():
        if problem := text_problem(value, MAX_NOTE) if isinstance(value, str) else json_problem(value):
            raise BadValue(f"the {name} {problem}")


def _performed(db: Connection, number: int) -> Mapping[str, Any]:
    """The outcome of a command that was carried out at once. Raises RefusedBefore."""
    found = commands.get(db, number)
    if found.state is CommandState.REFUSED:
        outcome = Outcome(found.verb, found.outcome)
        raise RefusedBefore(number, outcome.refused or "", outcome.exit_code)
    return found.outcome


def _found(numbers: Sequence[int], matching: Mapping[str, object], counted: int | None) -> dict[str, object]:
    found: dict[str, object] = {"runs": list(numbers)}
    if matching:
        found["matching"] = dict(matching)
    if counted is not None:
        found["counted"] = counted
    return found


def _is_same(earlier: Command, verb: Verb, target: str, arguments: Mapping[str, object], at: datetime) -> bool:
    """Whether a request at `at` repeats an earlier one."""
    is_same_target = earlier.target == target or verb is Verb.REPLAY  # that target is the time in the arguments
    given = msgspec.json.decode(msgspec.json.encode(arguments))
    old = dict(earlier.arguments)
    if "matching" in given and "matching" in old:  # what matches may have changed by the first request
        old["runs"] = given["runs"]
    return earlier.verb == verb and is_same_target and _are_alike(old, given, at - earlier.requested_at)


def _are_alike(old: object, new: object, passed: timedelta) -> bool:
    """Whether two values are equal, or differ in times that a client gave relative to its request, such as `2h`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_are_alike(old[name], new[name], passed) for name in old)
    if old == new:
        return True
    first, second = _moment(old), _moment(new)
    return first is not None and second is not None and abs(second - first - passed) < SAME_TIME


def _moment(value: object) -> datetime | None:
    """The time that a text is, with its zone; None for anything else."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
