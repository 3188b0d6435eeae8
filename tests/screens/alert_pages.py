"""Keys for the page of alerts."""

from __future__ import annotations

OUTAGE, LATE, STALE, QUEUE, ITEMS, OVER = (("6", *["down"] * n) for n in range(6))
"""Keys that bring the cursor to an alert."""
