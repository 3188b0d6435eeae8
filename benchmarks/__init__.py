"""Measures the jobs against two programs that do the same work without the engine: a usual one, and the best one."""
