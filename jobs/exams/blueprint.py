"""The composition of an exam: how many questions of each domain, requested in which parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from jobs.exams.tables import ExamType

SIZES = {ExamType.DIAGNOSTIC: 71, ExamType.PRACTICE: 225}

SHARES = {
    "biological bases": 10,
    "cognitive-affective bases": 13,
    "social and cultural bases": 11,
    "growth and lifespan development": 12,
    "assessment and diagnosis": 16,
    "treatment and intervention": 15,
    "research methods and statistics": 7,
    "ethical and legal issues": 16,
}
"""The domains of the EPPP, in percent of an exam."""

PART_SIZE = 25
"""Questions per request: a response of that length takes well under the call timeout of two minutes."""

Counts = Mapping[str, int]
"""Number of questions by domain."""


@dataclass(frozen=True, slots=True)
class Part:
    """Questions that one call requests; `seq` numbers the parts of an exam from 0."""

    seq: int
    counts: Counts

    @property
    def size(self) -> int:
        """The total number of questions."""
        return sum(self.counts.values())


def blueprint(exam: ExamType) -> dict[str, int]:
    """The number of questions by domain: shares rounded by largest remainder, ties in the order of domains."""
    size = SIZES[exam]
    counts = {domain: size * share // 100 for domain, share in SHARES.items()}
    by_remainder = sorted(SHARES, key=lambda domain: -(size * SHARES[domain] % 100))
    for domain in by_remainder[: size - sum(counts.values())]:
        counts[domain] += 1
    return counts


def parts(missing: Counts, stored: Collection[int]) -> list[Part]:
    """Splits `missing` questions into parts, with sequence numbers that are not among the `stored` ones."""
    result: list[Part] = []
    seq, counts, room = -1, dict[str, int](), 0
    for domain, needed in missing.items():
        while needed > 0:
            if not room:
                seq = next(n for n in range(seq + 1, seq + 2 + len(stored)) if n not in stored)
                counts, room = {}, PART_SIZE
                result.append(Part(seq, counts))
            counts[domain] = min(needed, room)
            needed, room = needed - counts[domain], room - counts[domain]
    return result
