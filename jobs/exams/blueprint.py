"""Which questions an exam has, how many of each domain, and in which parts they are asked for."""

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

PART = 25
"""Questions that are asked for at once: an answer of that length is written well within two minutes."""

Counts = Mapping[str, int]
"""How many questions of each domain."""


@dataclass(frozen=True, slots=True)
class Part:
    """Questions to be asked for at once; `seq` numbers the parts of an exam from 0."""

    seq: int
    counts: Counts

    @property
    def size(self) -> int:
        """How many questions these are."""
        return sum(self.counts.values())


def blueprint(exam: ExamType) -> dict[str, int]:
    """How many questions of each domain an exam has: the shares, rounded by largest remainder, in the domains' order
    where remainders are equal.
    """
    size = SIZES[exam]
    counts = {domain: size * share // 100 for domain, share in SHARES.items()}
    by_remainder = sorted(SHARES, key=lambda domain: -(size * SHARES[domain] % 100))
    for domain in by_remainder[: size - sum(counts.values())]:
        counts[domain] += 1
    return counts


def parts(missing: Counts, stored: Collection[int]) -> list[Part]:
    """The parts in which `missing` questions are asked for, numbered with what is free beside the `stored` ones."""
    found: list[Part] = []
    seq, counts, room = -1, dict[str, int](), 0
    for domain, wanted in missing.items():
        while wanted > 0:
            if not room:
                seq = next(n for n in range(seq + 1, seq + 2 + len(stored)) if n not in stored)
                counts, room = {}, PART
                found.append(Part(seq, counts))
            counts[domain] = min(wanted, room)
            wanted, room = wanted - counts[domain], room - counts[domain]
    return found
