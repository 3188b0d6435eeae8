"""The parts of the suite. Each module has `measure(options)`, which yields figures as they are measured."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from benchmarks.options import Figures, Options

PARTS = ("startup", "engine", "burst", "jobs", "backfill", "caches")
"""In the order in which they are measured. `python -m benchmarks.console` and `benchmarks.memory` stand alone."""


def load(part: str) -> Callable[[Options], Figures]:
    """The function that measures a part."""
    measure: Callable[[Options], Figures] = import_module(f"benchmarks.parts.{part}").measure
    return measure
