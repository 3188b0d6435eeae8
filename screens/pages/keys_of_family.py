"""The page of the keys of one family: found by what is typed, with the value of the key under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.cache.families import Family
from opsconsole.cache.filters import ClearFilter
from opsconsole.cache.keys import KeysFound, KeyValue
from opsconsole.core.errors import OpsconsoleError
from screens import actions, command_lines
from screens.command_lines import CommandLine
from screens.exports import Copied, Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.filtering import FilterPage
from screens.panels import cursor, keys_of_family
from screens.panels.view import Key, View
from screens.threads import Stepping, run_in_thread
from screens.widgets.lines import Drawing, Piece, crop, line, text
from screens.widgets.panel import PLAIN, Panel

LOOK_SECONDS = 3.0


class KeysScreen(FilterPage):
    """Keys of a family: `/` and the parts of a key find it; without all parts, keys are searched with SCAN."""

    FOOTER = (
        ("↑↓", "key"),
        ("/", "find"),
        ("pgdn", "value"),
        ("c", "clear"),
        ("esc", "back"),
        ("?", "help"),
        ("q", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", "key above"),
        bind("down", "move(1)", "key below"),
        bind("page_up", "scroll_value(-1)", "value: page above"),
        bind("page_down", "scroll_value(1)", "value: page below"),
        bind("clear", "clear", "clear the key and those like it"),
    ]

    def __init__(self, host: Host, family: Family) -> None:
        super().__init__(host)
        self._family = family
        self._found: Stepping[KeysFound] = Stepping(self, self._searched)
        self._problem = ""
        self._looked: tuple[str, KeyValue | OpsconsoleError | None] | None = None
        self._first, self._value_rows = 0, 1

    def presence_name(self) -> str:
        """Whose keys they are."""
        return f"keys of {self._family.name}"

    def panels(self) -> ComposeResult:
        """What is searched, the keys, and the value of one."""
        yield Panel(self._draw_search, id="search", classes=PLAIN, focusable=False)
        yield Panel(self._draw_keys, id="keys")
        yield Panel(self._draw_value, id="value", focusable=False)

    def _draw_search(self, _view: View, cells: int, _rows: int) -> Drawing:
        parts, _ = keys_of_family.parts(self._family, self.filter.value)
        hint = f"type {keys_of_family.described(self._family)}"
        header = keys_of_family.header(self._family, parts, self._found.latest, cells)
        return Drawing([header, line(" ", *self.filter.line(cells - 2, hint))])

    def _draw_keys(self, _view: View, cells: int, rows: int) -> Drawing:
        shown = keys_of_family.rows(self._found.latest, self._error(), cells, rows, self.cursor)
        return Drawing(shown.lines, line(Piece("Keys", "title")), rows=shown.rows)

    def _draw_value(self, _view: View, cells: int, rows: int) -> Drawing:
        self._value_rows = rows - 1
        if self._looked is None:
            return Drawing(())
        key, value = self._looked
        title = line(text(key, "title", 80))
        if isinstance(value, OpsconsoleError):
            return Drawing([crop(line(" ", text(value.sentence, "bad", 300)), cells)], title)
        lines = keys_of_family.value(value, cells, rows, self._first)
        return Drawing(lines, title, keys_of_family.value_end(value, rows, self._first))

    def on_mount(self) -> None:
        """Searches for any keys of the family, and reads the value under the cursor from time to time."""
        self._search()
        self.set_interval(LOOK_SECONDS, lambda: self._look() if self.is_current else None)

    def on_screen_suspend(self, _event: events.ScreenSuspend) -> None:
        """Stops searching: another page or a dialog is in front."""
        self._found.stop()

    def on_unmount(self) -> None:
        """Stops searching."""
        self._found.stop()

    def show_notice(self, message: str, style: str = "") -> None:
        """A notice may report that keys were cleared."""
        super().show_notice(message, style)
        self._look()

    def repaint(self) -> None:
        """Draws the page again, with the cursor on a key."""
        found = keys_of_family.listed(self._found.latest)
        if found and self.cursor not in found:
            self.cursor = found[0]
            self._look()
        super().repaint()

    def filter_changed(self) -> None:
        """Searches for other keys."""
        self.cursor, self._looked = None, None
        self._search()

    def copied(self) -> Copied | None:
        """The key."""
        key = self._key()
        return Copied(key, "the key") if key is not None else None

    def table(self) -> Table | None:
        """The keys that were found."""
        found = self._found.latest
        return Table(("key",), [(key,) for key in found.keys]) if found is not None else None

    def command_lines(self) -> Sequence[CommandLine]:
        """What shows the key, and what clears those like it."""
        key = self._key()
        parts = keys_of_family.clear_parts(self._family, key)
        clear = command_lines.clear(ClearFilter(family=self._family.name, **parts))
        return (command_lines.show_key(key), clear) if key is not None else (clear,)

    def move_to(self, row: Key | None) -> None:
        """Moves the cursor, and reads the value there."""
        super().move_to(row)
        self._look()

    def action_move(self, step: int) -> None:
        """Moves the cursor, and reads the value there."""
        self.cursor = cursor.moved(self.cursor, keys_of_family.listed(self._found.latest), step)
        self._look()
        self.repaint()

    def action_scroll_value(self, pages: int) -> None:
        value = self._looked[1] if self._looked is not None else None
        last = keys_of_family.furthest(value if isinstance(value, KeyValue) else None, self._value_rows)
        self._first = max(0, min(last, self._first + pages * self._value_rows))
        self.repaint()

    def action_clear(self) -> None:
        """Clears keys, with the family and the parts of the key under the cursor chosen."""
        parts = keys_of_family.clear_parts(self._family, self._key())
        actions.clear(self.host, family=self._family.name, parts=parts)

    def _key(self) -> str | None:
        return self.cursor[1] if self.cursor is not None else None

    def _error(self) -> str:
        return self._problem or (self._found.error.sentence if self._found.error is not None else "")

    def _search(self) -> None:
        family, service = self._family, self.host.service.cache
        parts, self._problem = keys_of_family.parts(family, self.filter.value)
        if self._problem:
            self._found.stop()
        else:
            self._found.start(lambda: service.find_keys(family, parts))

    def _searched(self) -> None:
        self.repaint()

    def _look(self) -> None:
        key, service = self._key(), self.host.service.cache
        if key is None:
            return
        if self._looked is not None and self._looked[0] != key:
            self._looked, self._first = None, 0

        def looked(value: KeyValue | OpsconsoleError | None) -> None:
            if key == self._key():
                self._looked = key, value
                self.repaint()

        run_in_thread(self, lambda: service.look(key), looked)
