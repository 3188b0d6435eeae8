"""How long commands and processes take to start, and what they take while they are idle."""

from __future__ import annotations

from benchmarks import startup
from benchmarks.options import Figures, Options, Size


def measure(options: Options) -> Figures:
    """The commands; except for a quick look, also headless processes and idling. The console has its own suite."""
    parts = (startup.COMMANDS,) if options.size is Size.QUICK else (startup.COMMANDS, startup.READY, startup.IDLE)
    yield from startup.measure(parts, startup.How(starts=options.rounds))
