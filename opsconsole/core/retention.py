"""How long what is recorded is kept."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

MAX_DAYS = 36_500
LEAST_DAYS = 31
"""Success rates are those of the last 30 days: if successes were removed earlier than failures, they would be wrong."""


class RetentionSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[retention]`: after how many days the leader removes what has ended; 0 keeps it for good.

    `successes` and `failures` are runs, by their outcome; the others are lines of their `logs`, `keys` of their items,
    scheduled times (`occurrences`), `commands`, `notifications` with resolved alerts, recorded `health`, and `audit`.
    """

    successes: int = 90
    failures: int = 365
    logs: int = 30
    keys: int = 14
    occurrences: int = 365
    commands: int = 365
    notifications: int = 90
    health: int = 30
    audit: int = 0

    def problems(self) -> Iterator[str]:
        """What is wrong with it, each as a sentence."""
        for name, days in msgspec.structs.asdict(self).items():
            least = LEAST_DAYS if name in ("successes", "failures") else 1
            if days and not least <= days <= MAX_DAYS:
                yield f"retention.{name} is {days}; use {least} to {MAX_DAYS:,} days, or 0 to keep for good"

    def __str__(self) -> str:
        kept = msgspec.structs.asdict(self).items()
        return ", ".join(f"{name} {f'{days} d' if days else 'for good'}" for name, days in kept)


DEFAULTS = RetentionSection()
