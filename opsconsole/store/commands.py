"""What operators ask for, until the leader has carried it out, and the trail of who asked for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from opsconsole.database import Connection
from opsconsole.settings import Actor
from opsconsole.store.schema import audit, commands

FIRST = "0" * 64
"""What stands as the hash before the first row of the trail."""
TRIES = 100
"""Each that fails means that somebody else's row was written, so only a crowd uses many."""


class CommandState(StrEnum):
    """Where a command is."""

    ASKED = "asked"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Command:
    """Something an operator asked for. `outcome` holds `run` when it made one, or `why` when it was refused."""

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
        "asked_at": at,
        "state": CommandState.ASKED,
    }
    number: int = db.execute(insert(commands).values(values).returning(commands.c.id)).scalar_one()
    _trail(db, number, verb, target, actor, at, outcome=CommandState.ASKED, before=None, after=dict(arguments))
    return number


def get(db: Connection, number: int) -> Command:
    """One command."""
    return _value(db.execute(select(commands).where(commands.c.id == number)).one())


def asked(db: Connection) -> list[Command]:
    """What waits to be carried out, oldest first."""
    query = select(commands).where(commands.c.state == CommandState.ASKED).order_by(commands.c.id)
    return [_value(row) for row in db.execute(query)]


def settle(db: Connection, command: Command, state: CommandState, outcome: Mapping[str, Any], at: datetime) -> None:
    """Writes what came of a command, in the trail as well."""
    done = {"state": state, "outcome": dict(outcome), "done_at": at}
    db.execute(update(commands).where(commands.c.id == command.id).values(done))
    before, after = dict(command.arguments), dict(outcome)
    _trail(db, command.id, command.verb, command.target, command.actor, at, outcome=state, before=before, after=after)


def _trail(
    db: Connection,
    command: int,
    verb: str,
    target: str,
    actor: Actor,
    at: datetime,
    *,
    outcome: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Appends a row that carries the hash of the one before, so that a changed or missing row shows."""
    newest = select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)
    row: dict[str, Any] = {
        "at": at,
        "command_id": command,
        "who": actor.name,
        "origin": actor.origin,
        "verb": verb,
        "target": target,
        "outcome": outcome,
        "before": before,
        "after": after,
    }
    for tries_left in reversed(range(TRIES)):
        row["previous"] = db.execute(newest).scalar() or FIRST
        digest = sha256(msgspec.json.encode(row, order="sorted")).hexdigest()
        try:
            with db.begin_nested():
                db.execute(insert(audit).values(**row, hash=digest))
        except IntegrityError:
            # Somebody else appended to the same row meanwhile; the chain has a newer end now.
            if not tries_left:
                raise
        else:
            return


def _value(row: Any) -> Command:
    return Command(
        id=row.id,
        verb=row.verb,
        target=row.target,
        arguments=row.arguments,
        actor=Actor(row.asked_by, row.asked_from),
        asked_at=row.asked_at,
        state=CommandState(row.state),
        outcome=row.outcome or {},
    )
