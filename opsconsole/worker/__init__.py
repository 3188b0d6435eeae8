"""Turns one batch into one result: the executors and the worker process."""
