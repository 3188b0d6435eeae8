"""Commands: what operators request, until the leader has executed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from opsconsole.core.bounds import MAX_ID
from opsconsole.core.database import Connection
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.settings import Actor, Role
from opsconsole.store import audit
from opsconsole.store.tables import commands


class CommandState(StrEnum):
    """Where a command is in its life."""

    REQUESTED = "requested"
    RUNNING = "running"
    STOPPING = "stopping"  # it was cancelled and has not ended yet
    DONE = "done"
    REFUSED = "refused"


UNFINISHED = (CommandState.REQUESTED, CommandState.RUNNING, CommandState.STOPPING)


@dataclass(frozen=True, slots=True)
class Command:
    """A request of an operator. `outcome` holds the values that its verb returns; `error`, `message` and `exit_code`
    when it was refused; its progress while it is running.
    """

    id: int
    verb: str
    target: str
    arguments: Mapping[str, Any]
    actor: Actor
    requested_at: datetime
    state: CommandState
    outcome: Mapping[str, Any]


_REQUEST = insert(commands).returning(commands.c.id)
_ONE = select(commands).where(commands.c.id == bindparam("number"))
_END = update(commands).where(commands.c.id == bindparam("number"))


def request(
    db: Connection,
    verb: str,
    target: str,
    arguments: Mapping[str, Any],
    actor: Actor,
    at: datetime,
    key: str | None = None,
) -> int:
    """Adds a command, with a row in the audit trail, and returns its number. `key` is one by which a repetition is
    found.
    """
    values = {
        "verb": verb,
        "target": target,
        "arguments": dict(arguments),
        "requested_by": actor.name,
        "requested_from": actor.origin,
        "role": actor.role,
        "requested_at": at,
        "state": CommandState.REQUESTED,
        "key": key,
    }
    number: int = db.execute(_REQUEST, values).scalar_one()
    audit.append(
        db,
        command=number,
        verb=verb,
        target=target,
        actor=actor,
        at=at,
        outcome=CommandState.REQUESTED,
        before=None,
        after=dict(arguments),
    )
    return number


def with_key(db: Connection, actor: Actor, key: str) -> Command | None:
    """The command that an actor has requested with a key."""
    row = db.execute(select(commands).where(commands.c.requested_by == actor.name, commands.c.key == key)).first()
    return None if row is None else _value(row)


def get(db: Connection, number: int) -> Command:
    """One command."""
    return _value(db.execute(_ONE, {"number": number}).one())


def find(db: Connection, number: int) -> Command | None:
    """A command; None when there is none of that number."""
    row = db.execute(_ONE, {"number": number}).one_or_none() if 0 < number <= MAX_ID else None
    return None if row is None else _value(row)


def open_commands(db: Connection) -> list[tuple[int, str, str]]:
    """The commands that have not ended, oldest first: number, verb and state."""
    return [(number, verb, state) for number, verb, state in db.execute(_OPEN)]


# Few, and there is an index.
_OPEN = (
    select(commands.c.id, commands.c.verb, commands.c.state)
    .where(commands.c.state.in_(UNFINISHED))
    .order_by(commands.c.id)
)


def requested(db: Connection) -> list[int]:
    """The numbers of the commands that have not been started, oldest first."""
    return [number for number, _, state in open_commands(db) if state == CommandState.REQUESTED]


def unfinished(db: Connection, verbs: Sequence[str]) -> list[int]:
    """The numbers of the commands with one of these verbs that have not ended, oldest first."""
    return [number for number, verb, _ in open_commands(db) if verb in verbs]


def record_progress(db: Connection, command: Command, progress: Mapping[str, Any]) -> bool:
    """Writes the progress of a command with several steps; False when it was cancelled."""
    values = {"state": CommandState.RUNNING, "outcome": dict(progress)}
    mine = (commands.c.id == command.id, commands.c.state != CommandState.STOPPING)
    return db.execute(update(commands).where(*mine).values(values)).rowcount == 1


def request_stop(db: Connection, command: Command, by: str) -> bool:
    """Cancels a command with several steps; False when it has ended or is already being cancelled."""
    values = {"state": CommandState.STOPPING, "outcome": {**command.outcome, "cancelled_by": by}}
    mine = (commands.c.id == command.id, commands.c.state.in_((CommandState.REQUESTED, CommandState.RUNNING)))
    return db.execute(update(commands).where(*mine).values(values)).rowcount == 1


def finish(db: Connection, command: Command, outcome: Mapping[str, Any], at: datetime) -> None:
    """Marks a command as done, with its outcome, and adds a row to the audit trail."""
    _end(db, command, CommandState.DONE, outcome, at)


def refuse(db: Connection, command: Command, error: OpsconsoleError, at: datetime) -> None:
    """Marks a command as refused, with the error's code and message, and adds a row to the audit trail."""
    _end(db, command, CommandState.REFUSED, _refusal(error), at)


def refuse_unreadable(db: Connection, number: int, error: OpsconsoleError, at: datetime) -> None:
    """Refuses a command whose row cannot be read; the audit trail names its number alone."""
    nobody = Actor("unknown", "unknown", Role.VIEWER)
    command = Command(number, "unreadable", str(number), {}, nobody, at, CommandState.REQUESTED, {})
    _end(db, command, CommandState.REFUSED, _refusal(error), at)


def _refusal(error: OpsconsoleError) -> dict[str, Any]:
    return {"error": error.code, "message": error.sentence, "exit_code": int(error.exit_code)}


def _end(db: Connection, command: Command, state: CommandState, outcome: Mapping[str, Any], at: datetime) -> None:
    db.execute(_END, {"number": command.id, "state": state, "outcome": dict(outcome), "done_at": at})
    audit.append(
        db,
        command=command.id,
        verb=command.verb,
        target=command.target,
        actor=command.actor,
        at=at,
        outcome=state,
        before=dict(command.arguments),
        after=dict(outcome),
    )


def _value(row: Any) -> Command:
    return Command(
        id=row.id,
        verb=row.verb,
        target=row.target,
        arguments=row.arguments,
        actor=Actor(row.requested_by, row.requested_from, Role(row.role)),
        requested_at=row.requested_at,
        state=CommandState(row.state),
        outcome=row.outcome or {},
    )
