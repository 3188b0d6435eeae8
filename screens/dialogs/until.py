"""The dialog that all requests with an end share: what they are about, for how long, and a note."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, NamedTuple

from textual.binding import BindingType

from screens.command_lines import CommandLine
from screens.dialogs.dialog import INNER, title_line
from screens.dialogs.text_dialog import TextDialog
from screens.host import Host
from screens.keymap import bind
from screens.panels.questions import CANCEL
from screens.widgets.lines import EMPTY, Line, Piece, left, line, wrapped
from screens.widgets.text_field import TextField

NOTE_LENGTH = 200
NOTE_CELLS = 52
NAME_CELLS, MOST_NAME_CELLS = 28, 40
EXISTING_LINES = 2
"""The dialog keeps its height whether or not the target has such a request already."""


class Target(NamedTuple):
    """What a request can be about: its `value` in the command, its name, and a description."""

    value: str
    name: str
    description: str


class UntilRequest(NamedTuple):
    """What a request is about, for how long (None: without an end), that duration in words, and a note."""

    target: str
    duration: timedelta | None
    words: str
    note: str


class UntilDialog(TextDialog[UntilRequest]):
    """Arrows choose the target and the duration; letters go to the note.

    `durations` are the choices in words; None is the one without an end.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "target(-1)", "previous target"),
        bind("down", "target(1)", "next target"),
        bind("left", "duration(-1)", "shorter"),
        bind("right", "duration(1)", "longer"),
    ]

    def __init__(
        self,
        host: Host,
        title: str,
        targets: Sequence[Target],
        durations: Sequence[tuple[str, timedelta | None]],
        *,
        chosen: int,
    ) -> None:
        super().__init__(host, (title, CANCEL))
        self._title, self._targets, self._durations = title, targets, durations
        self._target, self._duration = 0, chosen
        self._note = TextField(NOTE_LENGTH)

    def end(self, request: UntilRequest) -> str:
        """When it ends, in words."""
        raise NotImplementedError

    def existing(self, target: str) -> tuple[Sequence[str], str]:
        """Sentences about the request that this one replaces, with their style; empty if there is none."""
        raise NotImplementedError

    def command_line(self, request: UntilRequest) -> CommandLine:
        """The command line of a request."""
        raise NotImplementedError

    def command_lines(self) -> Sequence[CommandLine]:
        """That of the current choice."""
        return (self.command_line(self.request),)

    @property
    def request(self) -> UntilRequest:
        """The current choice."""
        words, duration = self._durations[self._duration]
        words = f"for {words}" if duration is not None else words
        return UntilRequest(self._targets[self._target].value, duration, words, self._note.value.strip())

    @property
    def field(self) -> TextField:
        """The note."""
        return self._note

    def changed(self) -> None:
        """Shows the note."""
        self.repaint()

    def content(self) -> Sequence[Line]:
        """Target, duration and note; and what it replaces."""
        return [
            title_line(self._title, self.host.snapshot.environment),
            EMPTY,
            *self._target_lines(),
            EMPTY,
            line("For     ", *self._choices(), Piece(self.keyed("  {left}{right}"), "quiet")),
            line("Ends     ", Piece(self.end(self.request), "strong")),
            line("Note     ", *self._note.pieces(NOTE_CELLS)),
            EMPTY,
            *self._existing_lines(),
        ]

    def confirm(self) -> None:
        """Answers with the request."""
        self.dismiss(self.request)

    def action_target(self, step: int) -> None:
        """Chooses another target."""
        self._target = max(0, min(len(self._targets) - 1, self._target + step))
        self.repaint()

    def action_duration(self, step: int) -> None:
        """Chooses a longer or a shorter duration."""
        self._duration = max(0, min(len(self._durations) - 1, self._duration + step))
        self.repaint()

    def _target_lines(self) -> list[Line]:
        arrows = self.keyed("  {up}{down}") if len(self._targets) > 1 else ""
        names = min(MOST_NAME_CELLS, max(NAME_CELLS, *(len(target.name) for target in self._targets)))
        return [
            line(
                "What     " if index == 0 else "         ",
                Piece("▸" if index == self._target else " ", "mark"),
                left(target.name, names, "strong" if index == self._target else ""),
                "  ",
                left(target.description + arrows * (index == 0), INNER - names - 12, "quiet"),
            )
            for index, target in enumerate(self._targets)
        ]

    def _choices(self) -> list[Piece]:
        return [
            Piece(f"[{words}]", "chosen") if index == self._duration else Piece(f" {words} ")
            for index, (words, _) in enumerate(self._durations)
        ]

    def _existing_lines(self) -> list[Line]:
        sentences, style = self.existing(self.request.target)
        lines = wrapped(sentences, INNER, style)
        return [*lines, *[EMPTY] * (EXISTING_LINES - len(lines))][:EXISTING_LINES]
