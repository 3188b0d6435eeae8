"""Chooses a user's suggestion for the next morning: the first rule that matches the day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Any

from jobs.attempts.cached_day import AttemptResult
from jobs.attempts.tables import Status

UNSOLVED_LIMIT = 3
MIN_ATTEMPTS = 5
SLOW_FACTOR = 1.5
STATUSES = frozenset(Status)


class SuggestionKind(StrEnum):
    """The kinds of suggestions, in the order of the rules."""

    UNSOLVED = "unsolved"
    MISTAKES = "mistakes"
    TIMING = "timing"
    KEEP_GOING = "keep_going"
    COME_BACK = "come_back"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One suggestion; `details` has the numbers that its rule used."""

    kind: SuggestionKind
    message: str
    details: dict[str, Any]


def choose_suggestion(day: Sequence[AttemptResult], expected: Mapping[float | None, float]) -> Suggestion:
    """The suggestion for a day of attempts, in any order.

    `expected` is the mean timing of all users in seconds, by difficulty. Raises ValueError for an unknown status.
    """
    if not day:
        return Suggestion(
            SuggestionKind.COME_BACK, "You answered no questions that day. Come back and try a few.", {"attempts": 0}
        )
    statuses = [attempt.status for attempt in day]
    if unknown := sorted(set(statuses) - STATUSES):
        raise ValueError(f"an attempt has the unknown status {unknown[0]!r}")
    attempts, correct, unsolved = len(day), statuses.count(Status.CORRECT), statuses.count(Status.UNSOLVED)
    if unsolved >= UNSOLVED_LIMIT:
        return Suggestion(
            SuggestionKind.UNSOLVED,
            f"You left {unsolved} of {attempts} questions unsolved. Give them another try.",
            {"attempts": attempts, "unsolved": unsolved},
        )
    accuracy = {"attempts": attempts, "correct": correct, "accuracy": round(correct / attempts, 4)}
    if attempts >= MIN_ATTEMPTS and correct * 5 < attempts * 3:  # under 60 %, in whole numbers
        topic, name, incorrect = _most_incorrect(day)
        return Suggestion(
            SuggestionKind.MISTAKES,
            f"{correct} of {attempts} answers were correct. Review {name}.",
            {**accuracy, "topic": {"id": topic, "name": name}, "incorrect": incorrect},
        )
    timing, typical = _timings(day, expected)
    if timing is not None and typical is not None and timing > SLOW_FACTOR * typical:
        return Suggestion(
            SuggestionKind.TIMING,
            f"You took {timing:.0f} s per question; {typical:.0f} s is typical. Practise against the clock.",
            {"attempts": attempts, "timing": round(timing, 3), "expected": round(typical, 3)},
        )
    return Suggestion(SuggestionKind.KEEP_GOING, f"{correct} of {attempts} answers were correct. Keep going.", accuracy)


def _most_incorrect(day: Sequence[AttemptResult]) -> tuple[str, str, int]:
    """The id and name of the topic with most incorrect answers, and their number. Ties go to the first by name."""
    wrong = Counter((attempt.topic.name, attempt.topic.id) for attempt in day if attempt.status == Status.INCORRECT)
    (name, id_), n = min(wrong.items(), key=lambda topic: (-topic[1], topic[0]))
    return id_, name, n


def _timings(day: Sequence[AttemptResult], expected: Mapping[float | None, float]) -> tuple[float | None, float | None]:
    """The mean timing and the expected one for these difficulties, in seconds; None without measurements."""
    taken = [attempt.timing for attempt in day if attempt.timing is not None]
    typical = [expected[attempt.difficulty] for attempt in day if attempt.difficulty in expected]
    return fmean(taken) if taken else None, fmean(typical) if typical else None
