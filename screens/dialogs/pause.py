"""The dialog that pauses a job, its pack, or everything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType

from screens.dialogs.dialog import INNER, Dialog, titled
from screens.panels import pauses
from screens.panels.questions import CANCEL
from screens.widgets import symbols as look
from screens.widgets.lines import EMPTY, Line, Piece, left, line, tail, tell, wrapped

NOTE_LENGTH = 200
NOTE_CELLS = 52
TOLD_LINES = 2
"""The dialog keeps its height, whatever is paused already."""


class PauseRequest(NamedTuple):
    """What to pause, for how long (None: until it is resumed) and how that is said, and why."""

    target: str
    length: timedelta | None
    words: str
    note: str


class PauseDialog(Dialog[PauseRequest]):
    """Arrows choose what and for how long; every letter belongs to the note."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "target(-1)", "target before"),
        Binding("down", "target(1)", "next target"),
        Binding("left", "length(-1)", "shorter"),
        Binding("right", "length(1)", "longer"),
        Binding("shift+tab", "button(-1)", "button before"),
        Binding("tab", "button(1)", "next button"),
        Binding("backspace", "erase", "erase a letter of the note"),
    ]

    def __init__(self, targets: Sequence[tuple[str, str]]) -> None:
        super().__init__(("Pause", CANCEL))
        self._targets = targets
        self._target, self._length = 0, pauses.USUAL_LENGTH
        self._note = ""

    @property
    def order(self) -> PauseRequest:
        """What is chosen now."""
        words, length = pauses.LENGTHS[self._length]
        words = f"for {words}" if length is not None else words
        return PauseRequest(self._targets[self._target][0], length, words, self._note.strip())

    def content(self) -> Sequence[Line]:
        """What, for how long, why; and what is paused there already."""
        several = "  ↑↓" if len(self._targets) > 1 else ""
        rows = [
            line(
                "What     " if index == 0 else "         ",
                Piece("▸" if index == self._target else " ", "mark"),
                left(target, 28, "strong" if index == self._target else ""),
                "  ",
                Piece(what + several * (index == 0), "quiet"),
            )
            for index, (target, what) in enumerate(self._targets)
        ]
        note = tail(tell(self._note, limit=NOTE_LENGTH * 2).text, NOTE_CELLS)
        return [
            titled("Pause", self.console_app.snapshot.environment),
            EMPTY,
            *rows,
            EMPTY,
            line("For     ", *self._lengths(), Piece("  ←→", "quiet")),
            line("Ends     ", Piece(self._ends(), "strong")),
            line("Note     ", Piece("> ", "key"), Piece(note, "strong"), Piece("_", "quiet")),
            EMPTY,
            *self._already(),
        ]

    def confirm(self) -> None:
        """Hands the order on."""
        self.dismiss(self.order)

    def action_target(self, step: int) -> None:
        """More or less is paused."""
        self._target = max(0, min(len(self._targets) - 1, self._target + step))
        self.repaint()

    def action_length(self, step: int) -> None:
        """For a longer or a shorter time."""
        self._length = max(0, min(len(pauses.LENGTHS) - 1, self._length + step))
        self.repaint()

    def action_erase(self) -> None:
        """One letter less."""
        self._note = self._note[:-1]
        self.repaint()

    async def on_event(self, event: events.Event) -> None:
        """Every letter belongs to the note, also those that are keys elsewhere."""
        if isinstance(event, events.Key) and event.is_printable and event.character:
            event.stop()
            self._type(event.character)
        else:
            await super().on_event(event)

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted belongs to the note, in one line."""
        self._type(" ".join(event.text.split()))

    def _type(self, text: str) -> None:
        """A note is kept and shown elsewhere too: only what can be seen gets in."""
        self._note = (self._note + "".join(c for c in text if c.isprintable()))[:NOTE_LENGTH]
        self.repaint()

    def _lengths(self) -> list[Piece]:
        return [
            Piece(f"[{words}]", "chosen") if index == self._length else Piece(f" {words} ")
            for index, (words, _) in enumerate(pauses.LENGTHS)
        ]

    def _ends(self) -> str:
        app = self.console_app
        until = pauses.until(self.order.length, app.now())
        return pauses.end_at(until, app.now(), app.zone_of(self.order.target))

    def _already(self) -> list[Line]:
        """What this replaces, if the same is paused already."""
        app = self.console_app
        target = self.order.target
        same = [each for each in pauses.holding(app.snapshot.pauses, target, app.now()) if each.target == target]
        told = [
            f"{look.PAUSED.symbol} {pauses.sentence(each, target, app.now(), app.zone_of(target))}" for each in same[:1]
        ]
        told += ["This pause takes its place."] * len(told)
        lines = wrapped(told, INNER, look.PAUSED.style)
        return [*lines, *[EMPTY] * (TOLD_LINES - len(lines))][:TOLD_LINES]
