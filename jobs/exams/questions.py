"""What a question must be like: our own check of what the service answers, and of what an exam is put together from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec

from jobs.exams.blueprint import SHARES, Counts
from opsconsole.extensions import safe

OPTIONS = 4
DIFFICULTIES = ("easy", "medium", "hard")
LENGTHS = {"stem": (10, 2000), "option": (1, 500), "explanation": (10, 4000)}
"""The fewest and the most characters."""

_TAG = re.compile(r"<[A-Za-z/!?][^<>]*>")
_FOLDED = re.compile(r"\s+")


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question as it is answered and stored; `answer` is the index of the right option."""

    stem: str
    options: list[str]
    answer: int
    explanation: str
    domain: str
    difficulty: str


class Unfit(Exception):
    """An answer that cannot be used; says why, in words that are the same for like causes."""


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    questions: list[Question]


def read(text: str, counts: Counts) -> list[Question]:
    """The questions of an answer, each of them right and of a domain that was asked for; alike ones once, and no more
    of a domain than were asked for. There may be fewer, but not none. Raises Unfit.
    """
    try:
        found = msgspec.json.decode(text, type=_Answer).questions
    except msgspec.ValidationError:
        raise Unfit("its JSON is not of the form that was asked for") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Unfit("it is not JSON") from None
    for question in found:
        fault = _fault(question)
        if fault is not None:
            raise Unfit(fault)
        if question.domain not in counts:
            raise Unfit("a question is of a domain that was not asked for")
    kept = pick(found, counts)
    if not kept:
        raise Unfit("it has no question that was asked for")
    return kept


def pick(found: Iterable[Question], counts: Counts) -> list[Question]:
    """The first so many of each domain, without those whose stem is that of one before."""
    seen: set[str] = set()
    taken: Counter[str] = Counter()
    kept = []
    for question in found:
        stem = fold(question.stem)
        if stem not in seen and taken[question.domain] < counts.get(question.domain, 0):
            seen.add(stem)
            taken[question.domain] += 1
            kept.append(question)
    return kept


def missing(kept: Iterable[Question], counts: Counts) -> dict[str, int]:
    """How many of each domain are still wanted; domains that are whole are left out."""
    there = Counter(question.domain for question in kept)
    return {domain: wanted - there[domain] for domain, wanted in counts.items() if wanted > there[domain]}


def put_together(exam_key: str, kept: list[Question]) -> list[dict[str, Any]]:
    """A whole exam's questions as they are stored, numbered in an order that mixes the domains and is the same for the
    same exam.
    """
    mixed = list(kept)
    Random(exam_key).shuffle(mixed)
    return [{"id": f"q{n:03}", **msgspec.to_builtins(question)} for n, question in enumerate(mixed, 1)]


def fold(stem: str) -> str:
    """A stem without what does not make it another one: case and white space."""
    return _FOLDED.sub(" ", stem).strip().casefold()


def _fault(question: Question) -> str | None:
    texts = [("stem", question.stem), ("explanation", question.explanation)]
    texts += [("option", option) for option in question.options]
    for name, text in texts:
        shortest, longest = LENGTHS[name]
        if not shortest <= len(text.strip()) <= longest:
            return f"a question's {name} is too short or too long"
        plain = re.sub(r"[\n\t]", " ", text)
        if safe(plain, longest + shortest) != plain or _TAG.search(text):
            return f"a question's {name} has control characters or markup"
    if len(question.options) != OPTIONS or len({fold(option) for option in question.options}) != OPTIONS:
        return f"a question has not {OPTIONS} distinct options"
    if not 0 <= question.answer < OPTIONS:
        return "a question's answer is none of its options"
    if question.domain not in SHARES:
        return "a question is of no known domain"
    if question.difficulty not in DIFFICULTIES:
        return "a question's difficulty is none of " + ", ".join(DIFFICULTIES)
    return None
