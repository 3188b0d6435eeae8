"""The conditions by which cached keys are cleared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClearFilter:
    """Selects the keys that meet all given conditions. `date` has the form `2026-01-19`; `source` selects the families
    whose values are computed from it.
    """

    user: str | None = None
    subject: str | None = None
    family: str | None = None
    date: str | None = None
    source: str | None = None

    @property
    def parts(self) -> dict[str, str]:
        """The conditions on parts of a key."""
        conditions = {"user": self.user, "subject": self.subject, "date": self.date}
        return {part: value for part, value in conditions.items() if value is not None}

    def __str__(self) -> str:
        named = {"family": self.family, "source": self.source}
        conditions = self.parts | {name: value for name, value in named.items() if value is not None}
        return ", ".join(f"{name} {value}" for name, value in conditions.items())
