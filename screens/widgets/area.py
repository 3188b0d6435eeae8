"""What holds panels, or the lines of a dialog."""

from __future__ import annotations

from textual.containers import Container

from screens.textual_private import free_when_closed


class Area(Container):
    """A container that leaves nothing behind."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - as in Textual
        super().__init__(id=id)
        free_when_closed(self)
