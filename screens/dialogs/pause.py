"""The dialog that pauses a job, its pack, or all jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType

from screens.dialogs.dialog import INNER, title_line
from screens.dialogs.text_dialog import TextDialog
from screens.host import Host
from screens.panels import pauses
from screens.panels.questions import CANCEL
from screens.panels.view import zone_of
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Line, Piece, left, line, wrapped
from screens.widgets.text_field import TextField

NOTE_LENGTH = 200
NOTE_CELLS = 52
EXISTING_LINES = 2
"""The dialog keeps its height whether or not the target is paused already."""


class PauseRequest(NamedTuple):
    """What to pause, for how long (None: until it is resumed), that duration in words, and a note."""

    target: str
    duration: timedelta | None
    words: str
    note: str


class PauseDialog(TextDialog[PauseRequest]):
    """Arrows choose the target and the duration; letters go to the note."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "target(-1)", "previous target"),
        Binding("down", "target(1)", "next target"),
        Binding("left", "duration(-1)", "shorter"),
        Binding("right", "duration(1)", "longer"),
    ]

    def __init__(self, host: Host, targets: Sequence[tuple[str, str]]) -> None:
        super().__init__(host, ("Pause", CANCEL))
        self._targets = targets
        self._target, self._duration = 0, pauses.DEFAULT_DURATION
        self._note = TextField(NOTE_LENGTH)

    @property
    def request(self) -> PauseRequest:
        """The current choice."""
        words, duration = pauses.DURATIONS[self._duration]
        words = f"for {words}" if duration is not None else words
        return PauseRequest(self._targets[self._target][0], duration, words, self._note.value.strip())

    @property
    def field(self) -> TextField:
        """The note."""
        return self._note

    def changed(self) -> None:
        """Shows the note."""
        self.repaint()

    def content(self) -> Sequence[Line]:
        """Target, duration and note; and the pause of that target, if there is one."""
        arrows = "  ↑↓" if len(self._targets) > 1 else ""
        targets = [
            line(
                "What     " if index == 0 else "         ",
                Piece("▸" if index == self._target else " ", "mark"),
                left(target, 28, "strong" if index == self._target else ""),
                "  ",
                Piece(description + arrows * (index == 0), "quiet"),
            )
            for index, (target, description) in enumerate(self._targets)
        ]
        return [
            title_line("Pause", self.host.snapshot.environment),
            EMPTY,
            *targets,
            EMPTY,
            line("For     ", *self._durations(), Piece("  ←→", "quiet")),
            line("Ends     ", Piece(self._end(), "strong")),
            line("Note     ", *self._note.pieces(NOTE_CELLS)),
            EMPTY,
            *self._existing(),
        ]

    def confirm(self) -> None:
        """Answers with the request."""
        self.dismiss(self.request)

    def action_target(self, step: int) -> None:
        """Chooses another target."""
        self._target = max(0, min(len(self._targets) - 1, self._target + step))
        self.repaint()

    def action_duration(self, step: int) -> None:
        """Chooses a longer or a shorter pause."""
        self._duration = max(0, min(len(pauses.DURATIONS) - 1, self._duration + step))
        self.repaint()

    def _durations(self) -> list[Piece]:
        return [
            Piece(f"[{words}]", "chosen") if index == self._duration else Piece(f" {words} ")
            for index, (words, _) in enumerate(pauses.DURATIONS)
        ]

    def _end(self) -> str:
        now, request = self.host.now(), self.request
        return pauses.new_end(pauses.until(request.duration, now), now, zone_of(self.host.snapshot, request.target))

    def _existing(self) -> list[Line]:
        """The pause that this one replaces."""
        snapshot, now, target = self.host.snapshot, self.host.now(), self.request.target
        existing = next((each for each in pauses.active(snapshot.pauses, target, now) if each.target == target), None)
        sentences: list[str] = []
        if existing is not None:
            sentence = pauses.sentence(existing, target, now, zone_of(snapshot, target))
            sentences = [f"{symbols.PAUSED.char} {sentence}", "This pause replaces it."]
        lines = wrapped(sentences, INNER, symbols.PAUSED.style)
        return [*lines, *[EMPTY] * (EXISTING_LINES - len(lines))][:EXISTING_LINES]
