"""A page with a cursor in a list of rows, and segments of which it lists one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from textual.binding import BindingType

from screens.host import Host
from screens.keymap import bind
from screens.pages.polling import PollingPage
from screens.panels import cursor
from screens.panels.view import Key
from screens.widgets import segments

Data = TypeVar("Data")
SegmentT = TypeVar("SegmentT", bound=StrEnum)


class RowListPage(PollingPage[Data], Generic[Data, SegmentT]):
    """Loads the details of the row under the cursor, which stays on its row when the list changes. The first segment is
    listed at first.
    """

    SEGMENTS: type[SegmentT]
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("right", "segment(1)", "next filter"),
        bind("next_panel", "segment(1)", "next filter"),
        bind("left", "segment(-1)", "previous filter"),
        bind("previous_panel", "segment(-1)", "previous filter"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.segment = next(iter(self.SEGMENTS))
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

    def action_segment(self, step: int) -> None:
        """Lists the rows of another segment."""
        self.list_segment(cursor.stepped(tuple(self.SEGMENTS), self.segment, step))

    def list_segment(self, segment: SegmentT) -> None:
        """Lists the rows of a segment."""
        self.segment = segment
        self.settle()
        self.reload()
        self.repaint()

    def move_to(self, row: Key | None) -> None:
        """Moves the cursor, or lists a segment that was clicked."""
        if row is not None and row[0] == segments.PANEL:
            self.list_segment(self.SEGMENTS(row[1]))
            return
        super().move_to(row)
        self.reload()
