"""The reference model of the attempts jobs: plain Python over plain rows, sharing no code with them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy import text

from opsconsole.core.database import Database

INDIA = timedelta(hours=5, minutes=30)


@dataclass
class Attempt:
    """A row of `attempts` with an aware time and its question's row, None when missing."""

    row: dict[str, Any]
    at: datetime
    question: dict[str, Any] | None

    @property
    def day(self) -> date:
        """The local date."""
        return (self.at + INDIA).date()

    def __getitem__(self, name: str) -> Any:
        return self.row[name]


class Dataset:
    """All tables, read once."""

    def __init__(self, data: Database) -> None:
        with data.reading() as db:
            read = {
                table: [dict(row) for row in db.execute(text(f"SELECT * FROM {table}")).mappings()]  # noqa: S608
                for table in ("users", "subjects", "topics", "subtopics", "questions", "question_subtopics", "attempts")
            }
        self.active = sorted(user["id"] for user in read["users"] if user["active"])
        self.names = {row["id"]: row["name"] for row in read["subjects"] + read["topics"] + read["subtopics"]}
        self.below: dict[str, list[str]] = defaultdict(list)
        for row in read["question_subtopics"]:
            self.below[row["question_id"]].append(row["subtopic_id"])
        questions = {row["id"]: row for row in read["questions"]}
        self.of: dict[tuple[str, date], list[Attempt]] = defaultdict(list)
        self.on: dict[date, list[Attempt]] = defaultdict(list)
        for row in read["attempts"]:
            at = row["solved_at"]
            at = datetime.fromisoformat(at).replace(tzinfo=UTC) if isinstance(at, str) else at.astimezone(UTC)
            attempt = Attempt(row, at, questions.get(row["question_id"]))
            self.of[row["user_id"], attempt.day].append(attempt)
            self.on[attempt.day].append(attempt)

    def days(self, first: date, last: date) -> dict[str, list[Attempt]]:
        """The attempts of each active user between two local dates, without users who made none."""
        dates = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        found = {user: [a for day in dates for a in self.of.get((user, day), ())] for user in self.active}
        return {user: made for user, made in found.items() if made}

    def missing(self, made: list[Attempt]) -> str | None:
        """The expected failure of a user, None without one."""
        return next((f"question {a['question_id']} is missing" for a in made if a.question is None), None)


def cached(dataset: Dataset, day: date, until: datetime) -> dict[str, list[dict[str, Any]]]:
    """The expected cached arrays by user for a day cached at `until`."""
    arrays = {}
    for user, made in dataset.days(day, day).items():
        before = sorted((a for a in made if a.at < until), key=lambda a: (a.at, a["id"]))
        if before and not dataset.missing(before):
            arrays[user] = [_shown(dataset, a) for a in before]
    return arrays


def _shown(dataset: Dataset, a: Attempt) -> dict[str, Any]:
    q = a.question
    assert q is not None
    return {
        "id": a["id"],
        "questionId": a["question_id"],
        **{name: a[name] for name in ("type", "answer", "mistake", "timing")},
        "reactionTime": a["reaction_time"],
        "status": a["status"],
        "hintsUsed": None if a["hints_used"] is None else bool(a["hints_used"]),
        "solvedAt": a.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{a.at.microsecond // 1000:03}Z",
        "subject": {"id": q["subject_id"], "name": dataset.names[q["subject_id"]]},
        "topic": {"id": q["topic_id"], "name": dataset.names[q["topic_id"]]},
        "subtopic": [{"id": id_, "name": dataset.names[id_]} for id_ in sorted(dataset.below[q["id"]])],
        "difficulty": q["difficulty"],
        "category": json.loads(q["categories"] or "[]"),
    }


def suggestions(dataset: Dataset, day: date) -> dict[str, tuple[str, dict[str, Any]]]:
    """Kind and details of every user's suggestion for a day, without users who fail."""
    defaults = _usual_timings(dataset, day)
    made = dataset.days(day, day)
    return {
        user: _advice(dataset, made.get(user, []), defaults)
        for user in dataset.active
        if not dataset.missing(made.get(user, []))
    }


def _usual_timings(dataset: Dataset, day: date) -> dict[Any, Fraction]:
    by_difficulty: dict[Any, list[float]] = defaultdict(list)
    for a in dataset.on[day]:
        if a.question is not None and a["timing"] is not None:
            by_difficulty[a.question["difficulty"]].append(a["timing"])
    return {difficulty: mean(timings) for difficulty, timings in by_difficulty.items()}


def _advice(dataset: Dataset, made: list[Attempt], defaults: dict[Any, Fraction]) -> tuple[str, dict[str, Any]]:
    if not made:
        return "come_back", {"attempts": 0}
    n = len(made)
    correct, incorrect, unsolved = (
        [a for a in made if a["status"] == status] for status in ("correct", "incorrect", "unsolved")
    )
    if len(unsolved) >= 3:
        return "unsolved", {"attempts": n, "unsolved": len(unsolved)}
    share = {"attempts": n, "correct": len(correct), "accuracy": round(len(correct) / n, 4)}
    if n >= 5 and Fraction(len(correct), n) < Fraction(6, 10):
        wrong: dict[str, int] = defaultdict(int)
        for a in incorrect:
            assert a.question is not None
            wrong[a.question["topic_id"]] += 1
        most = max(wrong.values())
        worst = min((t for t in wrong if wrong[t] == most), key=lambda t: (dataset.names[t], t))
        return "mistakes", {**share, "topic": {"id": worst, "name": dataset.names[worst]}, "incorrect": most}
    timings = [a["timing"] for a in made if a["timing"] is not None]
    difficulties = [a.question["difficulty"] for a in made if a.question is not None]
    expected = [defaults[difficulty] for difficulty in difficulties if difficulty in defaults]
    if timings and expected and mean(timings) > Fraction(3, 2) * mean(expected):
        seconds = {"timing": round(float(mean(timings)), 3), "expected": round(float(mean(expected)), 3)}
        return "timing", {"attempts": n, **seconds}
    return "keep_going", share


def performance(dataset: Dataset, day: date) -> dict[str, dict[str, Any]]:
    """The row of each user with attempts on a day, without users who fail. Means are rounded to microseconds."""
    rows = {}
    for user, made in dataset.days(day, day).items():
        if dataset.missing(made):
            continue
        by_subject: dict[str, list[Attempt]] = defaultdict(list)
        for a in made:
            assert a.question is not None
            by_subject[a.question["subject_id"]].append(a)
        rows[user] = {
            **_summed(made),
            "avg_reaction_time": _rounded([a["reaction_time"] for a in made]),
            "by_subject": {subject: _summed(theirs) for subject, theirs in by_subject.items()},
        }
    return rows


def _summed(made: list[Attempt]) -> dict[str, Any]:
    correct = sum(a["status"] == "correct" for a in made)
    return {
        "attempts": len(made),
        "correct": correct,
        "accuracy": correct / len(made),
        "avg_timing": _rounded([a["timing"] for a in made]),
    }


def mastery(dataset: Dataset, saturday: date) -> dict[tuple[str, str], tuple[float, int, datetime]]:
    """Mastery, attempts and the last attempt by user and topic, over the 28 days up to a Saturday."""
    assert saturday.strftime("%A") == "Saturday"
    rows = {}
    for user, made in dataset.days(saturday - timedelta(days=27), saturday).items():
        if dataset.missing(made):
            continue
        by_topic: dict[str, list[Attempt]] = defaultdict(list)
        for a in made:
            assert a.question is not None
            by_topic[a.question["topic_id"]].append(a)
        for topic, theirs in by_topic.items():
            correct = sum(a["status"] == "correct" for a in theirs)
            rows[user, topic] = ((correct + 1) / (len(theirs) + 2), len(theirs), max(a.at for a in theirs))
    return rows


def mean(numbers: list[Any]) -> Fraction:
    """Exact."""
    return sum(map(Fraction, numbers), Fraction()) / len(numbers)


def _rounded(numbers: list[float | None]) -> float | None:
    there = [number for number in numbers if number is not None]
    return round(float(mean(there)), 6) if there else None
