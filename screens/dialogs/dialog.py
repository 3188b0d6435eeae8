"""Questions that stand before what cannot be undone, and the frame that all dialogs have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import ModalScreen

from screens.panels.questions import CANCEL, Question
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, line, tell, width, wrapped
from screens.widgets.paint import Lines

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Answer = TypeVar("Answer")
WIDTH = 72
INNER = WIDTH - 6
HINTS = ("enter presses · esc goes back", "esc goes back", "esc back")


class Dialog(ModalScreen[Answer], Generic[Answer]):
    """A few lines and buttons in the middle of the screen. Escape leaves without an answer, as the last button does."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", priority=True),
        Binding("enter", "press", "confirm"),
        Binding("left,h,shift+tab", "button(-1)", "button before"),
        Binding("right,l,tab", "button(1)", "next button"),
    ]

    def __init__(self, buttons: Sequence[str] = ("OK", CANCEL), *, button: int = 0) -> None:
        super().__init__()
        self.buttons = buttons
        self.button = button

    @property
    def console_app(self) -> ConsoleApp:
        """The application, by its own type."""
        return cast("ConsoleApp", self.app)

    def compose(self) -> ComposeResult:
        """A frame with lines in it."""
        with Container(id="frame", classes="ascii" if self.console_app.ascii else ""):
            yield Lines(ascii=self.console_app.ascii)

    def content(self) -> Sequence[Line]:
        """The lines above the buttons."""
        raise NotImplementedError

    def confirm(self) -> None:
        """A button was pressed that is not the last one."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Draws the dialog anew."""
        lines = [crop(each, INNER) for each in (*self.content(), EMPTY, self._buttons())]
        widget = self.query_one(Lines)
        if len(lines) != len(widget.lines):
            widget.styles.height = len(lines)
        widget.show(lines)

    def on_mount(self) -> None:
        """The first picture."""
        self.repaint()

    def action_leave(self) -> None:
        """Leaves without an answer."""
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

    def _buttons(self) -> Line:
        pieces: list[Piece] = []
        for index, word in enumerate(self.buttons):
            chosen = index == self.button
            pieces += [Piece(f"[ {word} ]", "chosen") if chosen else Piece(f"  {word}  "), Piece("   ")]
        room = INNER - width(pieces)
        hint = next((told for told in HINTS if len(told) <= room), "")
        return line(*pieces, Piece(hint, "quiet"))


class Confirm(Dialog[str]):
    """A question; answers with the button that was pressed, the last one included, or None."""

    def __init__(self, question: Question) -> None:
        super().__init__(question.buttons, button=question.chosen)
        self._question = question

    def content(self) -> Sequence[Line]:
        """The title and what it means."""
        question = self._question
        return [line(tell(question.title, "title")), EMPTY, *wrapped(question.sentences, INNER)]

    def confirm(self) -> None:
        """Hands the answer on."""
        self.dismiss(self.buttons[self.button])

    def action_press(self) -> None:
        """The last button is an answer too."""
        self.confirm()


def titled(title: str, environment: str) -> Line:
    """A dialog's first line: what it is, and where that would be."""
    production = environment.lower() in ("production", "prod")
    shown = tell(f" {environment.upper()} " if production else environment, "alarm" if production else "title", 24)
    return ends(line(Piece(title, "title")), line(shown), INNER)
