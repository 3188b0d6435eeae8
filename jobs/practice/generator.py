"""Puts a practice session together: which questions, out of what a user does, does badly, and may have forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from random import Random
from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class SessionConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many questions a session has, in what proportion they come from the user's current topics, weak concepts and
    topics for revision, and to which category or difficulty they are limited.
    """

    questions: Annotated[int, msgspec.Meta(ge=1, le=500)] = 20
    current: Share = 0.5
    weak: Share = 0.3
    revision: Share = 0.2
    category: str | None = None
    difficulty: str | None = None


class Topics(msgspec.Struct, frozen=True):
    """A user's topics in one subject."""

    current: list[str] = []
    weak: list[str] = []
    revision: list[str] = []


Pool = Mapping[str, Iterable[str]]
"""The questions of a subject, by topic."""


def generate(config: SessionConfig, pool: Pool, topics: Topics, solved: Collection[str], seed: str) -> list[str]:
    """The questions of a session, none twice; fewer than asked for only when the pool has no more.

    Each group's share is drawn from its topics, what it lacks from the whole pool. Those that are `solved` come only
    when nothing else is left. The same arguments give the same questions.
    """
    dice = Random(seed)
    known = set(solved)
    everything = sorted({question for questions in pool.values() for question in questions})
    fresh = [question for question in everything if question not in known]
    chosen: dict[str, None] = {}
    shares = largest_remainder(config.questions, (config.current, config.weak, config.revision))
    for share, names in zip(shares, (topics.current, topics.weak, topics.revision), strict=True):
        of_group = {question for name in names for question in pool.get(name, ())}
        _draw(dice, [question for question in fresh if question in of_group], share, chosen)
    _draw(dice, fresh, config.questions - len(chosen), chosen)
    _draw(dice, everything, config.questions - len(chosen), chosen)
    session = list(chosen)
    dice.shuffle(session)
    return session


def largest_remainder(total: int, shares: Iterable[float]) -> list[int]:
    """`total` in whole numbers that are nearest to the shares, which need not add up to 1; the first of those with the
    same remainder gets more. All 0 when the shares are.
    """
    weights = list(shares)
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    exact = [total * weight / whole for weight in weights]
    counts = [int(part) for part in exact]
    # Rounded, so that 20 x 0.3 and 20 x 0.2, which are not exact in binary, tie where they do on paper.
    by_remainder = sorted(range(len(weights)), key=lambda n: (-round(exact[n] - counts[n], 9), n))
    for n in by_remainder[: total - sum(counts)]:
        counts[n] += 1
    return counts


def _draw(dice: Random, candidates: list[str], many: int, chosen: dict[str, None]) -> None:
    """Adds up to `many` of the candidates that are not chosen yet."""
    left = [question for question in candidates if question not in chosen]
    chosen.update(dict.fromkeys(dice.sample(left, min(many, len(left)))))
