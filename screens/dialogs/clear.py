"""The dialog that clears cached keys: which keys, counted while the operator types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.binding import BindingType

from opsconsole.cache.families import Family
from opsconsole.cache.filters import ClearFilter
from opsconsole.core.errors import OpsconsoleError
from opsconsole.service import confirmations
from screens import command_lines
from screens.command_lines import CommandLine
from screens.dialogs.dialog import INNER, title_line
from screens.dialogs.text_dialog import TEXT_LENGTH, TextDialog
from screens.host import Host
from screens.keymap import bind
from screens.panels import clear as clear_panel
from screens.panels.questions import CANCEL
from screens.threads import run_in_thread
from screens.widgets.lines import EMPTY, Line, Piece, line, text, wrapped
from screens.widgets.text_field import ChoiceField, DateField, TextField

if TYPE_CHECKING:
    from opsconsole.cache.clearing import ClearProgress

TYPING_SECONDS = 0.3
"""How long no key may be pressed before keys are counted again."""
PAINT_SECONDS = 0.25
UNCOUNTED = "Clear…"
"""The button before it is known how many keys it clears, and where a question follows."""


class Counted(NamedTuple):
    """What to clear, how many keys were counted, and whether that is confirmed already."""

    filter: ClearFilter
    progress: ClearProgress
    is_confirmed: bool = False


class ClearDialog(TextDialog[Counted]):
    """Counts the keys of a filter as soon as typing pauses, and answers with the filter and the count, or None.

    Typing whose keys they are confirms it, where a plain confirmation is enough: the dialog then has the count, the
    environment, and a button with the number of keys.
    """

    WORD_CELLS = len(clear_panel.button_of(confirmations.MANY_KEYS))
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "field(-1)", "previous field"),
        bind("down", "field(1)", "next field"),
        bind("left", "choose(-1)", "previous choice"),
        bind("right", "choose(1)", "next choice"),
    ]

    def __init__(
        self, host: Host, families: Sequence[Family], family: str | None = None, parts: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(host, (UNCOUNTED, CANCEL))
        self._user, self._subject, self._date = TextField(TEXT_LENGTH), TextField(TEXT_LENGTH), DateField()
        self._family = ChoiceField(sorted(family.name for family in families), TEXT_LENGTH)
        self._fields: tuple[tuple[str, TextField], ...] = (
            ("User", self._user),
            ("Subject", self._subject),
            ("Family", self._family),
            ("Date", self._date),
        )
        self._family.choose(family or "")
        for name, value in (parts or {}).items():
            self._named(name).insert(value)
        self._given = (self._user.value, self._subject.value)
        self._active = 0
        self._count: ClearProgress | OpsconsoleError | None = None
        self._error = ""
        self._is_open = True

    @property
    def field(self) -> TextField:
        """The field under the cursor."""
        return self._fields[self._active][1]

    @property
    def filter(self) -> ClearFilter | None:
        """The keys that are selected; None while nothing or only a part of a date is typed, and after closing."""
        selected = ClearFilter(
            self._user.value or None, self._subject.value or None, self._family.chosen, self._date.value or None
        )
        return selected if self._is_open and not self._date.is_partial and str(selected) else None

    def on_mount(self) -> None:
        """Counts what is selected from the start, and shows the progress of a count."""
        self.set_interval(PAINT_SECONDS, self.repaint)
        if self.filter is not None:
            self.changed()

    def on_unmount(self) -> None:
        """Stops a count in progress."""
        self._is_open = False

    def content(self) -> Sequence[Line]:
        """The four fields, and the keys that match."""
        self.rename((self._button(), CANCEL))
        return [
            title_line("Clear cached keys", self.host.snapshot.environment),
            EMPTY,
            *(self._field_line(index, label, field) for index, (label, field) in enumerate(self._fields)),
            EMPTY,
            *clear_panel.fixed_height(self._result()),
        ]

    def command_lines(self) -> Sequence[CommandLine]:
        """The clearing of what is selected."""
        selected = self.filter
        return () if selected is None else (command_lines.clear(selected),)

    def confirm(self) -> None:
        """Answers with the count, if there is anything to clear."""
        selected = self.filter
        if selected is None:
            self._error = clear_panel.PARTIAL_DATE if self._date.value else clear_panel.NOTHING_SELECTED
        elif self._count is not None and not isinstance(self._count, OpsconsoleError) and self._count.done:
            if self._count.total:
                self.dismiss(Counted(selected, self._count, self._is_confirmed(selected, self._count)))
            return
        elif not isinstance(self._count, OpsconsoleError):
            self._error = "still counting; wait a moment"
        self.repaint()

    def changed(self) -> None:
        """Counts again once typing pauses."""
        self._count, self._error = None, ""
        self.repaint()
        selected = self.filter
        if selected is not None:
            self.set_timer(TYPING_SECONDS, lambda: self._start_count(selected) if selected == self.filter else None)

    def action_field(self, step: int) -> None:
        """Moves to another field."""
        self._active = max(0, min(len(self._fields) - 1, self._active + step))
        self.repaint()

    def action_choose(self, step: int) -> None:
        """Chooses another family, or moves over the buttons."""
        if self.field is self._family:
            self._family.step(step)
            self.changed()
        else:
            self.action_button(step)

    def _named(self, name: str) -> TextField:
        return next(field for label, field in self._fields if label.lower() == name)

    def _start_count(self, selected: ClearFilter) -> None:
        if self._count is not None:
            return  # the filter was changed and changed back
        service = self.host.service

        def count() -> None:
            """In a thread: each step replaces the previous one until the filter changes."""
            for step in service.cache.count_keys(selected):
                if selected != self.filter:
                    return
                self._count = step

        def counted(error: OpsconsoleError | None) -> None:
            if selected == self.filter:
                self._count, self._error = error or self._count, ""
                self.repaint()

        run_in_thread(self, count, counted)

    def _is_confirmed(self, selected: ClearFilter, counted: ClearProgress) -> bool:
        """Whether somebody has typed whose keys are cleared, and no other word has to be typed."""
        whose = (self._user.value, self._subject.value)
        environment = self.host.snapshot.environment
        return whose != self._given and confirmations.word_to_clear(selected, counted.total, environment) is None

    def _button(self) -> str:
        """The button, named by what it does now."""
        selected, count = self.filter, self._count
        if selected is None or count is None or isinstance(count, OpsconsoleError):
            return UNCOUNTED
        if not count.done or not count.total:
            return UNCOUNTED
        return clear_panel.button(count) if self._is_confirmed(selected, count) else UNCOUNTED

    def _field_line(self, index: int, label: str, field: TextField) -> Line:
        is_active = index == self._active
        pieces = self._family_pieces() if field is self._family else field.pieces(is_active=is_active)
        example = Piece("  such as 2026-01-19", "quiet") if field is self._date else Piece("")
        return line(Piece("▸" if is_active else " ", "mark"), f"{label:<8} ", *pieces, example)

    def _family_pieces(self) -> tuple[Piece, ...]:
        names, chosen = self._family.choices, self._family.chosen
        name, arrows = text(chosen or clear_panel.ANY_FAMILY, "strong", 40), self.keyed("{left}{right}")
        if chosen is None:
            return (name, Piece(f"  {arrows} of {len(names)}, or type a part of its name", "quiet"))
        return (name, Piece(f"  {arrows} {names.index(chosen) + 1} of {len(names)}", "quiet"))

    def _result(self) -> list[Line]:
        if self._error:
            return wrapped([self._error], INNER, "bad")
        if isinstance(self._count, OpsconsoleError):
            return wrapped([self._count.sentence], INNER, "bad")
        selected = self.filter
        if selected is None:
            hint = clear_panel.PARTIAL_DATE if self._date.value else clear_panel.NOTHING_SELECTED
            return wrapped([hint], INNER, "quiet")
        if self._count is None:
            return [line(Piece("counting", "quiet"))]
        return clear_panel.count_lines(self._count, selected, INNER)
