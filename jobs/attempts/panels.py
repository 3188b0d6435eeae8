"""What the console shows of attempts: the newest suggestions."""

from __future__ import annotations

from sqlalchemy import func, select

from jobs.attempts.suggestion_rules import Kind
from jobs.attempts.tables import suggestions
from opsconsole import hours
from opsconsole.extensions import ExtensionContext, Panel, PanelContent

A_NIGHT = hours(12)


def newest_suggestions(ctx: ExtensionContext) -> PanelContent:
    """How many users were told what: the newest date of those that the last night, or a backfill, wrote."""
    c = suggestions.c
    with ctx.reading() as db:
        last = db.execute(select(func.max(c.created_at))).scalar_one()
        if last is None:
            return PanelContent(message="no suggestions yet; attempts.suggest writes them")
        told = db.execute(
            select(c.date, c.kind, func.count()).where(c.created_at > last - A_NIGHT).group_by(c.date, c.kind)
        ).all()
    newest = max(day for day, _, _ in told)
    users = {kind: n for day, kind, n in told if day == newest}
    total = sum(users.values())
    facts = (("date", newest.isoformat()), ("users", f"{total:,}"))
    rows = tuple((kind.value, f"{users.get(kind, 0):,}", f"{users.get(kind, 0) / total:.1%}") for kind in Kind)
    return PanelContent(facts, ("suggestion", "users", "share"), rows)


suggested = Panel("Suggestions", newest_suggestions)
