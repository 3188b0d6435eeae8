"""A pack for tests: copies notes with one event each; changed notes are stale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, MetaData, Select, String, Table, func, select

from opsconsole import DAY, FOUR_WEEKS_BEFORE, Context, Items, Job, Pack, Scope
from opsconsole.sql import inserting, key_type

NEVER = "0 0 29 2 *"

metadata = MetaData()
notes = Table("notes", metadata, Column("id", key_type(), primary_key=True), Column("text", String, nullable=False))
copies = Table(
    "copies",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("text", String, nullable=False),
    Column("beside", String, nullable=False),
)


def all_notes(scope: Scope) -> Select[tuple[str]]:
    """All notes."""
    return select(notes.c.id)


def changed_notes(scope: Scope) -> Select[tuple[str]]:
    """Notes whose copy differs or is missing."""
    beside = notes.outerjoin(copies, copies.c.id == notes.c.id)
    return select(notes.c.id).select_from(beside).where(copies.c.text.is_distinct_from(notes.c.text))


def note_count(ctx: Context) -> Mapping[str, Any]:
    """The number of notes at the start of the run."""
    with ctx.reading() as db:
        return {"notes": db.execute(select(func.count()).select_from(notes)).scalar_one()}


def copy(ctx: Context, items: Items) -> None:
    """Copies notes with one event each; raises after the event of a note `bad`."""
    with ctx.writing() as db:
        for id_, text in db.execute(select(notes.c.id, notes.c.text).where(items.among(notes.c.id))).all():
            statement = inserting(db, copies).values(id=id_, text=text, beside=str(ctx.facts["notes"]))
            new = {name: statement.excluded[name] for name in ("text", "beside")}
            db.execute(statement.on_conflict_do_update(index_elements=["id"], set_=new))
            ctx.emit("NoteCopied", f"{id_}:{text}", {"note": id_, "text": text})
            if text == "bad":
                raise ValueError("this note cannot be copied")


pack = Pack(
    "notes",
    jobs=(
        Job("notes.copy", all_notes, copy, prepare=note_count, stale=changed_notes, cron=NEVER, covers=DAY, batch=4),
        Job(
            "notes.newest", all_notes, copy, prepare=note_count, newest_only=True, cron=NEVER, covers=FOUR_WEEKS_BEFORE
        ),
    ),
    metadata=metadata,
)
