"""What each way of doing a job is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from opsconsole import Window


@dataclass(frozen=True)
class Asked:
    """Where the data is, what it is about, and how much of it: a `page` of the bare way has so many items, and the
    naive one goes through the first `limit` of them, through all when None.
    """

    data_url: str
    redis_url: str
    window: Window
    as_of: datetime
    page: int = 1000
    limit: int | None = None

    @property
    def until(self) -> datetime:
        """Where what is looked at ends."""
        return self.window.until(self.as_of).end
