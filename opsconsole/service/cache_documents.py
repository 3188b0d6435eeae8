"""Families of cache keys as JSON."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from opsconsole.cache.families import Family
from opsconsole.cache.figures import UsageSurvey
from opsconsole.service.documents import Document


class FamilyDocument(Document, frozen=True, kw_only=True):
    """A family of cache keys: their pattern, the ids that a key belongs to, the tables it is computed from, and the
    jobs that fill it. `keys` exists when they were counted, `exact` is true if all were found in time.
    """

    name: str
    pattern: str
    ttl_seconds: int | None
    belongs_to: tuple[str, ...]
    computed_from: tuple[str, ...]
    filled_by: tuple[str, ...]
    compress_over: int | None
    keys: int | UnsetType = UNSET
    exact: bool | UnsetType = UNSET


def family_document(family: Family, usage: UsageSurvey | None) -> FamilyDocument:
    """A family, with the number of its keys if they were counted."""
    return FamilyDocument(
        name=family.name,
        pattern=family.pattern,
        ttl_seconds=family.ttl_seconds,
        belongs_to=family.of,
        computed_from=family.computed_from,
        filled_by=family.filled_by,
        compress_over=family.compress_over,
        keys=UNSET if usage is None else usage.families[family.name].keys,
        exact=UNSET if usage is None else usage.done,
    )
