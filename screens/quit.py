"""Quits the console; asks first when quitting would interrupt runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from textual.screen import Screen

from opsconsole.core.errors import OpsconsoleError, Unavailable
from opsconsole.service.snapshot import Run
from screens.dialogs.dialog import Confirm
from screens.host import Host
from screens.keymap import first_key
from screens.panels import questions
from screens.threads import run_in_thread

STORE_SECONDS = 2.0
"""How long quitting waits for the store to report the runs of this process."""
STOP_NOTE = "its operator quit the console"
STOP_NAME = "stop of the runs in this process"


class QuittingHost(Host, Protocol):
    """A host that can be quit."""

    @property
    def screen(self) -> Screen[object]: ...
    def exit(self) -> None: ...


class QuitFlow:
    """Keeps the runs that quitting waits for, and quits when they have ended."""

    def __init__(self, host: QuittingHost) -> None:
        self._host = host
        self._runs: tuple[Run, ...] = ()
        self._is_stopping = False
        self._polling = False

    @property
    def awaited(self) -> tuple[Run, ...]:
        """The runs that quitting waits for; empty unless the operator chose to wait."""
        return self._runs

    def start(self) -> None:
        """Quits at once when nothing runs in this process; otherwise opens the dialog."""
        is_done = False

        def loaded(result: tuple[Run, ...] | OpsconsoleError) -> None:
            nonlocal is_done
            if is_done or isinstance(self._host.screen, Confirm):
                return
            is_done = True
            if isinstance(result, OpsconsoleError):
                self._ask(questions.quit_with_unknown_runs(result.sentence))
            elif result:
                environment, can_hand_over = self._host.snapshot.environment, self._host.service.can_hand_over
                waiting = bool(self._runs)
                question = questions.quit_with_runs(result, environment, waiting=waiting, can_hand_over=can_hand_over)
                self._ask(question, result)
            else:
                self._host.exit()

        timed_out = Unavailable("store", "timeout")
        self._host.set_timer(STORE_SECONDS, lambda: loaded(timed_out))
        run_in_thread(self._host, self._host.service.runs_here, loaded)

    def poll(self) -> None:
        """Quits when the awaited runs have ended; called once a second."""
        if self._runs and not self._polling:
            self._polling = True
            run_in_thread(self._host, self._host.service.runs_here, self._polled)

    def _polled(self, result: tuple[Run, ...] | OpsconsoleError) -> None:
        self._polling = False
        if not self._runs or isinstance(result, OpsconsoleError):
            return
        awaited, self._runs = {run.id for run in self._runs}, result
        begun = [run for run in result if run.id not in awaited]
        if not result:
            self._host.exit()
        elif self._is_stopping and begun:  # scheduled while the question was open, or since
            self._then(lambda: self._stop(begun), STOP_NAME, lambda: None)

    def _ask(self, question: questions.Question, runs: Sequence[Run] = ()) -> None:
        def answered(button: str | None) -> None:
            if button == questions.QUIT:
                self._host.exit()
            elif button in (questions.WAIT, questions.KEEP_WAITING):
                self._wait(runs, stopping=False)
            elif button == questions.HAND_OVER:
                self._then(self._host.service.hand_over, "a process that takes over", self._host.exit)
            elif button == questions.STOP:
                self._then(lambda: self._stop(runs), STOP_NAME, lambda: self._wait(runs, stopping=True))
            elif button == questions.STAY and self._runs:
                self._runs = ()
                self._host.show_notice("the console stays open")

        self._host.open_dialog(Confirm(self._host, question), answered)

    def _wait(self, runs: Sequence[Run], *, stopping: bool) -> None:
        self._runs, self._is_stopping = tuple(runs), stopping
        key = first_key("quit", self._host.installation.keys)
        self._host.show_notice(f"{key} shows the choices", "warn")
        self.poll()

    def _stop(self, runs: Sequence[Run]) -> None:
        """In a thread."""
        for run in runs:
            self._host.service.commands.cancel(run.id, note=STOP_NOTE)

    def _then(self, call: Callable[[], None], name: str, on_success: Callable[[], None]) -> None:
        def done(result: OpsconsoleError | None) -> None:
            if isinstance(result, OpsconsoleError):
                self._host.show_notice(result.sentence, "bad")
            else:
                on_success()

        self._host.show_notice(f"requested: {name}")
        run_in_thread(self._host, call, done)
