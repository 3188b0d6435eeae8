"""Prepares a run and reads its keys in a background thread, so that neither delays the schedule or other runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any

PAGES_AHEAD = 2
"""How many pages wait in memory, however large the population is."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The prepared values that all batches of a run share."""

    values: dict[str, Any]


Page = list[str] | Facts


class PopulationReader:
    """The pages that `read` yields. The thread starts with the first `take` and ends after the last page or `close`;
    while it waits for a database it ends only after the answer.
    """

    def __init__(self, read: Callable[[], Iterator[Page]]) -> None:
        self._read = read
        self._queue: Queue[Page | BaseException | None] = Queue(PAGES_AHEAD)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, wait_seconds: float) -> Page | None:
        """The next page, None after the last. Raises Empty when there is none within `wait_seconds`, and what reading
        it raised.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._fill, name="population-reader", daemon=True)
            self._thread.start()
        page = self._queue.get(timeout=wait_seconds)
        if isinstance(page, BaseException):
            raise page
        return page

    def close(self) -> None:
        """Stops reading."""
        self._closed.set()
        while True:  # the thread may be blocked by the full queue
            try:
                self._queue.get_nowait()
            except Empty:
                return

    def _fill(self) -> None:
        pages = self._read()
        try:
            for page in pages:
                self._queue.put(page)
                if self._closed.is_set():
                    return
            self._queue.put(None)
        except Exception as error:  # noqa: BLE001 - raised again by `take`
            self._queue.put(error)
        finally:
            close = getattr(pages, "close", None)
            if close is not None:
                close()


__all__ = ["Empty", "Facts", "Page", "PopulationReader"]
