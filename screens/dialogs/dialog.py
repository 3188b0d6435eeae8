"""The frame that all dialogs share, and the dialog that asks for confirmation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import ClassVar, Generic

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen

from opsconsole.service import confirmations
from screens.command_lines import CommandLine
from screens.host import Answer, Host
from screens.keymap import bind, first_key, key_names
from screens.panels import command_list
from screens.panels.questions import CANCEL, Question
from screens.textual_private import paint_lines
from screens.widgets.area import Area
from screens.widgets.contained import OWN_EVENTS, ContainedDrawing, contained, name_of
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, line, text, width, wrapped
from screens.widgets.paint import ASCII, COMPONENTS, Lines
from screens.widgets.panel import LEFT_BUTTON

WIDTH = 72
INNER = WIDTH - 6
HINTS = ("{confirm} selects · {back} goes back", "{back} goes back", "{back} back")
COMMAND_HINTS = ("{confirm} selects · {key} command · {back} back", "{key} command · {back} back", "{back} back")
NO_COMMAND = "no command line does this"
BUTTON_CELLS, BETWEEN_BUTTONS = 4, "   "
"""What is around the word of a button."""
RENAMED_SECONDS = 0.5
"""How long the mouse does not press a button that has just been renamed: the click was meant for the other word."""


class Dialog(ModalScreen[Answer], Generic[Answer]):
    """A few lines and buttons in the middle of the screen. Escape and the last button close it without an answer."""

    AUTO_FOCUS = ""
    HAS_BUTTONS: ClassVar[bool] = True
    WORD_CELLS: ClassVar[int] = 0
    """The room of a button's word but the last one's, so that renaming a button moves no other one."""
    COMPONENT_CLASSES: ClassVar[set[str]] = set(COMPONENTS)
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "leave", "back"),
        bind("confirm", "press", "confirm"),
        bind("left", "button(-1)", "previous button"),
        bind("previous_panel", "button(-1)", "previous button"),
        bind("right", "button(1)", "next button"),
        bind("next_panel", "button(1)", "next button"),
        bind("command", "command", "show the command line"),
    ]

    def __init__(self, host: Host, buttons: Sequence[str] = ("OK", CANCEL), *, button: int = 0) -> None:
        super().__init__()
        paint_lines(self)
        self.host = host
        self.buttons = buttons
        self.button = button
        self._renamed_at: float | None = None
        self._drawn = ContainedDrawing(f"the dialog {type(self).__name__}")

    def compose(self) -> ComposeResult:
        """A frame with lines in it."""
        self.set_class(self.host.ascii, ASCII)
        with Area(id="frame"):
            yield Lines()

    def content(self) -> Sequence[Line]:
        """The lines above the buttons."""
        raise NotImplementedError

    def confirm(self) -> None:
        """Called when any button but the last one is pressed."""
        raise NotImplementedError

    def command_lines(self) -> Sequence[CommandLine]:
        """The command line of what the dialog would do now; empty where there is none."""
        return ()

    def repaint(self) -> None:
        """Draws the dialog again."""
        content = self._drawn(lambda: list(self.content()))
        lines = [crop(each, INNER) for each in (*content, EMPTY, self.button_line())]
        for widget in self.query(Lines):  # none while the dialog is being composed, when keys already arrive
            if len(lines) != len(widget.lines):
                widget.styles.height = len(lines)
            widget.show(lines)

    async def on_event(self, event: events.Event) -> None:
        """Handles an event; a handler that raises ends neither the dialog nor the console."""
        with contained(name_of(event), self.host.show_notice) if isinstance(event, OWN_EVENTS) else nullcontext():
            if not self.takes(event):
                await super().on_event(event)

    def on_click(self, event: events.Click) -> None:
        """Presses a button, or selects what a line shows. The second click of a double click is not for this dialog:
        the first one may have opened it.
        """
        if event.button != LEFT_BUTTON or event.chain > 1:
            return
        for widget in self.query(Lines):
            region = widget.content_region
            if region.contains(event.screen_x, event.screen_y):
                x, y = event.screen_x - region.x, event.screen_y - region.y
                with contained("the mouse", self.host.show_notice):
                    self.clicked(x, y, is_last=y == len(widget.lines) - 1)

    def clicked(self, x: int, y: int, *, is_last: bool) -> None:
        """Called for a click into a line of the content, or into the last one, which has the buttons."""
        button = self.button_at(x) if is_last and self.HAS_BUTTONS else None
        is_new = self._renamed_at is not None and time.monotonic() - self._renamed_at < RENAMED_SECONDS
        if button is not None and not (is_new and button < len(self.buttons) - 1):
            self.button = button
            self.repaint()
            self.action_press()

    def button_at(self, x: int) -> int | None:
        """The button at a cell of its line."""
        end = 0
        for index, word in enumerate(self.buttons):
            start, end = end, end + cell_len(word) + BUTTON_CELLS
            if start <= x < end:
                return index
            end += self._padding(index) + len(BETWEEN_BUTTONS)
        return None

    def rename(self, buttons: Sequence[str]) -> None:
        """Gives the buttons these words."""
        if tuple(buttons) != tuple(self.buttons):
            self.buttons, self._renamed_at = buttons, time.monotonic()

    def takes(self, event: events.Event) -> bool:
        """Takes an event before its keys are looked up; whether it did."""
        return False

    def on_mount(self) -> None:
        """Draws the dialog."""
        self.repaint()

    def action_leave(self) -> None:
        """Closes the dialog without an answer."""
        self.dismiss(None)

    def action_button(self, step: int) -> None:
        """Moves the cursor over the buttons."""
        self.button = (self.button + step) % len(self.buttons)
        self.repaint()

    def action_press(self) -> None:
        """Presses the button under the cursor."""
        if self.button < len(self.buttons) - 1:
            self.confirm()
        else:
            self.action_leave()

    def action_command(self) -> None:
        """Shows the command line of what the dialog would do now."""
        commands = self.command_lines()
        if commands:
            self.host.show_commands(commands)
        else:
            self.host.show_notice(NO_COMMAND)

    def command_key(self) -> str:
        """The key that shows the command line, while letters are not typed."""
        return first_key("command", self.host.installation.keys)

    def keyed(self, sentence: str, **values: str) -> str:
        """A sentence with keys by their ids, such as `{back} goes back`, and other values."""
        return sentence.format(**key_names(self.host.installation.keys), **values)

    def button_line(self) -> Line:
        """The buttons, and a hint about the keys where there is room."""
        pieces: list[Piece] = []
        for index, word in enumerate(self.buttons):
            is_chosen = index == self.button
            pieces.append(Piece(f"[ {word} ]", "chosen") if is_chosen else Piece(f"  {word}  "))
            pieces.append(Piece(" " * self._padding(index) + BETWEEN_BUTTONS))
        room = INNER - width(pieces)
        templates, key = COMMAND_HINTS if self.command_lines() else HINTS, self.command_key()
        hints = (self.keyed(each, key=key) for each in templates)
        hint = next((hint for hint in hints if len(hint) <= room), "")
        return line(*pieces, Piece(hint, "quiet"))

    def _padding(self, index: int) -> int:
        """The cells between a button and the place of the next one."""
        is_last = index == len(self.buttons) - 1
        return 0 if is_last else max(0, self.WORD_CELLS - cell_len(self.buttons[index]))


class Confirm(Dialog[str]):
    """A question; answers with the button that was pressed, the last one included, or None."""

    def __init__(self, host: Host, question: Question) -> None:
        super().__init__(host, question.buttons, button=question.chosen)
        self._question = question

    def content(self) -> Sequence[Line]:
        """The title and the sentences."""
        return [line(text(self._question.title, "title")), EMPTY, *question_lines(self.host, self._question)]

    def command_lines(self) -> Sequence[CommandLine]:
        """Those of the question."""
        return self._question.commands

    def confirm(self) -> None:
        """Answers with the button."""
        self.dismiss(self.buttons[self.button])

    def action_press(self) -> None:
        """The last button is an answer too."""
        self.confirm()


def question_lines(host: Host, question: Question) -> list[Line]:
    """The sentences of a question, and the command line that does the same."""
    shown = [f"Command: {host.command_text(command)}" for command in question.commands]
    lines = [line(text(part, "quiet")) for each in shown for part in command_list.wrap(each, INNER)]
    return [*wrapped(question.sentences, INNER), *([EMPTY, *lines] if lines else [])]


def title_line(title: str, environment: str) -> Line:
    """A dialog's first line: its title and the environment."""
    if confirmations.is_production(environment):
        return ends(line(Piece(title, "title")), line(text(f" {environment.upper()} ", "alarm", 24)), INNER)
    return ends(line(Piece(title, "title")), line(text(environment, "title", 24)), INNER)
