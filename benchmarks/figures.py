"""Figures with their goals and verdicts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """Whether a figure meets its goal."""

    MET = "met"
    MISSED = "missed"
    NO_GOAL = ""


@dataclass(frozen=True)
class Figure:
    """One figure: the median of its rounds.

    `place` is where it was measured (a heading), `what` is unique within it. The `goal` is an upper bound, or a lower
    one with `at_least`. `spread` is the difference of the worst and the best round as a share of the median. `note` has
    what belongs beside it, such as absolute figures.
    """

    place: str
    what: str
    value: float
    unit: str = ""
    goal: float | None = None
    at_least: bool = False
    spread: float | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether it meets its goal, as precisely as it is shown."""
        if self.goal is None:
            return Verdict.NO_GOAL
        value = float(shown(self.value).replace(",", ""))
        met = value >= self.goal if self.at_least else value <= self.goal
        return Verdict.MET if met else Verdict.MISSED

    @property
    def goal_text(self) -> str:
        """The goal with its direction; empty without one."""
        return "" if self.goal is None else f"{'≥' if self.at_least else '≤'} {self.goal:,g}"

    @property
    def cells(self) -> tuple[str, str, str, str, str, str]:
        """What it is, goal, measured, spread, verdict, note."""
        spread = "" if self.spread is None else f"{self.spread:.0%}"
        return self.what, self.goal_text, f"{shown(self.value)} {self.unit}".strip(), spread, self.verdict, self.note

    def as_json(self) -> dict[str, Any]:
        """All fields and the verdict."""
        return asdict(self) | {"verdict": self.verdict}


HEADINGS = ("", "goal", "measured", "spread", "verdict", "")
"""The headings of `Figure.cells`."""


def of_rounds(
    place: str,
    what: str,
    rounds: Sequence[float],
    unit: str = "",
    goal: float | None = None,
    *,
    at_least: bool = False,
    note: str = "",
) -> Figure:
    """The figure of a value that was measured in each round."""
    return Figure(place, what, statistics.median(rounds), unit, goal, at_least, spread_of(rounds), note)


def spread_of(rounds: Sequence[float]) -> float:
    """The difference of the worst and the best round, as a share of the median."""
    middle = statistics.median(rounds)
    return (max(rounds) - min(rounds)) / middle if middle else 0.0


def shown(value: float) -> str:
    """Three digits or more."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"
