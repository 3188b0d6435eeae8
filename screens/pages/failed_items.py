"""Which of the items that failed in a run are shown: a block at a time, scrolled line by line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from opsconsole.service.run_details import RunPage
from screens.pages.blocks import Blocks
from screens.panels import run_failures
from screens.panels.run_failures import Items

if TYPE_CHECKING:
    from opsconsole.service.history import FailedItems, Place


class FailedItemsList:
    """The block that is shown, and from where on the next ones are read."""

    def __init__(self) -> None:
        self.items = Items()
        self._blocks: Blocks[Place] = Blocks()
        self._next: Place | None = None
        self._loaded: tuple[Place | None, int] | None = None
        self._to_end = False

    @property
    def start(self) -> Place | None:
        """Where the block starts that is to be shown."""
        return self._blocks.start

    def is_due(self, failed: int) -> bool:
        """Whether the block has to be read, in a run with this number of failed items."""
        return failed > 0 and self._loaded != (self.start, failed)

    def keep(self, page: RunPage, found: FailedItems, start: Place | None, rows: int) -> None:
        """Shows what was read from `start` on in `rows` lines, unless another block has been requested since."""
        if start != self.start:
            return
        self._loaded, self._next = (start, page.progress.run.counts.failed), found.next
        self.items = Items(found.items, self._blocks.before, self.items.at)
        if self._to_end:
            self.items = replace(self.items, at=run_failures.length(page, self.items) - rows)
            self._to_end = False

    def scroll(self, page: RunPage, step: int, rows: int) -> bool:
        """Scrolls by some lines, and past the end of a block to the one before or after it; whether that is to be
        read.
        """
        at, first = self.items.at, len(page.causes) if self.items.before else 0
        last = max(first, run_failures.length(page, self.items) - rows)
        if step > 0 and at >= last and self._next is not None:
            self._blocks.forward(self._next, len(self.items.items))
            self._next, self.items = None, replace(self.items, at=len(page.causes))
            return True
        if step < 0 and at <= first and self._blocks.back():
            self._to_end = True
            return True
        self.items = replace(self.items, at=max(first, min(at + step, last)))
        return False
