"""Sample exams for the demo, benchmarks and tests: some used, some expired, many users without one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from jobs.exams.blueprint import blueprint
from jobs.exams.inventory import LIFETIME
from jobs.exams.tables import ExamType, pre_generated_exams
from jobs.sample_users import add_missing, add_users, is_active, user_id

if TYPE_CHECKING:
    from opsconsole.sql import Database

MODEL = "sample"
SHARE = 0.08
"""The share of active users who get an exam of a type on a day."""
GENERATED_AT = timedelta(hours=6, minutes=10)
USED_SHARE = 0.4
TOKENS = (60, 380)
"""Input and output tokens per question."""
PRICE_MICROS = (2, 10)


def add_exams(data: Database, users: int, since: datetime, until: datetime, *, seed: int = 1) -> None:
    """Writes the exams of `users` users generated in [since, until), and the users first.

    Their questions are marked as samples and are much shorter than real ones.
    """
    if users < 1 or since >= until:
        return
    add_users(data, users, seed=seed)
    add_missing(data, pre_generated_exams, _exams(users, since, until, seed))


def _exams(users: int, since: datetime, until: datetime, seed: int) -> Iterator[dict[str, Any]]:
    day = since.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < until:
        generated_at = day + GENERATED_AT
        if since <= generated_at < until:
            yield from _day(users, generated_at, until, seed)
        day += timedelta(days=1)


def _day(users: int, generated_at: datetime, until: datetime, seed: int) -> Iterator[dict[str, Any]]:
    for number in range(1, users + 1):
        for exam in ExamType:
            rng = Random(f"{seed}/{user_id(number)}/{exam}/{generated_at:%Y-%m-%d}")
            if rng.random() >= SHARE or not is_active(number, seed=seed):
                continue
            domains = [domain for domain, count in blueprint(exam).items() for _ in range(count)]
            used_at = generated_at + timedelta(hours=rng.uniform(1, 60)) if rng.random() < USED_SHARE else None
            used = used_at is not None and used_at < until
            input_tokens, output_tokens = (tokens * len(domains) for tokens in TOKENS)
            yield {
                "id": f"sample-{user_id(number)}-{exam[:1]}-{generated_at:%y%m%d}",
                "user_id": user_id(number),
                "exam_type": exam.value,
                "questions": [_question(n, domain) for n, domain in enumerate(domains, 1)],
                "model": MODEL,
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                "cost_micros": input_tokens * PRICE_MICROS[0] + output_tokens * PRICE_MICROS[1],
                "created_at": generated_at,
                "expires_at": generated_at + LIFETIME,
                "used": used,
                "used_at": used_at if used else None,
            }


def _question(number: int, domain: str) -> dict[str, Any]:
    return {
        "id": f"q{number:03}",
        "stem": f"Sample question {number} about {domain}",
        "options": ["first", "second", "third", "fourth"],
        "answer": number % 4,
        "explanation": "Sample explanation.",
        "domain": domain,
        "difficulty": "easy",
    }
