"""What the console shows of attempts: the newest suggestions."""

from __future__ import annotations

from sqlalchemy import func, select

from jobs.attempts.advice import Kind
from jobs.attempts.tables import suggestions
from opsconsole import Panel, Serving, Shown


def newest_suggestions(serving: Serving) -> Shown:
    """How many users were told what on the newest date."""
    newest = select(func.max(suggestions.c.date)).scalar_subquery()
    with serving.reading() as db:
        told = db.execute(
            select(suggestions.c.date, suggestions.c.kind, func.count())
            .where(suggestions.c.date == newest)
            .group_by(suggestions.c.date, suggestions.c.kind)
        ).all()
        if not told:
            return Shown(says="no suggestions yet; attempts.suggest writes them")
    users = {kind: n for _, kind, n in told}
    total = sum(users.values())
    facts = (("date", told[0].date.isoformat()), ("users", f"{total:,}"))
    rows = tuple((kind.value, f"{users.get(kind, 0):,}", f"{users.get(kind, 0) / total:.1%}") for kind in Kind)
    return Shown(facts, ("suggestion", "users", "share"), rows)


suggested = Panel("Suggestions", newest_suggestions)
