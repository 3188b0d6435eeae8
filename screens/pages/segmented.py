"""A page that lists one of several segments, chosen by keys or with the mouse."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from textual.binding import BindingType

from screens.host import Host
from screens.keymap import bind
from screens.pages.polling import Data, PollingPage
from screens.panels import cursor
from screens.panels.view import Key
from screens.widgets import segments

SegmentT = TypeVar("SegmentT", bound=StrEnum)


class SegmentedPage(PollingPage[Data], Generic[Data, SegmentT]):
    """Lists the rows of a segment; the first one at first. It loads again when the cursor moves."""

    SEGMENTS: type[SegmentT]
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("right", "segment(1)", "next list"),
        bind("next_panel", "segment(1)", "next list"),
        bind("left", "segment(-1)", "previous list"),
        bind("previous_panel", "segment(-1)", "previous list"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.segment = next(iter(self.SEGMENTS))

    def list_segment(self, segment: SegmentT) -> None:
        """Lists the rows of a segment."""
        raise NotImplementedError

    def action_segment(self, step: int) -> None:
        """Lists the rows of another segment."""
        self.list_segment(cursor.stepped(tuple(self.SEGMENTS), self.segment, step))

    def move_to(self, row: Key | None) -> None:
        """Moves the cursor, or lists a segment that was clicked."""
        if row is not None and row[0] == segments.PANEL:
            self.list_segment(self.SEGMENTS(row[1]))
            return
        super().move_to(row)
        self.reload()
