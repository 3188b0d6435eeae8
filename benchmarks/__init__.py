"""Benchmarks of the jobs against two baselines without the engine: a typical program and an optimized script."""

import os

# Processes that are measured use compiled modules, as those of an installation do: compiling them takes longer than
# everything else in a start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
