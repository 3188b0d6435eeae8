"""Selects the questions of a practice session from a user's current, weak and revision topics."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from random import Random
from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class SessionConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The number of questions, the shares of current, weak and revision topics, and optional filters."""

    questions: Annotated[int, msgspec.Meta(ge=1, le=500)] = 20
    current: Share = 0.5
    weak: Share = 0.3
    revision: Share = 0.2
    category: str | None = None
    difficulty: int | float | None = None


class Topics(msgspec.Struct, frozen=True):
    """A user's topics in one subject."""

    current: list[str] = []
    weak: list[str] = []
    revision: list[str] = []


Pool = Mapping[str, Iterable[str]]
"""The questions of a subject by topic."""


def generate(config: SessionConfig, pool: Pool, topics: Topics, solved: Collection[str], seed: str) -> list[str]:
    """The questions of a session, without duplicates; fewer than configured only when the pool is too small.

    Each group's share is drawn from its topics, the rest from the whole pool. `solved` questions are used only when
    no others are left. The same arguments give the same questions.
    """
    rng = Random(seed)
    already_solved = set(solved)
    everything = sorted({question for questions in pool.values() for question in questions})
    fresh = [question for question in everything if question not in already_solved]
    chosen: dict[str, None] = {}
    shares = largest_remainder(config.questions, (config.current, config.weak, config.revision))
    for share, names in zip(shares, (topics.current, topics.weak, topics.revision), strict=True):
        of_group = {question for name in names for question in pool.get(name, ())}
        _draw(rng, [question for question in fresh if question in of_group], share, chosen)
    _draw(rng, fresh, config.questions - len(chosen), chosen)
    _draw(rng, everything, config.questions - len(chosen), chosen)
    session = list(chosen)
    rng.shuffle(session)
    return session


def largest_remainder(total: int, shares: Iterable[float]) -> list[int]:
    """Splits `total` into whole numbers in proportion to `shares`, which need not add up to 1.

    Ties of remainders go to the first. All zeros when the shares are.
    """
    weights = list(shares)
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    exact = [total * weight / whole for weight in weights]
    counts = [int(part) for part in exact]
    # Rounded, so that products such as 20 x 0.3, inexact in binary, tie as in decimal arithmetic.
    by_remainder = sorted(range(len(weights)), key=lambda n: (-round(exact[n] - counts[n], 9), n))
    for n in by_remainder[: total - sum(counts)]:
        counts[n] += 1
    return counts


def _draw(rng: Random, candidates: list[str], size: int, chosen: dict[str, None]) -> None:
    """Adds up to `size` candidates that are not chosen yet."""
    left = [question for question in candidates if question not in chosen]
    chosen.update(dict.fromkeys(rng.sample(left, min(size, len(left)))))
