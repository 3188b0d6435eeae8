"""Sends commands to the service, each at most once at a time, and shows their outcome."""

from __future__ import annotations

from collections.abc import Callable

from opsconsole.core.errors import OpsconsoleError
from opsconsole.service.outcomes import CommandProgress, Outcome
from screens.host import Host, OnResult
from screens.panels import clear as clear_panel
from screens.threads import run_in_thread

POLL_SECONDS = 0.5
LEADER_SECONDS = 5.0
"""How long a command may wait for a leader before the console reports that it waits; later the poll interval."""


class CommandSender:
    """Keeps the commands without an outcome by name, so that a second key press does not send one twice."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._pending: dict[str, int | None] = {}
        self._on_result: dict[str, OnResult] = {}

    def send(self, name: str, command: Callable[[], int], on_result: OnResult | None = None) -> None:
        """Sends a command, acknowledges it at once and shows its outcome later."""
        if name in self._pending:
            number = self._pending[name]
            status = f" (command {number}, still pending)" if number is not None else ""
            self._host.show_notice(f"{name} is already requested{status}", "warn")
            return
        self._pending[name] = None
        if on_result is not None:
            self._on_result[name] = on_result
        self._host.show_notice(f"requested: {name}")

        def accepted(number: int | OpsconsoleError) -> None:
            if isinstance(number, OpsconsoleError):
                self._finish(name, number.sentence, "bad")
            else:
                self._pending[name] = number
                self._follow(name, number, 0.0)

        run_in_thread(self._host, command, accepted)

    def _follow(self, name: str, number: int, waited: float) -> None:
        """Polls for the outcome; `waited` is the number of seconds since the command was sent."""
        timeout = POLL_SECONDS if waited < LEADER_SECONDS else 0.0
        service = self._host.service

        def poll() -> Outcome | CommandProgress | None:
            return service.commands.outcome(number, timeout) or service.commands.progress(number)

        def polled(result: Outcome | CommandProgress | OpsconsoleError | None) -> None:
            if isinstance(result, OpsconsoleError):
                self._finish(name, result.sentence, "bad")
            elif isinstance(result, CommandProgress):
                self._host.show_notice(clear_panel.progress_message(name, result))
                self._host.set_timer(POLL_SECONDS, lambda: self._follow(name, number, LEADER_SECONDS))
            elif result is None:
                self._wait(name, number, waited + timeout, is_new=bool(timeout))
            elif result.refused is not None:
                self._finish(name, f"refused: {result.refused}", "warn")
            else:
                self._finish(name, result.done or f"{name}: run {result.run} started", "ok")

        run_in_thread(self._host, poll, polled)

    def _wait(self, name: str, number: int, waited: float, *, is_new: bool) -> None:
        if waited < LEADER_SECONDS:
            self._follow(name, number, waited)
            return
        if is_new:
            status = "waits for a leader" if self._host.snapshot.leader is None else "is still pending"
            self._host.show_notice(f"{name}: command {number} {status}", "warn")
        self._host.set_timer(LEADER_SECONDS, lambda: self._follow(name, number, LEADER_SECONDS))

    def _finish(self, name: str, message: str, style: str) -> None:
        del self._pending[name]
        self._host.show_notice(message, style)
        if (on_result := self._on_result.pop(name, None)) is not None:
            on_result(None if style == "ok" else message)
