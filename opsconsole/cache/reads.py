"""How reads of cached values turned out, by family."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reads:
    """Outcomes of a family's reads in this process. `misses` includes `garbage`: values that could not be decoded.
    `failed` counts reads without a response from Redis. Readers that waited for another one are not counted.
    """

    hits: int = 0
    misses: int = 0
    garbage: int = 0
    failed: int = 0

    @property
    def hit_rate(self) -> float | None:
        """Share of hits among the reads that Redis responded to; None before the first."""
        responses = self.hits + self.misses
        return self.hits / responses if responses else None

    def since(self, earlier: Reads) -> Reads:
        """What was added since earlier counts of the same process."""
        return Reads(
            self.hits - earlier.hits,
            self.misses - earlier.misses,
            self.garbage - earlier.garbage,
            self.failed - earlier.failed,
        )


class ReadCounts:
    """Counts outcomes: `hits`, `misses`, `garbage` or `failed`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: Counter[tuple[str, str]] = Counter()

    def add(self, outcomes: Iterable[tuple[str, str]]) -> None:
        """Adds outcomes, each with its family."""
        with self._lock:
            self._outcomes.update(outcomes)

    def add_all(self, family: str, *, hits: int, misses: int) -> None:
        """Adds the outcomes of many reads of a family."""
        with self._lock:
            self._outcomes.update({(family, "hits"): hits, (family, "misses"): misses})

    def totals(self) -> dict[str, Reads]:
        """The outcomes so far, by family."""
        with self._lock:
            outcomes = dict(self._outcomes)
        return {
            family: Reads(
                hits=outcomes.get((family, "hits"), 0),
                misses=outcomes.get((family, "misses"), 0) + outcomes.get((family, "garbage"), 0),
                garbage=outcomes.get((family, "garbage"), 0),
                failed=outcomes.get((family, "failed"), 0),
            )
            for family in {family for family, _ in outcomes}
        }
