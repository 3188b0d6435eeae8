"""Loads details of one row at a time, in a thread."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from opsconsole.core.errors import OpsconsoleError
from screens.threads import Loop, run_in_thread

Subject = TypeVar("Subject", bound=Hashable)
Value = TypeVar("Value")


class Loaded(Generic[Subject, Value]):
    """The newest value of the subject that was requested last. `read` runs in a thread; `on_change` on the loop."""

    def __init__(self, read: Callable[[Subject], Value], on_change: Callable[[], None]) -> None:
        self._read, self._on_change = read, on_change
        self._shown: tuple[Subject, object, Value | OpsconsoleError] | None = None
        self._requested: tuple[Subject, object] | None = None
        self._loading = False

    def get(self, subject: Subject) -> Value | None:
        """The value of a subject; None while it is being loaded, or when it could not be."""
        value = self._shown[2] if self._shown is not None and self._shown[0] == subject else None
        return None if isinstance(value, OpsconsoleError) else value

    def error(self, subject: Subject) -> str:
        """Why a subject could not be loaded; empty while it is being loaded."""
        value = self._shown[2] if self._shown is not None and self._shown[0] == subject else None
        return value.sentence if isinstance(value, OpsconsoleError) else ""

    def request(self, loop: Loop, subject: Subject, version: object) -> None:
        """Loads the subject, unless it has been loaded in this version."""
        self._requested = (subject, version)
        if self._loading or (self._shown is not None and self._shown[:2] == self._requested):
            return
        self._loading = True

        def loaded(value: Value | OpsconsoleError) -> None:
            self._loading = False
            self._shown = (subject, version, value)
            self._on_change()
            if self._requested is not None and self._requested != (subject, version):
                self.request(loop, *self._requested)

        run_in_thread(loop, lambda: self._read(subject), loaded)
