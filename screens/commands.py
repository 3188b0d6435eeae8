"""Hands orders to the service, each of them once at a time, and tells what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opsconsole.core.errors import OpsconsoleError
from opsconsole.service.snapshot import CommandProgress, Outcome
from screens.panels import clear as clearing
from screens.threads import run_in_thread

if TYPE_CHECKING:
    from screens.app import ConsoleApp

LOOK_SECONDS = 0.5
OUTCOME_SECONDS = 5.0
"""So long a command may wait for a leader before the console says that it waits; after that it looks as often."""

Then = Callable[[str | None], None]


class CommandSender:
    """What was asked for and is not settled yet, by its name: whoever presses a key again is told so."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._open: dict[str, int | None] = {}
        self._then: dict[str, Then] = {}

    def give(self, name: str, ask: Callable[[], int], then: Then | None = None) -> None:
        """Asks for something, acknowledges that at once, and tells what came of it. `name` says it in words; `then` is
        called with why it was not done, or with None when it was.
        """
        if name in self._open:
            number = self._open[name]
            known = f", as command {number}, and not carried out yet" if number is not None else ""
            self._app.say(f"{name} is already asked for{known}", "warn")
            return
        self._open[name] = None
        if then is not None:
            self._then[name] = then
        self._app.say(f"asked for: {name}")

        def taken(number: int | OpsconsoleError) -> None:
            if isinstance(number, OpsconsoleError):
                self._settled(name, number.sentence, "bad")
            else:
                self._open[name] = number
                self._follow(name, number, 0.0)

        run_in_thread(self._app, ask, taken)

    def _follow(self, name: str, number: int, waited: float) -> None:
        """Looks again and again; `waited` is for how many seconds already, as long as it has said nothing of it."""
        patience = LOOK_SECONDS if waited < OUTCOME_SECONDS else 0.0
        service = self._app.service

        def look() -> Outcome | CommandProgress | None:
            return service.commands.outcome(number, patience) or service.commands.progress(number)

        def told(found: Outcome | CommandProgress | OpsconsoleError | None) -> None:
            if isinstance(found, OpsconsoleError):
                self._settled(name, found.sentence, "bad")
            elif isinstance(found, CommandProgress):
                self._app.say(clearing.how_far(name, found))
                self._app.set_timer(LOOK_SECONDS, lambda: self._follow(name, number, OUTCOME_SECONDS))
            elif found is None:
                self._wait(name, number, waited + patience, is_new=bool(patience))
            elif found.refused is not None:
                self._settled(name, f"refused: {found.refused}", "warn")
            else:
                self._settled(name, found.done or f"{name}: run {found.run} is started", "ok")

        run_in_thread(self._app, look, told)

    def _wait(self, name: str, number: int, waited: float, *, is_new: bool) -> None:
        if waited < OUTCOME_SECONDS:
            self._follow(name, number, waited)
            return
        if is_new:
            waits = "waits for a leader" if self._app.snapshot.leader is None else "is not carried out yet"
            self._app.say(f"{name} is asked for, as command {number}, and {waits}", "warn")
        self._app.set_timer(OUTCOME_SECONDS, lambda: self._follow(name, number, OUTCOME_SECONDS))

    def _settled(self, name: str, sentence: str, style: str) -> None:
        del self._open[name]
        self._app.say(sentence, style)
        if (then := self._then.pop(name, None)) is not None:
            then(None if style == "ok" else sentence)
