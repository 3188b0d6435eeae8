"""What a benchmark run covers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.environment import POSTGRES, SQLITE
from benchmarks.figures import Figure


class Size(StrEnum):
    """How much is measured: in under two minutes, before a change is merged, and before a release."""

    QUICK = "quick"
    NORMAL = "normal"
    FULL = "full"


@dataclass(frozen=True)
class Options:
    """What a part is to measure. `users` and `jobs` narrow the part `jobs`; empty for what belongs to the size."""

    size: Size = Size.NORMAL
    databases: tuple[str, ...] = (SQLITE, POSTGRES)
    rounds: int = 3
    naive_items: int = 300
    users: tuple[int, ...] = ()
    jobs: tuple[str, ...] = ()


Figures = Iterator[Figure]
"""What a part yields, each as soon as it is measured."""
