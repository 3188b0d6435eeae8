"""Panel: the newest suggestions."""

from __future__ import annotations

from sqlalchemy import func, select

from jobs.attempts.suggestion_rules import SuggestionKind
from jobs.attempts.tables import suggestions
from opsconsole import hours
from opsconsole.extensions import ExtensionContext, Panel, PanelContent

NIGHT = hours(12)


def newest_suggestions(ctx: ExtensionContext) -> PanelContent:
    """The number of users by kind of suggestion, for the newest date written in the last 12 hours of writes."""
    c = suggestions.c
    with ctx.reading() as db:
        last = db.execute(select(func.max(c.created_at))).scalar_one()
        if last is None:
            return PanelContent(message="no suggestions yet; run attempts.suggest")
        counts = db.execute(
            select(c.date, c.kind, func.count()).where(c.created_at > last - NIGHT).group_by(c.date, c.kind)
        ).all()
    newest = max(day for day, _, _ in counts)
    users = {kind: n for day, kind, n in counts if day == newest}
    total = sum(users.values())
    facts = (("date", newest.isoformat()), ("users", f"{total:,}"))
    rows = tuple(
        (kind.value, f"{users.get(kind, 0):,}", f"{users.get(kind, 0) / total:.1%}") for kind in SuggestionKind
    )
    return PanelContent(facts, ("suggestion", "users", "share"), rows)


suggestions_panel = Panel("Suggestions", newest_suggestions)
