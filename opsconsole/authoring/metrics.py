"""Sums of metrics, bounded in their number and size: a run's metrics are one row of the store."""

from __future__ import annotations

from opsconsole.core.bounds import MAX_NUMBER

MAX_METRICS = 100
OTHER_METRICS = "other_metrics"


def add(totals: dict[str, int | float], metric: str, n: float) -> None:
    """Adds `n` to a metric; after MAX_METRICS of them, further names are counted as OTHER_METRICS."""
    name = metric if metric in totals or len(totals) < MAX_METRICS else OTHER_METRICS
    totals[name] = max(-MAX_NUMBER, min(MAX_NUMBER, totals.get(name, 0) + n))
