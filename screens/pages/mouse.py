"""What the mouse does on a page: it selects rows, presses the keys that are drawn, and scrolls."""

from __future__ import annotations

from textual.screen import Screen

from screens.host import Host
from screens.keymap import readable
from screens.panels.view import Key
from screens.widgets.contained import contained


class MousePage(Screen[None]):
    """A page whose panels report clicks and turns of the wheel."""

    host: Host

    def move_to(self, row: Key | None) -> None:
        """Moves the cursor."""
        raise NotImplementedError

    def clicked(self, row: Key) -> None:
        """Moves the cursor to a row that was clicked."""
        with contained("the mouse", self.host.show_notice):
            self.move_to(row)

    def pressed(self, key: str) -> None:
        """Carries out what a key does that was clicked in the footer, the verdict or a hint."""
        found = next((each for name, each in self.active_bindings.items() if readable(name) == key), None)
        if found is not None and found.enabled:
            self.host.call_later(self.app.run_action, found.binding.action, found.node)

    def scrolled(self, step: int) -> None:
        """Moves the cursor, or scrolls."""
        self.host.call_later(self.run_action, self.wheel_action(step))

    def wheel_action(self, step: int) -> str:
        """The action of the mouse wheel."""
        return f"move({step})"
