"""Dialogs in which an operator types text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic

from textual import events
from textual.binding import BindingType

from screens.command_lines import CommandLine
from screens.dialogs.dialog import Dialog, question_lines
from screens.host import Answer, Host
from screens.keymap import bind, last_key
from screens.panels.questions import Question
from screens.widgets.lines import EMPTY, Line, Piece, line, text
from screens.widgets.text_field import TextField

TEXT_LENGTH = 101
"""One more than an id may have, so that an id that is too long is refused, not cut."""


class TextDialog(Dialog[Answer], Generic[Answer]):
    """A dialog with a field that receives what is typed and pasted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("previous_panel", "button(-1)", "previous button"),
        bind("next_panel", "button(1)", "next button"),
        bind("erase", "erase", "erase a character"),
    ]

    @property
    def field(self) -> TextField:
        """The field that receives text now."""
        raise NotImplementedError

    @property
    def takes_letters(self) -> bool:
        """Whether letters that are keys elsewhere are typed too; otherwise only what the field accepts is typed."""
        return True

    def changed(self) -> None:
        """Called after the text of the field has changed."""
        raise NotImplementedError

    def command_key(self) -> str:
        """The key that shows the command line and is not typed."""
        return last_key("command", self.host.installation.keys) if self.takes_letters else super().command_key()

    def action_erase(self) -> None:
        """Erases the last character."""
        self.field.erase()
        self.changed()

    def takes(self, event: events.Event) -> bool:
        """Takes letters before they are looked up as keys."""
        character = event.character if isinstance(event, events.Key) and event.is_printable else None
        if character and (self.takes_letters or self.field.accepts(character)):
            event.stop()
            self.field.insert(character)
            self.changed()
            return True
        return super().takes(event)

    def on_paste(self, event: events.Paste) -> None:
        """Pastes into the field."""
        self.field.paste(event.text)
        self.changed()


class TypeToConfirm(TextDialog[str]):
    """A question that is confirmed by typing a word; answers with the button that was pressed, or None.

    `consequence` completes "Type ... to", `otherwise` is what happens without the word.
    """

    def __init__(
        self,
        host: Host,
        question: Question,
        word: str,
        *,
        consequence: str = "clear them",
        otherwise: str = "nothing is cleared",
    ) -> None:
        super().__init__(host, question.buttons, button=question.chosen)
        self._question, self._word = question, word
        self._consequence, self._otherwise = consequence, otherwise
        self._field = TextField(TEXT_LENGTH)
        self._error = ""

    @property
    def field(self) -> TextField:
        """The only field."""
        return self._field

    def content(self) -> Sequence[Line]:
        """The question, and what is typed."""
        return [
            line(text(self._question.title, "title")),
            EMPTY,
            *question_lines(self.host, self._question),
            EMPTY,
            line("Type ", text(self._word, "strong", 40), f" to {self._consequence}"),
            line(*self._field.pieces()),
            line(Piece(self._error, "bad")),
        ]

    def command_lines(self) -> Sequence[CommandLine]:
        """Those of the question."""
        return self._question.commands

    def confirm(self) -> None:
        """Dismisses the dialog once the word is typed."""
        if self._field.value == self._word:
            self.dismiss(self.buttons[self.button])
        else:
            self._error = f"the name does not match: {self._otherwise}"
            self.repaint()

    def changed(self) -> None:
        """Moves the cursor to the button once the word is typed."""
        self._error = ""
        self.button = 0 if self._field.value == self._word else self._question.chosen
        self.repaint()
