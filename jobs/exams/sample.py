"""Made-up exams for the demo, the benchmarks and the tests: some taken, some expired, and many people without one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from jobs.exams.blueprint import blueprint
from jobs.exams.stock import LIVES
from jobs.exams.tables import ExamType, pre_generated_exams
from jobs.sample_users import add_missing, add_users, is_active, user_id

if TYPE_CHECKING:
    from opsconsole.sql import Database

MODEL = "sample"
SHARE = 0.08
"""So many of the active users get an exam of a type on any one day."""
MADE_AT = timedelta(hours=6, minutes=10)
TAKEN = 0.4
TOKENS = (60, 380)
"""Read and made for a question."""
PRICE_MICROS = (2, 10)


def add_exams(data: Database, users: int, since: datetime, until: datetime, *, seed: int = 1) -> None:
    """Writes what `users` people had of exams that were made in [since, until), and before it the people. Their
    questions say that they are samples, and are much shorter than real ones.
    """
    if users < 1 or since >= until:
        return
    add_users(data, users, seed=seed)
    add_missing(data, pre_generated_exams, _exams(users, since, until, seed))


def _exams(users: int, since: datetime, until: datetime, seed: int) -> Iterator[dict[str, Any]]:
    day = since.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < until:
        made_at = day + MADE_AT
        if since <= made_at < until:
            yield from _day(users, made_at, until, seed)
        day += timedelta(days=1)


def _day(users: int, made_at: datetime, until: datetime, seed: int) -> Iterator[dict[str, Any]]:
    for number in range(1, users + 1):
        for exam in ExamType:
            dice = Random(f"{seed}/{user_id(number)}/{exam}/{made_at:%Y-%m-%d}")
            if dice.random() >= SHARE or not is_active(number, seed=seed):
                continue
            wanted = [domain for domain, count in blueprint(exam).items() for _ in range(count)]
            used_at = made_at + timedelta(hours=dice.uniform(1, 60)) if dice.random() < TAKEN else None
            taken = used_at is not None and used_at < until
            read, made = (tokens * len(wanted) for tokens in TOKENS)
            yield {
                "id": f"sample-{user_id(number)}-{exam[:1]}-{made_at:%y%m%d}",
                "user_id": user_id(number),
                "exam_type": exam.value,
                "questions": [_question(n, domain) for n, domain in enumerate(wanted, 1)],
                "model": MODEL,
                "input_tokens": read,
                "output_tokens": made,
                "cost_micros": read * PRICE_MICROS[0] + made * PRICE_MICROS[1],
                "created_at": made_at,
                "expires_at": made_at + LIVES,
                "used": taken,
                "used_at": used_at if taken else None,
            }


def _question(number: int, domain: str) -> dict[str, Any]:
    return {
        "id": f"q{number:03}",
        "stem": f"Sample question {number} about {domain}",
        "options": ["first", "second", "third", "fourth"],
        "answer": number % 4,
        "explanation": "A sample: it explains nothing.",
        "domain": domain,
        "difficulty": "easy",
    }
