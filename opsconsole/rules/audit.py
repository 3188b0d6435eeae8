"""The audit trail: its rows, and the seals that show whether they were changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from opsconsole.core.errors import BadSeal

FIRST = "0" * 64
"""The hash before the first row."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A row of the audit trail. `before` holds the arguments of a command, `after` its outcome."""

    id: int
    at: datetime
    command: int | None
    who: str
    origin: str
    verb: str
    target: str
    outcome: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Selects the rows that meet all given conditions. `who` and `verb` are compared as a whole, `target` and `text`
    are parts of texts in any case: of the target, and of who, action, target or outcome; `since` is included, `until`
    is not.
    """

    who: str | None = None
    verb: str | None = None
    target: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seal:
    """A row and its hash. A seal kept elsewhere is an anchor: the rows up to it cannot change unnoticed."""

    row: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `ID:HASH`. Raises BadSeal."""
        row, _, digest = text.strip().partition(":")
        if not (row.isascii() and row.isdigit()) or len(digest) != len(FIRST) or set(digest) - set("0123456789abcdef"):
            raise BadSeal(text)
        return cls(int(row), digest)

    def __str__(self) -> str:
        return f"{self.row}:{self.hash}"


class AuditProblem(StrEnum):
    """What is wrong with the audit trail at a row."""

    ROW_CHANGED = "row_changed"
    PREVIOUS_ROW_MISSING = "previous_row_missing"
    ANCHOR_MISSING = "anchor_missing"
    ANCHOR_CHANGED = "anchor_changed"
    ANCHOR_REMOVED = "anchor_removed"  # by the retention, with its row


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a verification: how many rows are valid, the seal of the last of them, and the first problem with
    its row. `start` is the seal of the last row that the retention removed.
    """

    rows: int
    seal: Seal | None
    problem: AuditProblem | None = None
    broken: int | None = None
    start: Seal | None = None
