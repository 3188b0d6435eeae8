"""The dialogs that clear cached keys: whose, counted while one types, and a name to type where a yes is not enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic, NamedTuple

from textual import events
from textual.binding import Binding, BindingType

from opsconsole.cache.clearing import ClearFilter, ClearProgress
from opsconsole.cache.families import Family
from opsconsole.core.errors import OpsconsoleError
from screens.dialogs.dialog import INNER, Answer, Dialog, titled
from screens.panels import clear as clearing
from screens.panels.questions import CANCEL, Question
from screens.threads import run_in_thread
from screens.widgets.lines import EMPTY, Line, Piece, line, tail, tell, wrapped

PATIENCE_SECONDS = 0.3
"""So long the keys must rest before the server is asked anew."""
PAINT_SECONDS = 0.25
ID_LENGTH = 101
"""One more than an id may have, so that one that is too long is refused and not cut."""
DATE_LENGTH = len("2026-01-19")
FIELD_CELLS = 40
USER, SUBJECT, FAMILY, DATE = range(4)


class Counted(NamedTuple):
    """What shall be cleared, and what a count has found of it."""

    wanted: ClearFilter
    swept: ClearProgress


class TextDialog(Dialog[Answer], Generic[Answer]):
    """A dialog in which every letter belongs to a text, also those that are keys elsewhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "choose(-1)", "choice before"),
        Binding("right", "choose(1)", "next choice"),
        Binding("shift+tab", "button(-1)", "button before"),
        Binding("tab", "button(1)", "next button"),
        Binding("backspace", "erase", "erase a letter"),
    ]

    def take(self, text: str) -> None:
        """Something visible was typed or pasted."""
        raise NotImplementedError

    def action_erase(self) -> None:
        """One letter less."""
        raise NotImplementedError

    def action_choose(self, step: int) -> None:
        """Left and right move over the buttons, where there is nothing else to choose."""
        self.action_button(step)

    async def on_event(self, event: events.Event) -> None:
        """Letters are typed."""
        if isinstance(event, events.Key) and event.is_printable and event.character:
            event.stop()
            self.take(event.character)
        else:
            await super().on_event(event)

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted is typed, in one line, as far as it can be seen."""
        self.take("".join(c for c in " ".join(event.text.split()) if c.isprintable()))


class ClearDialog(TextDialog[Counted]):
    """Whose keys; counts them as soon as the keys rest, and answers with what was counted, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "field(-1)", "field before"),
        Binding("down", "field(1)", "next field"),
    ]

    def __init__(self, families: Sequence[Family]) -> None:
        super().__init__(("Clear…", CANCEL))
        self._families = sorted(family.name for family in families)
        self._texts = {USER: "", SUBJECT: "", FAMILY: "", DATE: ""}
        self._field = USER
        self._family: str | None = None
        self._told: ClearProgress | OpsconsoleError | None = None
        self._complaint = ""

    def on_mount(self) -> None:
        """While keys are counted the number goes up."""
        super().on_mount()
        self.set_interval(PAINT_SECONDS, self.repaint)

    def on_unmount(self) -> None:
        """Nobody waits for a count any more."""
        self._texts = {}

    @property
    def wanted(self) -> ClearFilter | None:
        """What is named now; None when that is nothing, or half a date, or the dialog has been closed."""
        user, subject, date = (self._texts.get(field) or None for field in (USER, SUBJECT, DATE))
        wanted = ClearFilter(user, subject, self._family, date)
        complete = date is None or len(date) == DATE_LENGTH
        return wanted if self._texts and complete and str(wanted) else None

    def content(self) -> Sequence[Line]:
        """Four fields, and what is found."""
        return [
            titled("Clear cached keys", self.console_app.snapshot.environment),
            EMPTY,
            self._shown(USER, "User", self._typed(USER)),
            self._shown(SUBJECT, "Subject", self._typed(SUBJECT)),
            self._shown(FAMILY, "Family", self._chosen()),
            self._shown(DATE, "Date", self._dated()),
            EMPTY,
            *clearing.of_height(self._meaning()),
        ]

    def confirm(self) -> None:
        """Hands on what was counted, when there is something to clear."""
        wanted = self.wanted
        if wanted is None:
            self._complaint = clearing.NOTHING_NAMED if not self._texts[DATE] else HALF_A_DATE
        elif isinstance(self._told, ClearProgress) and self._told.done:
            if self._told.total:
                self.dismiss(Counted(wanted, self._told))
            return
        elif not isinstance(self._told, OpsconsoleError):
            self._complaint = "it is not counted yet; wait a moment"
        self.repaint()

    def take(self, text: str) -> None:
        """Letters belong to the field that is chosen; of families they find one."""
        typed = self._texts[self._field] + text
        if self._field == FAMILY:
            self._find(typed)
            return
        if self._field == DATE:
            typed = "".join(c for c in typed if c in "0123456789-")
        self._set(typed[: DATE_LENGTH if self._field == DATE else ID_LENGTH])

    def action_erase(self) -> None:
        """One letter of the field less."""
        typed = self._texts[self._field][:-1]
        if self._field == FAMILY:
            self._find(typed)
        else:
            self._set(typed)

    def action_field(self, step: int) -> None:
        """To another field."""
        self._field = max(USER, min(DATE, self._field + step))
        self.repaint()

    def action_choose(self, step: int) -> None:
        """Another family, or another button."""
        if self._field != FAMILY:
            self.action_button(step)
            return
        choices = [None, *self._families]
        self._family = choices[(choices.index(self._family) + step) % len(choices)]
        self._set("")

    def _find(self, typed: str) -> None:
        """The first family that is called like that; letters that lead to none are not taken."""
        found = next((name for name in self._families if typed in name), None)
        if found is not None:
            self._family = found if typed else None
            self._set(typed)

    def _set(self, text: str) -> None:
        """What is wanted has changed: it is counted anew when the keys rest."""
        self._texts[self._field] = text
        self._told, self._complaint = None, ""
        self.repaint()
        wanted = self.wanted
        if wanted is not None:
            self.set_timer(PATIENCE_SECONDS, lambda: self._count(wanted) if wanted == self.wanted else None)

    def _count(self, wanted: ClearFilter) -> None:
        if self._told is not None:
            return  # it was changed, and changed back
        service = self.console_app.service

        def count() -> None:
            """In a thread: each step replaces the one before, until something else is wanted."""
            for step in service.queries.count_keys(wanted):
                if wanted != self.wanted:
                    return
                self._told = step

        def told(error: OpsconsoleError | None) -> None:
            if wanted == self.wanted:
                self._told, self._complaint = error or self._told, ""
                self.repaint()

        run_in_thread(self, count, told)

    # --- what is shown ------------------------------------------------------------------------------------------

    def _shown(self, field: int, name: str, value: Sequence[Piece]) -> Line:
        return line(Piece("▸" if field == self._field else " ", "mark"), f"{name:<8} ", *value)

    def _typed(self, field: int) -> list[Piece]:
        text = Piece(tail(tell(self._texts.get(field, ""), limit=ID_LENGTH * 6).text, FIELD_CELLS), "strong")
        here = field == self._field
        return [Piece("> ", "key"), text, Piece("_" if here else "", "quiet")]

    def _chosen(self) -> list[Piece]:
        name = tell(self._family or clearing.ANY_FAMILY, "strong", 40)
        if self._family is None:
            return [name, Piece(f"  ←→ of {len(self._families)}, or type a part of its name", "quiet")]
        return [name, Piece(f"  ←→ {self._families.index(self._family) + 1} of {len(self._families)}", "quiet")]

    def _dated(self) -> list[Piece]:
        date = self._texts.get(DATE, "")
        return [Piece(f"[{date}{'_' * (DATE_LENGTH - len(date))}]", "strong"), Piece("  such as 2026-01-19", "quiet")]

    def _meaning(self) -> list[Line]:
        if self._complaint:
            return wrapped([self._complaint], INNER, "bad")
        if isinstance(self._told, OpsconsoleError):
            return wrapped([self._told.sentence], INNER, "bad")
        wanted = self.wanted
        if wanted is None:
            return wrapped([HALF_A_DATE if self._texts.get(DATE) else clearing.NOTHING_NAMED], INNER, "quiet")
        if self._told is None:
            return [line(Piece("counting", "quiet"))]
        return clearing.found(self._told, wanted, INNER)


HALF_A_DATE = "type the whole date, or none"


class TypeToConfirm(TextDialog[str]):
    """A question that is answered by typing a name; answers with the button that was pressed, or None. `to` says what
    for, `no` what is otherwise.
    """

    def __init__(
        self, question: Question, word: str, *, to: str = "clear them", no: str = "nothing is cleared"
    ) -> None:
        super().__init__(question.buttons, button=question.chosen)
        self._question, self._word, self._to, self._no = question, word, to, no
        self._typed, self._complaint = "", ""

    def content(self) -> Sequence[Line]:
        """The question, and what is typed."""
        return [
            line(tell(self._question.title, "title")),
            EMPTY,
            *wrapped(self._question.sentences, INNER),
            EMPTY,
            line("Type ", tell(self._word, "strong", 40), f" to {self._to}"),
            line(Piece("> ", "key"), Piece(tail(tell(self._typed).text, FIELD_CELLS), "strong"), Piece("_", "quiet")),
            line(Piece(self._complaint, "bad")),
        ]

    def confirm(self) -> None:
        """Only with the name."""
        if self._typed == self._word:
            self.dismiss(self.buttons[self.button])
        else:
            self._complaint = f"the name is not typed: {self._no}"
            self.repaint()

    def take(self, text: str) -> None:
        """The cursor goes to the button when the name is there."""
        self._change((self._typed + text)[:ID_LENGTH])

    def action_erase(self) -> None:
        """One letter less."""
        self._change(self._typed[:-1])

    def _change(self, typed: str) -> None:
        self._typed, self._complaint = typed, ""
        self.button = 0 if typed == self._word else self._question.chosen
        self.repaint()
