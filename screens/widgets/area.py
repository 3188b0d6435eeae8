"""What holds panels, or the lines of a dialog."""

from __future__ import annotations

from textual.containers import Container

from screens.textual_private import free_strips


class Area(Container):
    """A container that leaves nothing behind."""

    def on_unmount(self) -> None:
        """Frees what it has drawn."""
        free_strips(self)
