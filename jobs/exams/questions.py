"""Validates the questions in responses and assembles exams from them."""

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
"""Minimum and maximum number of characters."""

# "a<b or b>c" is no tag: one has a name and attributes with values, or opens with !, ? or /.
_TAG = re.compile(
    r"""<(?:[!?][^<>]*|/[A-Za-z][\w:-]*\s*|[A-Za-z][\w:-]*(?:\s+[\w:-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>]+))*\s*/?)>"""
)
# Soft hyphens, the joiners of emoji and of Indic and Persian scripts, and the selectors of emoji.
_HARMLESS = re.compile("[\u00ad\u200c\u200d\ufe0e\ufe0f]")
_WHITE_SPACE = re.compile(r"\s+")


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question; `answer` is the index of the correct option."""

    stem: str
    options: list[str]
    answer: int
    explanation: str
    domain: str
    difficulty: str


class InvalidAnswer(Exception):
    """A response cannot be used. The message has no ids or numbers, so that equal causes are grouped."""


class _Payload(msgspec.Struct, forbid_unknown_fields=True):
    questions: list[Question]


def parse(text: str, counts: Counts) -> list[Question]:
    """The valid questions of a response, without duplicates and at most `counts` of each domain.

    An invalid question is left out, and is requested again with the missing ones. Raises InvalidAnswer when no question
    can be used, with the problem of the first invalid one.
    """
    try:
        questions = msgspec.json.decode(text, type=_Payload).questions
    except msgspec.ValidationError:
        raise InvalidAnswer("its JSON does not match the schema") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidAnswer("it is not JSON") from None
    problems = [_problem(question, counts) for question in questions]
    usable = [question for question, problem in zip(questions, problems, strict=True) if problem is None]
    selected = select_questions(usable, counts)
    if not selected:
        raise InvalidAnswer(next(filter(None, problems), "it has none of the requested questions"))
    return selected


def select_questions(questions: Iterable[Question], counts: Counts) -> list[Question]:
    """The first `counts` questions of each domain, skipping repeated stems."""
    stems: set[str] = set()
    taken: Counter[str] = Counter()
    selected = []
    for question in questions:
        stem = normalize(question.stem)
        if stem not in stems and taken[question.domain] < counts.get(question.domain, 0):
            stems.add(stem)
            taken[question.domain] += 1
            selected.append(question)
    return selected


def missing_counts(accepted: Iterable[Question], counts: Counts) -> dict[str, int]:
    """How many questions of each domain are still missing, without the complete domains."""
    present = Counter(question.domain for question in accepted)
    return {domain: needed - present[domain] for domain, needed in counts.items() if needed > present[domain]}


def assemble(exam_key: str, accepted: list[Question]) -> list[dict[str, Any]]:
    """A complete exam in its stored form, numbered in a random order that depends on `exam_key` only."""
    shuffled = list(accepted)
    Random(exam_key).shuffle(shuffled)
    return [{"id": f"q{n:03}", **msgspec.to_builtins(question)} for n, question in enumerate(shuffled, 1)]


def normalize(stem: str) -> str:
    """A stem without differences in case and white space."""
    return _WHITE_SPACE.sub(" ", stem).strip().casefold()


def _problem(question: Question, counts: Counts) -> str | None:
    texts = [("stem", question.stem), ("explanation", question.explanation)]
    texts += [("option", option) for option in question.options]
    for name, text in texts:
        shortest, longest = LENGTHS[name]
        if not shortest <= len(text.strip()) <= longest:
            return f"a question's {name} is too short or too long"
        plain = _HARMLESS.sub("", re.sub(r"[\n\t]", " ", text))
        if safe(plain, longest + shortest) != plain or _TAG.search(text):
            return f"a question's {name} has control characters or markup"
    if len(question.options) != OPTIONS or len({normalize(option) for option in question.options}) != OPTIONS:
        return f"a question does not have {OPTIONS} distinct options"
    if not 0 <= question.answer < OPTIONS:
        return "a question's answer is not the index of an option"
    if question.domain not in SHARES:
        return "a question has an unknown domain"
    if question.domain not in counts:
        return "a question has a domain that was not requested"
    if question.difficulty not in DIFFICULTIES:
        return "a question's difficulty is not one of " + ", ".join(DIFFICULTIES)
    return None
