"""The workload that baselines process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from opsconsole import Window


@dataclass(frozen=True)
class Workload:
    """The databases, the window and the size. `page` is the page size of the bare baseline; the naive one processes the
    first `limit` items, all when None.
    """

    data_url: str
    redis_url: str
    window: Window
    as_of: datetime
    page: int = 1000
    limit: int | None = None

    @property
    def until(self) -> datetime:
        """The end of the data to process."""
        return self.window.until(self.as_of).end
