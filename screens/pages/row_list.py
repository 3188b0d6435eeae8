"""A page with a cursor in a list of rows, and segments of which it lists one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from screens.host import Host
from screens.pages.polling import Data
from screens.pages.segmented import SegmentedPage, SegmentT
from screens.panels import cursor
from screens.panels.view import Key


class RowListPage(SegmentedPage[Data, SegmentT], Generic[Data, SegmentT]):
    """Loads the details of the row under the cursor, which stays on its row when the list changes."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._keys: Sequence[Key] = ()

    def listed_keys(self) -> Sequence[Key]:
        """The rows of the list, also those without room."""
        raise NotImplementedError

    def settle(self) -> None:
        """Moves the cursor to a row of the list, if there is one."""
        before, self._keys = self._keys, self.listed_keys()
        self.cursor = cursor.settled(self.cursor, self._keys, before)
        if self.cursor not in self._keys:
            self.cursor = next(iter(self._keys), None)

    def action_move(self, step: int) -> None:
        """Moves the cursor up and down."""
        self.cursor = cursor.moved(self.cursor, self._keys, step)
        self.reload()
        self.repaint()

    def list_segment(self, segment: SegmentT) -> None:
        self.segment = segment
        self.settle()
        self.reload()
        self.repaint()
