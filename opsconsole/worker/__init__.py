"""Executes batches: the executors and the worker process."""
