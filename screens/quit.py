"""Quits the console, and asks first what shall become of the runs that this would interrupt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opsconsole.core.errors import OpsconsoleError, Unavailable
from opsconsole.service.snapshot import Run
from screens.dialogs.dialog import Confirm
from screens.panels import questions
from screens.threads import run_in_thread

if TYPE_CHECKING:
    from screens.app import ConsoleApp

QUIT_SECONDS = 2.0
"""So long quitting waits for the store to say what runs."""
WHY = "whoever ran it quits the console"


class QuitFlow:
    """Remembers the runs that quitting waits for, and quits when they have ended."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._runs: tuple[Run, ...] = ()
        self._looking = False

    @property
    def awaited(self) -> tuple[Run, ...]:
        """The runs that quitting waits for; none when nobody wants to quit."""
        return self._runs

    def ask(self) -> None:
        """Quits at once when nothing runs here; else asks, also when it waits already."""
        answered: list[bool] = []

        def told(found: tuple[Run, ...] | OpsconsoleError) -> None:
            if answered or isinstance(self._app.screen, Confirm):
                return
            answered.append(True)
            if isinstance(found, OpsconsoleError):
                self._app.push_screen(Confirm(questions.leave_unknown(found.sentence)), self._answered)
            elif found:
                environment = self._app.snapshot.environment
                question = questions.leave(found, environment, waiting=bool(self._runs))
                self._app.push_screen(Confirm(question), lambda pressed: self._answered(pressed, found))
            else:
                self._app.exit()

        silent = Unavailable("store", "it does not answer")
        self._app.set_timer(QUIT_SECONDS, lambda: told(silent))
        run_in_thread(self._app, self._app.service.runs_here, told)

    def look(self) -> None:
        """Quits when what was waited for has ended; called again and again."""
        if self._runs and not self._looking:
            self._looking = True
            run_in_thread(self._app, self._app.service.runs_here, self._seen)

    def _seen(self, found: tuple[Run, ...] | OpsconsoleError) -> None:
        self._looking = False
        if not self._runs or isinstance(found, OpsconsoleError):
            return
        self._runs = found
        if not found:
            self._app.exit()

    def _answered(self, pressed: str | None, runs: Sequence[Run] = ()) -> None:
        if pressed == questions.QUIT:
            self._app.exit()
        elif pressed in (questions.WAIT, questions.KEEP_WAITING):
            self._wait(runs)
        elif pressed == questions.HAND_OVER:
            self._hand_over()
        elif pressed == questions.STOP:
            self._stop(runs)
        elif pressed == questions.STAY:
            self._stay()

    def _wait(self, runs: Sequence[Run]) -> None:
        self._runs = tuple(runs)
        self._app.say("waits; q asks again", "warn")
        self.look()

    def _stay(self) -> None:
        if self._runs:
            self._runs = ()
            self._app.say("the console stays open")

    def _hand_over(self) -> None:
        def handed(told: OpsconsoleError | None) -> None:
            if isinstance(told, OpsconsoleError):
                self._app.say(told.sentence, "bad")
            else:
                self._app.exit()

        self._app.say("asked for: a process that takes over")
        run_in_thread(self._app, self._app.service.hand_over, handed)

    def _stop(self, runs: Sequence[Run]) -> None:
        def stop() -> None:
            for run in runs:
                self._app.service.commands.cancel(run.id, note=WHY)

        def stopping(told: OpsconsoleError | None) -> None:
            if isinstance(told, OpsconsoleError):
                self._app.say(told.sentence, "bad")
            else:
                self._wait(runs)

        self._app.say("asked for: an end of what runs here")
        run_in_thread(self._app, stop, stopping)
