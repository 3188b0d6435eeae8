"""How long a command takes from its start to its end."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time

from benchmarks.figures import of_rounds
from benchmarks.options import Figures, Options

HELP_GOAL_MS = 250.0


def measure(options: Options) -> Figures:
    """The time of `--help`."""
    with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder:
        taken = [_milliseconds(folder, "--help") for _ in range(2 * options.rounds + 1)][1:]
    wall, processor = zip(*taken, strict=True)
    yield of_rounds("commands", "--help", wall, "ms", HELP_GOAL_MS, note=f"{min(processor):.0f} ms of processor time")


def _milliseconds(folder: str, *words: str) -> tuple[float, float]:
    """From the start of a command to its end: wall clock, and processor time."""
    environ = {**os.environ, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "opsconsole", *words], env=environ, cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * wall, 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
