"""What operators ask for, until the leader has carried it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select, update

from opsconsole.core.database import Connection
from opsconsole.core.settings import Actor, Role
from opsconsole.store import audit
from opsconsole.store.tables import commands


class CommandState(StrEnum):
    """Where a command is."""

    ASKED = "asked"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Command:
    """Something an operator asked for. `outcome` holds `run` when it made one, `done` in words when it made none, or
    `why` when it was refused; how far it is while it is carried out.
    """

    id: int
    verb: str
    target: str
    arguments: Mapping[str, Any]
    actor: Actor
    asked_at: datetime
    state: CommandState
    outcome: Mapping[str, Any]


def ask(db: Connection, verb: str, target: str, arguments: Mapping[str, Any], actor: Actor, at: datetime) -> int:
    """Writes down what is asked for, in the trail as well, and returns its number."""
    values = {
        "verb": verb,
        "target": target,
        "arguments": dict(arguments),
        "asked_by": actor.name,
        "asked_from": actor.origin,
        "role": actor.role,
        "asked_at": at,
        "state": CommandState.ASKED,
    }
    number: int = db.execute(insert(commands).values(values).returning(commands.c.id)).scalar_one()
    audit.append(
        db,
        command=number,
        verb=verb,
        target=target,
        actor=actor,
        at=at,
        outcome=CommandState.ASKED,
        before=None,
        after=dict(arguments),
    )
    return number


def get(db: Connection, number: int) -> Command:
    """One command."""
    return _value(db.execute(select(commands).where(commands.c.id == number)).one())


def asked(db: Connection) -> list[Command]:
    """What waits to be carried out, oldest first."""
    query = select(commands).where(commands.c.state == CommandState.ASKED).order_by(commands.c.id)
    return [_value(row) for row in db.execute(query)]


def unsettled(db: Connection, verbs: Sequence[str]) -> list[Command]:
    """What was asked for with one of these verbs and has not ended, oldest first."""
    ended = (CommandState.DONE, CommandState.REFUSED)
    query = select(commands).where(commands.c.verb.in_(verbs), commands.c.state.not_in(ended)).order_by(commands.c.id)
    return [_value(row) for row in db.execute(query)]


def tell(db: Connection, command: Command, outcome: Mapping[str, Any]) -> None:
    """Writes how far a command is that takes long."""
    so_far = {"state": CommandState.RUNNING, "outcome": dict(outcome)}
    db.execute(update(commands).where(commands.c.id == command.id).values(so_far))


def settle(db: Connection, command: Command, state: CommandState, outcome: Mapping[str, Any], at: datetime) -> None:
    """Writes what came of a command, in the trail as well."""
    done = {"state": state, "outcome": dict(outcome), "done_at": at}
    db.execute(update(commands).where(commands.c.id == command.id).values(done))
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
        actor=Actor(row.asked_by, row.asked_from, Role(row.role)),
        asked_at=row.asked_at,
        state=CommandState(row.state),
        outcome=row.outcome or {},
    )
