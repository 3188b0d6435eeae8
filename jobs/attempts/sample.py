"""Sample attempts for the demo, benchmarks and tests: users practise on most days, mostly in the evening."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, insert, select

from jobs.attempts.tables import attempts, question_subtopics, questions, subjects, subtopics, topics
from jobs.sample_users import add_missing, add_users, inserting, is_active, user_id
from opsconsole import DAY, Window

if TYPE_CHECKING:
    from opsconsole.sql import Database

ZONE = ZoneInfo("Asia/Kolkata")

SUBJECTS = {
    "Mathematics": ("Algebra", "Geometry", "Trigonometry", "Calculus", "Probability"),
    "Physics": ("Motion", "Waves", "Electricity", "Heat", "Light"),
    "Chemistry": ("Atoms", "Bonds", "Acids and bases", "Carbon compounds", "Reactions"),
    "Biology": ("Cells", "Genetics", "Evolution", "The human body", "Ecosystems"),
    "English": ("Grammar", "Reading", "Poetry", "Essays", "Vocabulary"),
    "History": ("Ancient India", "Mughal India", "The freedom struggle", "World wars", "Revolutions"),
    "Geography": ("Rivers", "Climate", "Maps", "Population", "Resources"),
    "हिन्दी": ("व्याकरण", "कविता", "निबंध", "गद्य", "शब्दावली"),
}
LEVELS = ("first steps", "methods", "harder problems")
QUESTIONS = 2000
DIFFICULTIES = (1, 1, 2, 2, 3)
"""From easy to hard."""
CATEGORIES = ("board exam", "olympiad", "revision", "concept", "application", "previous year")
TYPES = ("mcq", "mcq", "mcq", "numeric", "text")
MISTAKES = ("sign error", "misread the question", "wrong formula", "unit missing", "guessed", "कदम छूट गया", None, None)
WORDS = ("because the forces balance", "√2 · π", "it doubles", "क्योंकि ताप बढ़ता है", 'he said "no"', "a\\b", "x² + 4")

TOPICS = [name for names in SUBJECTS.values() for name in names]
TOPICS_PER_SUBJECT = len(TOPICS) // len(SUBJECTS)

# Cumulative weights of the local hours: before school, a quiet noon, a long evening.
CURVE = tuple(accumulate((1, 0, 0, 0, 1, 4, 9, 9, 4, 2, 2, 3, 3, 4, 5, 8, 11, 14, 16, 18, 18, 14, 8, 4)))
HOURS = range(24)
MAX_PER_DAY = 40

BAD_QUESTION = "q-7781"
"""The id of a question that is imported late."""
BAD_USER = 417
"""The user who attempts it, or the last user when there are fewer."""


def add_attempts(data: Database, users: int, since: datetime, until: datetime, *, seed: int = 1) -> None:
    """Writes the attempts of `users` users in [since, until), and the users and the catalogue first.

    A user's day depends on seed, user and date only, so a period can be written at once or in parts, and writing it
    again adds nothing. On the last day one user attempts a question that is not in the catalogue yet.
    """
    if users < 1 or since >= until:
        return
    add_users(data, users, seed=seed)
    _add_catalogue(data)
    add_missing(data, attempts, _attempts(users, Window(since, until, ""), seed))
    _add_invalid_attempt(data, min(BAD_USER, users), DAY.at(until - timedelta(microseconds=1), ZONE).start)


def _attempts(users: int, period: Window, seed: int) -> Iterator[dict[str, Any]]:
    days = list(_days(period))
    for number in range(1, users + 1):
        user = user_id(number)
        user_rng = Random(f"{seed}/{user}/attempts")
        active = is_active(number, seed=seed)
        activity = user_rng.uniform(0.82, 1.0) if active else 0.05
        daily_attempts = user_rng.uniform(9.0, 18.8)
        skills = [user_rng.uniform(0.45, 0.98) for _ in SUBJECTS]
        for day in days:
            rng = Random(f"{seed}/{user}/{day.label}")
            if rng.random() < activity:
                yield from _day(user, day, period, rng, daily_attempts, skills)


def _days(period: Window) -> Iterator[Window]:
    day = DAY.at(period.start, ZONE)
    while day.start < period.end:
        yield day
        day = DAY.at(day.end, ZONE)


def _day(
    user: str, day: Window, period: Window, rng: Random, daily_attempts: float, skills: list[float]
) -> Iterator[dict[str, Any]]:
    number = min(MAX_PER_DAY, max(1, round(rng.gauss(daily_attempts, 4))))
    hours = rng.choices(HOURS, cum_weights=CURVE, k=number)
    chance = rng.random
    moments = sorted(int((hour + chance()) * 3600e6) for hour in hours)
    prefix = f"{user}-{day.label[2:].replace('-', '')}-"
    for n, moment in enumerate(moments):
        # Drawn for the whole day, even if only a part of it is requested.
        question, luck, skill, slow, other = int(chance() * QUESTIONS), chance(), chance(), chance(), chance()
        solved_at = day.start + timedelta(microseconds=moment)
        if not period.start <= solved_at < period.end:
            continue
        hard = _hardness(question)
        chance_correct = skills[_topic(question) // TOPICS_PER_SUBJECT] - 0.1 * hard
        status = "unsolved" if luck < 0.07 else "correct" if skill < chance_correct else "incorrect"
        timing = round(8 + 50 * (1 + hard) * slow * slow + 20 * other, 2)
        kind = TYPES[question % len(TYPES)]
        yield {
            "id": f"{prefix}{n:02}",
            "user_id": user,
            "question_id": _question_id(question),
            "type": kind if luck < 0.99 else None,
            "answer": None if status == "unsolved" else _answer(kind, other),
            "mistake": MISTAKES[int(other * len(MISTAKES))] if status == "incorrect" else None,
            "timing": None if status == "unsolved" and slow < 0.5 else timing,
            "reaction_time": round(0.4 + 4 * skill, 3) if slow > 0.05 else None,
            "status": status,
            "hints_used": slow > 1 / 3 if other > 0.1 else None,
            "solved_at": solved_at,
        }


def _answer(kind: str, chance: float) -> str:
    if kind == "mcq":
        return "ABCD"[int(chance * 4)]
    return f"{chance * 400 - 100:.1f}" if kind == "numeric" else WORDS[int(chance * len(WORDS))]


def import_question(db: Connection) -> None:
    """Adds the question that one user has attempted already."""
    row = {"id": BAD_QUESTION, "subject_id": _subject_id(0), "topic_id": "t00", "difficulty": 2, "categories": []}
    if db.execute(select(questions.c.id).where(questions.c.id == BAD_QUESTION)).first() is None:
        db.execute(insert(questions).values(row))


def _add_invalid_attempt(data: Database, number: int, day_starts: datetime) -> None:
    """Adds one invalid attempt, or moves it to the newest day, whose question is then missing again."""
    row = {
        "id": f"{user_id(number)}-{BAD_QUESTION}",
        "user_id": user_id(number),
        "question_id": BAD_QUESTION,
        "type": "mcq",
        "answer": "A",
        "timing": 12.5,
        "reaction_time": 0.9,
        "status": "correct",
        "hints_used": False,
        "solved_at": day_starts,
    }
    statement = inserting(data, attempts).values(row)
    newer = statement.excluded.solved_at
    adding = statement.on_conflict_do_update(
        index_elements=[attempts.c.id], set_={"solved_at": newer}, where=attempts.c.solved_at < newer
    )
    with data.writing() as db:
        if db.execute(adding).rowcount:
            db.execute(delete(questions).where(questions.c.id == BAD_QUESTION))


# --- the catalogue --------------------------------------------------------------------------------------------------


def _add_catalogue(data: Database) -> None:
    add_missing(data, subjects, [{"id": f"s{n}", "name": name} for n, name in enumerate(SUBJECTS, 1)])
    add_missing(
        data,
        topics,
        [{"id": f"t{n:02}", "subject_id": _subject_id(n), "name": name} for n, name in enumerate(TOPICS)],
    )
    add_missing(
        data,
        subtopics,
        [
            {"id": _subtopic_id(n, level), "topic_id": f"t{n:02}", "name": f"{name}: {LEVELS[level]}"}
            for n, name in enumerate(TOPICS)
            for level in range(len(LEVELS))
        ],
    )
    add_missing(data, questions, [_question(n) for n in range(QUESTIONS)])
    add_missing(
        data,
        question_subtopics,
        [
            {"question_id": _question_id(n), "subtopic_id": _subtopic_id(_topic(n), level)}
            for n in range(QUESTIONS)
            for level in range(n // len(TOPICS) % (len(LEVELS) + 1))  # from none to all
        ],
    )


def _question(n: int) -> dict[str, Any]:
    rng = Random(f"question {n}")
    categories = rng.sample(CATEGORIES, rng.choice((0, 1, 1, 2, 3)))
    return {
        "id": _question_id(n),
        "subject_id": _subject_id(_topic(n)),
        "topic_id": f"t{_topic(n):02}",
        "difficulty": None if n % 97 == 96 else DIFFICULTIES[n // len(TOPICS) % len(DIFFICULTIES)],
        "categories": None if n % 89 == 88 else categories,
    }


def _question_id(n: int) -> str:
    return f"q-{n + 1:04}"


def _topic(question: int) -> int:
    return question % len(TOPICS)


def _hardness(question: int) -> int:
    """0 for easy to 2 for hard."""
    return question // len(TOPICS) % len(DIFFICULTIES) // 2


def _subject_id(topic: int) -> str:
    return f"s{topic // TOPICS_PER_SUBJECT + 1}"


def _subtopic_id(topic: int, level: int) -> str:
    return f"st{topic:02}-{level + 1}"
