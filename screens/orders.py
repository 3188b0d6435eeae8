"""Hands orders to the desk, each of them once at a time, and tells what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opsconsole.desk.values import Outcome
from opsconsole.errors import OpsconsoleError
from screens.aside import aside

if TYPE_CHECKING:
    from screens.app import ConsoleApp

OUTCOME_SECONDS = 5.0
"""So long a command may wait for a leader before the console says that it waits; after that it looks as often."""


class Orders:
    """What was asked for and is not settled yet, by its name: whoever presses a key again is told so."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._open: dict[str, int | None] = {}

    def give(self, name: str, ask: Callable[[], int]) -> None:
        """Asks for something, acknowledges that at once, and tells what came of it. `name` says it in words."""
        if name in self._open:
            number = self._open[name]
            known = f", as command {number}, and not carried out yet" if number is not None else ""
            self._app.say(f"{name} is already asked for{known}", "warn")
            return
        self._open[name] = None
        self._app.say(f"asked for: {name}")

        def taken(number: int | OpsconsoleError) -> None:
            if isinstance(number, OpsconsoleError):
                self._settled(name, number.sentence, "bad")
            else:
                self._open[name] = number
                self._follow(name, number, OUTCOME_SECONDS)

        aside(self._app, ask, taken)

    def _follow(self, name: str, number: int, patience: float) -> None:
        def told(outcome: Outcome | OpsconsoleError | None) -> None:
            if isinstance(outcome, OpsconsoleError):
                self._settled(name, outcome.sentence, "bad")
            elif outcome is None:
                if patience:
                    waits = "waits for a leader" if self._app.snapshot.leader is None else "is not carried out yet"
                    self._app.say(f"{name} is asked for, as command {number}, and {waits}", "warn")
                self._app.set_timer(OUTCOME_SECONDS, lambda: self._follow(name, number, 0.0))
            elif outcome.refused is not None:
                self._settled(name, f"refused: {outcome.refused}", "warn")
            else:
                self._settled(name, outcome.done or f"{name}: run {outcome.run} is started", "ok")

        aside(self._app, lambda: self._app.desk.outcome(number, patience), told)

    def _settled(self, name: str, sentence: str, style: str) -> None:
        del self._open[name]
        self._app.say(sentence, style)
