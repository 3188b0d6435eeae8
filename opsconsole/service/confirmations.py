"""What stands between an operator and what destroys: the question, and what has to be typed."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.cache.clearing import ClearFilter, ClearProgress

PRODUCTION = ("production", "prod")
MANY_KEYS = 1000
"""Above so many keys a yes is given too easily, wherever it is."""
ANYWHERE = "clear"
"""What is typed where neither a family nor an environment has a name."""
MANY_ITEMS = 1000
"""Above so many items that are written over as well."""


def question(counted: ClearProgress, environment: str) -> str:
    """`Clear 1,240 keys of 3 families in PRODUCTION?`"""
    families = sum(1 for keys in counted.found.values() if keys)
    where = f" in {environment.upper() if is_production(environment) else environment}" if environment else ""
    return f"Clear {keys_of(counted.total)} of {families} famil{'y' if families == 1 else 'ies'}{where}?"


def word(wanted: ClearFilter, keys: int, environment: str) -> str | None:
    """What has to be typed before so many keys are cleared: in production its name; elsewhere, above a thousand keys,
    the family's, or the environment's where no family is named. None when a yes will do.
    """
    if is_production(environment):
        return environment
    return (wanted.family or environment or ANYWHERE) if keys > MANY_KEYS else None


def keys_of(count: int) -> str:
    """`1,240 keys`."""
    return "1 key" if count == 1 else f"{count:,} keys"


def word_to_overwrite(jobs: Sequence[str], items: int, environment: str) -> str | None:
    """What has to be typed before so many items of these jobs are overwritten: in production its name; elsewhere, above
    a thousand items, the first job's. None when a yes will do, and when nothing is written over.
    """
    if items and is_production(environment):
        return environment
    return jobs[0] if items > MANY_ITEMS else None


def is_production(environment: str) -> bool:
    """Whether an environment's name says that it is the one that counts."""
    return environment.lower() in PRODUCTION
