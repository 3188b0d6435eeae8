"""The command palette: every action and every job, found by typing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType

from screens import actions
from screens.dialogs.dialog import INNER, Dialog
from screens.pages.help import keys_of
from screens.pages.page import Page
from screens.panels import pauses, questions
from screens.widgets.lines import EMPTY, Line, Piece, ends, fill, line, tell

SHOWN = 12
LONGEST = 60


class Command(NamedTuple):
    """What is shown and searched, the key that does the same, and what happens."""

    name: str
    key: str
    run: Callable[[], object]


class Palette(Dialog[Callable[[], object]]):
    """Answers with what the chosen command does, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "row(-1)", "command before", priority=True),
        Binding("down", "row(1)", "next command", priority=True),
        Binding("enter", "press", "run the command", priority=True),
        Binding("backspace", "erase", "erase a letter", priority=True),
    ]

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._commands = commands_of(page)
        self._query = ""
        self._row = 0

    def content(self) -> Sequence[Line]:
        """What is typed, and what it finds."""
        found = matching(self._query, self._commands)
        first = max(0, self._row - SHOWN + 1)
        rows: list[Line] = []
        for index, command in enumerate(found[first : first + SHOWN], first):
            row = ends(line(" ", tell(command.name, limit=LONGEST)), line(Piece(f"{command.key} ", "key")), INNER)
            chosen = tuple(Piece(text, "chosen") for text, _ in fill((Piece("▸"), *row[1:]), INNER))
            rows.append(chosen if index == self._row else row)
        if not found:
            rows = [line("   ", Piece("no command is called like that", "quiet"))]
        rows += [EMPTY] * (SHOWN - len(rows))
        typed = line(Piece("> ", "key"), tell(self._query, "strong"), Piece("_", "quiet"))
        count = line(Piece(f"{len(found)} of {len(self._commands)}", "quiet"))
        return [ends(typed, count, INNER), EMPTY, *rows]

    def confirm(self) -> None:
        """Runs the chosen one."""
        found = matching(self._query, self._commands)
        if found:
            self.dismiss(found[self._row].run)

    def action_row(self, step: int) -> None:
        """Up and down in the list."""
        found = matching(self._query, self._commands)
        self._row = max(0, min(len(found) - 1, self._row + step))
        self.repaint()

    def action_erase(self) -> None:
        """One letter less."""
        self._search(self._query[:-1])

    def action_button(self, step: int) -> None:
        """Letters are for searching here, and there are no buttons."""

    async def on_event(self, event: events.Event) -> None:
        """Every letter belongs to the search, also those that are keys elsewhere."""
        if isinstance(event, events.Key) and event.is_printable and event.character:
            event.stop()
            self._search(self._query + event.character)
        else:
            await super().on_event(event)

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted is searched for."""
        self._search(self._query + event.text)

    def _search(self, query: str) -> None:
        self._query, self._row = query[:LONGEST], 0
        self.repaint()

    def _buttons(self) -> Line:
        return line(Piece("↑↓ choose · enter runs · esc goes back", "quiet"))


def commands_of(page: Page) -> list[Command]:
    """The actions of a page, then those of each run that goes on, of each job, and of each pause."""
    app = page.console_app
    commands = [
        Command(word, keys, partial(page.run_action, action))
        for keys, word in keys_of(page)
        if (action := _action(page, word)) is not None
    ]
    for each in app.snapshot.live:
        commands.append(Command(f"cancel {questions.name(each.run)}", "", partial(actions.cancel, app, each.run)))
    for card in app.snapshot.jobs:
        commands.append(Command(f"trigger {card.name}", "", partial(actions.trigger, app, card.name)))
        commands.append(Command(f"pause {card.name}", "", partial(actions.pause, app, card.name)))
        newest = app.newest_run(card.name)
        if newest is not None:
            commands.append(Command(f"open newest run of {card.name}", "", partial(app.open_run, newest.id)))
    for target in dict.fromkeys(pause.target for pause in app.snapshot.pauses):
        commands.append(Command(f"resume {pauses.named(target)}", "", partial(actions.resume_only, app, target)))
    commands.append(Command("pause all jobs", "", partial(actions.pause, app, pauses.ALL)))
    return commands


def matching(query: str, commands: Sequence[Command]) -> list[Command]:
    """The commands that have every word of the query in their name."""
    words = query.casefold().split()
    return [command for command in commands if all(word in command.name.casefold() for word in words)]


def _action(page: Page, word: str) -> str | None:
    """The action behind a description; moving about is no command."""
    for active in page.active_bindings.values():
        if active.binding.description == word and not active.binding.action.startswith(("move", "panel", "scroll")):
            where = "app." if active.node is page.app else ""
            return f"{where}{active.binding.action.removeprefix('app.')}"
    return None
