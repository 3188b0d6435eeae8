"""What a user is told the next morning: the first rule that holds for the day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Any

from jobs.attempts.cached_day import Done
from jobs.attempts.tables import Status

MANY_UNSOLVED = 3
ENOUGH_ATTEMPTS = 5
SLOW = 1.5


class Kind(StrEnum):
    """What a suggestion is about, in the order of the rules."""

    UNSOLVED = "unsolved"
    MISTAKES = "mistakes"
    TIMING = "timing"
    KEEP_GOING = "keep_going"
    COME_BACK = "come_back"


@dataclass(frozen=True, slots=True)
class Advice:
    """One suggestion; `details` has the numbers that its rule looked at."""

    kind: Kind
    message: str
    details: dict[str, Any]


def advise(day: Sequence[Done], expected: Mapping[str | None, float]) -> Advice:
    """What to tell who did `day`. `expected` is everybody's mean timing in seconds at each difficulty.

    The order of the attempts does not matter. Raises ValueError for an attempt with an unknown status.
    """
    if not day:
        return Advice(Kind.COME_BACK, "No questions that day: come back and try a few.", {"attempts": 0})
    statuses = Counter(attempt.status for attempt in day)
    if unknown := sorted(set(statuses) - set(Status)):
        raise ValueError(f"an attempt has the unknown status {unknown[0]!r}")
    attempts, correct, unsolved = len(day), statuses[Status.CORRECT], statuses[Status.UNSOLVED]
    if unsolved >= MANY_UNSOLVED:
        return Advice(
            Kind.UNSOLVED,
            f"{unsolved} of {attempts} questions were left unsolved: give them another try.",
            {"attempts": attempts, "unsolved": unsolved},
        )
    accuracy = {"attempts": attempts, "correct": correct, "accuracy": round(correct / attempts, 4)}
    if attempts >= ENOUGH_ATTEMPTS and correct * 5 < attempts * 3:  # under 60 %, in whole numbers
        topic, name, incorrect = _most_incorrect(day)
        return Advice(
            Kind.MISTAKES,
            f"{correct} of {attempts} answers were right: go over {name} once more.",
            {**accuracy, "topic": {"id": topic, "name": name}, "incorrect": incorrect},
        )
    timing, usual = _timings(day, expected)
    if timing is not None and usual is not None and timing > SLOW * usual:
        return Advice(
            Kind.TIMING,
            f"A question took you {timing:.0f} s where {usual:.0f} s are usual: practise against the clock.",
            {"attempts": attempts, "timing": round(timing, 3), "expected": round(usual, 3)},
        )
    return Advice(Kind.KEEP_GOING, f"{correct} of {attempts} answers were right: keep going.", accuracy)


def _most_incorrect(day: Sequence[Done]) -> tuple[str, str, int]:
    """The topic with most incorrect answers, id and name, and how many; of equal ones the first by name."""
    wrong = Counter((attempt.topic.name, attempt.topic.id) for attempt in day if attempt.status == Status.INCORRECT)
    (name, id_), n = min(wrong.items(), key=lambda topic: (-topic[1], topic[0]))
    return id_, name, n


def _timings(day: Sequence[Done], expected: Mapping[str | None, float]) -> tuple[float | None, float | None]:
    """The mean timing, and the one to expect at the difficulties of these attempts; None where nothing was measured."""
    taken = [attempt.timing for attempt in day if attempt.timing is not None]
    usual = [expected[attempt.difficulty] for attempt in day if attempt.difficulty in expected]
    return fmean(taken) if taken else None, fmean(usual) if usual else None
