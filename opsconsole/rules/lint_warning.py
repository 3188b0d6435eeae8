"""Warnings about jobs, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Rule(StrEnum):
    """What a warning is about."""

    RARE = "rare"
    STEP = "step"
    COLLIDES = "collides"
    CROWD = "crowd"
    GAP = "gap"
    FOLD = "fold"
    WINDOW = "window"
    AFTER = "after"
    TIMEOUT = "timeout"
    JITTER = "jitter"
    LIMIT = "limit"
    ALIAS = "alias"


@dataclass(frozen=True, slots=True)
class LintWarning:
    """A probable mistake in a job. `at` holds examples of the times that it affects, in UTC."""

    job: str
    rule: Rule
    message: str
    at: tuple[datetime, ...] = ()
