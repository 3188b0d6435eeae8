"""Benchmarks of the jobs against two baselines without the engine: a typical program and an optimized script."""
