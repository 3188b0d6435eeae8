"""Confirmations of destructive actions: the question, and the word that has to be typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opsconsole.cache.filters import ClearFilter
from opsconsole.core.humanize import count

if TYPE_CHECKING:
    from opsconsole.cache.clearing import ClearProgress

PRODUCTION = ("production", "prod")
MANY_KEYS = 1000
"""Clearing more keys than this requires a typed word in every environment."""
DEFAULT_WORD = "clear"
"""The word to type when neither a family nor the environment has a name."""
MANY_ITEMS = 1000
"""Overwriting more items than this requires a typed word in every environment."""


def clear_question(counted: ClearProgress, environment: str) -> str:
    """`Clear 1,240 keys of 3 families in PRODUCTION?`"""
    families = sum(1 for keys in counted.found.values() if keys)
    where = f" in {environment.upper() if is_production(environment) else environment}" if environment else ""
    return f"Clear {count(counted.total, 'key')} of {count(families, 'family', 'families')}{where}?"


def word_to_clear(conditions: ClearFilter, keys: int, environment: str) -> str | None:
    """The word to type before this many keys are cleared: in production its name; elsewhere, above a thousand keys, the
    name of the family, or of the environment when no family is given. None when a plain confirmation is enough.
    """
    if is_production(environment):
        return environment
    return (conditions.family or environment or DEFAULT_WORD) if keys > MANY_KEYS else None


def word_to_overwrite(jobs: Sequence[str], items: int, environment: str) -> str | None:
    """The word to type before this many items of these jobs are overwritten: in production its name; elsewhere, above a
    thousand items, the name of the first job. None when a plain confirmation is enough, or nothing is overwritten.
    """
    if items and is_production(environment):
        return environment
    return jobs[0] if items > MANY_ITEMS else None


def is_production(environment: str) -> bool:
    """Whether the environment's name means production."""
    return environment.lower() in PRODUCTION
