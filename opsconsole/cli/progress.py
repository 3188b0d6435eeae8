"""Progress bars on standard error; nothing is shown where that is not a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsconsole.core.humanize import rate

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@dataclass
class Bar:
    """Shows how much of something is done. Calls are ignored where no bar is shown."""

    progress: Progress | None = None
    task: TaskID | None = None
    _start: tuple[int, float] | None = None

    @property
    def is_shown(self) -> bool:
        """Whether there is a terminal to show it on."""
        return self.progress is not None

    def update(self, done: int, total: int, note: str = "", *, title: str | None = None) -> None:
        """Shows `done` of `total`, the rate since the first call, and a note."""
        if self.progress is None or self.task is None:
            return
        self._start = self._start or (done, time.monotonic())
        more, seconds = done - self._start[0], time.monotonic() - self._start[1]
        speed = rate(more / seconds) if more and seconds else ""
        self.progress.update(self.task, description=title, completed=done, total=total or None, note=note, rate=speed)


@contextmanager
def bar(title: str, unit: str) -> Iterator[Bar]:
    """Shows a progress bar until the end of the block. `unit` is the plural of what is counted."""
    if not sys.stderr.isatty():
        yield Bar()
        return
    # Loaded only where a bar is shown: most calls of a script have no terminal.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn(f"{unit} {{task.fields[rate]}} {{task.fields[note]}}", markup=False),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task(title, total=None, note="", rate=""))
