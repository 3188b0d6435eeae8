"""Jobs without a schedule, reasons and kinds as tokens, and columns named by the usual terms."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from opsconsole.authoring.failures import failure_kind
from opsconsole.core.column_types import Json
from opsconsole.core.text import snake_case

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

RENAMED = {
    "ops_runs": {"asked_by": "requested_by"},
    "ops_commands": {"asked_by": "requested_by", "asked_from": "requested_from", "asked_at": "requested_at"},
    "ops_backfills": {"asked_by": "requested_by", "stops": "stop_on_failure", "began_at": "started_at"},
    "ops_backfill_steps": {"why": "reason"},
    "ops_windows": {"whole": "complete", "looked_at": "checked_at"},
    "ops_presence": {"face": "interface"},
}
# Jobs that only run when an operator starts them were registered with the rarest schedule that exists. With NULL here
# the next leader finds no missed 29 February to record for them.
MANUAL = "UPDATE ops_jobs SET cron = NULL WHERE cron = '0 0 29 2 *'"
STEP_REASONS = {
    "it is not due yet": "not_due",
    "its data ends before the window does": "incomplete",
}
ENGINE_KINDS = (
    (re.compile(r"quarantined after \d+ deaths: it took longer"), "batch_timeout"),
    (re.compile(r"quarantined after \d+ deaths: "), "worker_died"),
    (re.compile(r"failed \d+ times: "), "retries_exhausted"),
    (re.compile(r"Redis is away: "), "redis_unreachable"),
    (re.compile(r"the data database is away: "), "data_unreachable"),
    (re.compile(r"the Claude API is away: "), "claude_unreachable"),
    (re.compile(r"other causes$"), "other"),
)
_EXCEPTION = re.compile(r"([A-Z]\w*): ")
_AWAY = re.compile(r"(\S+) is away: ")
_PAGE = 500


def upgrade() -> None:
    for table, columns in RENAMED.items():
        for old, new in columns.items():
            op.alter_column(table, old, new_column_name=new)
    op.drop_column("ops_runs", "parameters")
    with op.batch_alter_table("ops_jobs") as jobs:
        jobs.alter_column("cron", existing_type=sa.String(), nullable=True)
    op.execute(MANUAL)
    op.add_column("ops_backfills", sa.Column("stop", Json(), nullable=True))
    op.add_column("ops_backfill_steps", sa.Column("stale", sa.Integer(), nullable=True))
    op.add_column("ops_backfill_steps", sa.Column("open_run", sa.BigInteger(), nullable=True))

    op.execute("UPDATE ops_commands SET state = 'requested' WHERE state = 'asked'")
    op.execute("UPDATE ops_occurrences SET reason = 'catch_up_limit' WHERE reason = 'catch-up limit'")
    _convert("ops_commands", "outcome", _outcome)
    _convert("ops_runs", "stop", _run_stop)
    _convert_failures()
    _convert_steps()
    _convert_backfill_notes()
    op.drop_column("ops_backfills", "note")


def _table(name: str, *columns: str, json: tuple[str, ...] = ()) -> sa.TableClause:
    return sa.table(name, *map(sa.column, columns), *(sa.column(column, Json()) for column in json))


def _convert(name: str, column: str, converted: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
    """Rewrites a JSON column of a table with an `id`, a page at a time."""
    db, table, after = op.get_bind(), _table(name, "id", json=(column,)), 0
    query = sa.select(table.c.id, table.c[column]).where(table.c[column].is_not(None)).order_by(table.c.id)
    while rows := db.execute(query.where(table.c.id > after).limit(_PAGE)).all():
        for number, value in rows:
            db.execute(sa.update(table).where(table.c.id == number).values({column: converted(value)}))
        after = rows[-1].id


def _outcome(old: Mapping[str, Any]) -> dict[str, Any]:
    new = {name: value for name, value in old.items() if name not in ("why", "done")}
    if "why" in old:
        new |= {"error": "refused", "message": old["why"]}
    if "refused" in old:
        new |= {"refused": len(old["refused"]), "refusals": old["refused"]}
    return new


def _run_stop(old: Mapping[str, Any]) -> dict[str, Any]:
    new = {name: old[name] for name in ("by", "at", "force_at")}
    replaced = re.match(r"replaced by run (\d+)", old["why"])
    if replaced:
        return new | {"reason": "replaced", "run": int(replaced.group(1))}
    return new | {"reason": "cancelled", "note": _note(old["why"], f"cancelled by {old['by']}")}


def _note(text: str, start: str) -> str:
    return text.removeprefix(start).removeprefix(": ")


def _kind(old: str, item: str = "") -> str:
    for pattern, kind in ENGINE_KINDS:
        if pattern.match(old):
            return kind
    if away := _AWAY.match(old):
        return f"{away.group(1).lower()}_unreachable"
    exception = _EXCEPTION.match(old)
    return snake_case(exception.group(1)) if exception else failure_kind(old, item)


def _convert_failures() -> None:
    db = op.get_bind()
    runs, failures = _table("ops_runs", "id", json=("kinds",)), _table("ops_failures", "id", "run_id", "item", "kind")
    after = 0
    query = sa.select(runs.c.id, runs.c.kinds).where(sa.type_coerce(runs.c.kinds, sa.Text) != "{}").order_by(runs.c.id)
    while page := db.execute(query.where(runs.c.id > after).limit(_PAGE)).all():
        for run, kinds in page:
            of_items: dict[str, str] = {}
            mine = sa.select(failures.c.id, failures.c.item, failures.c.kind).where(failures.c.run_id == run)
            for number, item, old in db.execute(mine).all():
                of_items[old] = _kind(old, item)
                db.execute(sa.update(failures).where(failures.c.id == number).values(kind=of_items[old]))
            counted: dict[str, int] = {}
            for old, n in kinds.items():
                kind = of_items.get(old) or _kind(old)
                counted[kind] = counted.get(kind, 0) + n
            db.execute(sa.update(runs).where(runs.c.id == run).values(kinds=counted))
        after = page[-1].id


def _convert_steps() -> None:
    db, steps = op.get_bind(), _table("ops_backfill_steps", "reason", "stale", "open_run")
    for (old,) in db.execute(sa.select(steps.c.reason).distinct()).all():
        db.execute(sa.update(steps).where(steps.c.reason == old).values(_step(old)))


def _step(old: str) -> dict[str, Any]:
    if stale := re.fullmatch(r"([\d,]+) items are stale", old):
        return {"reason": "stale", "stale": int(stale.group(1).replace(",", ""))}
    if running := re.fullmatch(r"run (\d+) is about it", old):
        return {"reason": "running", "open_run": int(running.group(1))}
    return {"reason": STEP_REASONS.get(old) or old.removeprefix("it is ").replace(" ", "_")}


def _convert_backfill_notes() -> None:
    db, backfills = op.get_bind(), _table("ops_backfills", "id", "note", json=("stop",))
    for number, note in db.execute(sa.select(backfills.c.id, backfills.c.note).where(backfills.c.note != "")).all():
        db.execute(sa.update(backfills).where(backfills.c.id == number).values(stop=_backfill_stop(note)))


def _backfill_stop(note: str) -> dict[str, Any]:
    if failed := re.fullmatch(r"(\S+) (\S+) failed", note):
        return {"reason": "window_failed", "job": failed.group(1), "window": failed.group(2)}
    if by := re.fullmatch(r"(paused|cancelled) by ([^:]*)(?:: (.*))?", note, re.DOTALL):
        return {"reason": by.group(1), "by": by.group(2), "note": by.group(3) or ""}
    return {"reason": "cancelled", "note": note}
