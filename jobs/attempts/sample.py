"""Made-up attempts for the demo, the benchmarks and the tests: people who practise most days, mostly at night."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

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
DIFFICULTIES = ("easy", "easy", "medium", "medium", "hard")
CATEGORIES = ("board exam", "olympiad", "revision", "concept", "application", "previous year")
TYPES = ("mcq", "mcq", "mcq", "numeric", "text")
MISTAKES = ("sign error", "misread the question", "wrong formula", "unit missing", "guessed", "कदम छूट गया", None, None)
WORDS = ("because the forces balance", "√2 · π", "it doubles", "क्योंकि ताप बढ़ता है", 'he said "no"', "a\\b", "x² + 4")

TOPICS = [name for names in SUBJECTS.values() for name in names]
TOPICS_A_SUBJECT = len(TOPICS) // len(SUBJECTS)

# Before school, a quiet noon, a long evening: the weight of each local hour of the day.
CURVE = tuple(accumulate((1, 0, 0, 0, 1, 4, 9, 9, 4, 2, 2, 3, 3, 4, 5, 8, 11, 14, 16, 18, 18, 14, 8, 4)))
HOURS = range(24)
MOST_A_DAY = 40

BAD_QUESTION = "q-7781"
"""A question that is in no catalogue."""
BAD_USER = 417
"""The user who met it; the last one where there are fewer."""


def add_attempts(data: Database, users: int, since: datetime, until: datetime, *, seed: int = 1) -> None:
    """Writes what `users` people did in [since, until), and before it the people and the catalogue.

    A user's day depends on seed, user and date alone: stretches may be written one after another or at once, and one
    that is there already adds nothing. On the last day that has begun, one user meets a question that does not exist.
    """
    if users < 1 or since >= until:
        return
    add_users(data, users, seed=seed)
    _add_catalogue(data)
    add_missing(data, attempts, _attempts(users, Window(since, until, ""), seed))
    _plant_a_bad_attempt(data, min(BAD_USER, users), DAY.at(until - timedelta(microseconds=1), ZONE).start)


def _attempts(users: int, stretch: Window, seed: int) -> Iterator[dict[str, Any]]:
    days = list(_days(stretch))
    for number in range(1, users + 1):
        user = user_id(number)
        nature = Random(f"{seed}/{user}/attempts")
        active = is_active(number, seed=seed)
        comes = nature.uniform(0.82, 1.0) if active else 0.05
        eager = nature.uniform(9.0, 18.8)
        knows = [nature.uniform(0.45, 0.98) for _ in SUBJECTS]
        for day in days:
            dice = Random(f"{seed}/{user}/{day.label}")
            if dice.random() < comes:
                yield from _day(user, day, stretch, dice, eager, knows)


def _days(stretch: Window) -> Iterator[Window]:
    day = DAY.at(stretch.start, ZONE)
    while day.start < stretch.end:
        yield day
        day = DAY.at(day.end, ZONE)


def _day(
    user: str, day: Window, stretch: Window, dice: Random, eager: float, knows: list[float]
) -> Iterator[dict[str, Any]]:
    many = min(MOST_A_DAY, max(1, round(dice.gauss(eager, 4))))
    hours = dice.choices(HOURS, cum_weights=CURVE, k=many)
    chance = dice.random
    moments = sorted(int((hour + chance()) * 3600e6) for hour in hours)
    prefix = f"{user}-{day.label[2:].replace('-', '')}-"
    for n, moment in enumerate(moments):
        # The chances are drawn for the whole day, whatever part of it is asked for.
        question, luck, skill, slow, other = int(chance() * QUESTIONS), chance(), chance(), chance(), chance()
        solved_at = day.start + timedelta(microseconds=moment)
        if not stretch.start <= solved_at < stretch.end:
            continue
        hard = _hardness(question)
        known = knows[_topic(question) // TOPICS_A_SUBJECT] - 0.1 * hard
        status = "unsolved" if luck < 0.07 else "correct" if skill < known else "incorrect"
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
            "hints_used": int(3 * slow) if other > 0.1 else None,
            "solved_at": solved_at,
        }


def _answer(kind: str, chance: float) -> str:
    if kind == "mcq":
        return "ABCD"[int(chance * 4)]
    return f"{chance * 400 - 100:.1f}" if kind == "numeric" else WORDS[int(chance * len(WORDS))]


def _plant_a_bad_attempt(data: Database, number: int, day_starts: datetime) -> None:
    """One attempt for the whole data set: it moves along to the newest day."""
    row = {
        "id": f"{user_id(number)}-{BAD_QUESTION}",
        "user_id": user_id(number),
        "question_id": BAD_QUESTION,
        "type": "mcq",
        "answer": "A",
        "timing": 12.5,
        "reaction_time": 0.9,
        "status": "correct",
        "hints_used": 0,
        "solved_at": day_starts,
    }
    adding = inserting(data, attempts).values(row)
    newer = adding.excluded.solved_at
    with data.writing() as db:
        db.execute(
            adding.on_conflict_do_update(
                index_elements=[attempts.c.id], set_={"solved_at": newer}, where=attempts.c.solved_at < newer
            )
        )


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
            for level in range(n // len(TOPICS) % (len(LEVELS) + 1))  # none to all of them
        ],
    )


def _question(n: int) -> dict[str, Any]:
    dice = Random(f"question {n}")
    categories = dice.sample(CATEGORIES, dice.choice((0, 1, 1, 2, 3)))
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
    return f"s{topic // TOPICS_A_SUBJECT + 1}"


def _subtopic_id(topic: int, level: int) -> str:
    return f"st{topic:02}-{level + 1}"
