"""A thread that works for the demo while it is open."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self


class DemoThread:
    """Works in `_run` from the start of the block on. At its end, sets `_stopping` and waits for the thread."""

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        raise NotImplementedError
