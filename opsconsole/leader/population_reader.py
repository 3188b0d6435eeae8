"""Prepares a run and reads its keys ahead in a thread of its own: neither delays the schedule or other runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any

AHEAD = 2
"""So many pages wait in memory; what is read does not grow with the population."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run's batches share, found out before its keys are read."""

    found: dict[str, Any]


Page = list[str] | Facts


class PopulationReader:
    """What `read` gives, page by page. The thread starts at the first question and ends with the last page, or with
    `close`; one that waits for a database ends when that has answered.
    """

    def __init__(self, read: Callable[[], Iterator[Page]]) -> None:
        self._read = read
        self._queue: Queue[Page | BaseException | None] = Queue(AHEAD)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, patience: float) -> Page | None:
        """The next page, None after the last. Raises Empty when it is not there within `patience` seconds, and whatever
        reading it raised.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._fill, name="pages", daemon=True)
            self._thread.start()
        found = self._queue.get(timeout=patience)
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """Lets go of the population."""
        self._closed.set()
        while True:  # the thread may wait for room
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
        except Exception as error:  # noqa: BLE001 - it is raised again where the page is taken
            self._queue.put(error)
        finally:
            close = getattr(pages, "close", None)
            if close is not None:
                close()


__all__ = ["Empty", "Facts", "Page", "PopulationReader"]
