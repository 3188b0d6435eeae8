"""Pages that read from the service again and again while they are open."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Generic, TypeVar

from opsconsole.core import humanize
from opsconsole.core.errors import OpsconsoleError
from screens.host import Host
from screens.pages.page import Page
from screens.threads import run_in_thread
from screens.widgets.contained import contained
from screens.widgets.lines import Line, line, text

Data = TypeVar("Data")
TICK_SECONDS = 0.5
FAST_SECONDS = 0.0
"""At every tick of the timer: for data that is changing."""
SLOW_SECONDS = 5.0


class PollingPage(Page, Generic[Data]):
    """Loads its data when it comes to the front, after each notice, and every `poll_seconds`.

    What is on the screen stays there, with an error above it, when the data cannot be loaded. Textual calls the handler
    of an event in each base class: a subclass that handles one adds to what is done here.
    """

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.loaded_at: datetime | None = None
        self._error = ""
        self._loading = False
        self._started_at = 0.0

    def load(self) -> Data:
        """Reads everything that is shown from the service; runs in a thread."""
        raise NotImplementedError

    def loaded(self, data: Data) -> None:
        """Keeps what was loaded."""
        raise NotImplementedError

    def poll_seconds(self) -> float | None:
        """How long to wait from one load to the next; None when what is shown can change no more."""
        return SLOW_SECONDS

    def error_lines(self) -> list[Line]:
        """Why the data could not be loaded, and how old what is shown is."""
        if not self._error:
            return []
        since = f"; stale since {humanize.clock(self.loaded_at, seconds=True)}" if self.loaded_at else ""
        return [line(" ", text(f"{self._error}{since}", "bad"))]

    def reload(self) -> None:
        """Loads at once, unless a load is in progress."""
        if not self._loading:
            self._loading, self._started_at = True, time.monotonic()
            run_in_thread(self, self.load, self._finished)

    def on_mount(self) -> None:
        """Starts polling."""
        self.set_interval(TICK_SECONDS, self._tick)

    def on_screen_resume(self) -> None:
        """Data may have changed while another page was in front."""
        self.reload()

    def show_notice(self, message: str, style: str = "") -> None:
        """A notice often reports a change of what is shown."""
        super().show_notice(message, style)
        self.reload()

    def action_back(self) -> None:
        """Closes the page."""
        self.dismiss(None)

    @property
    def _is_in_front(self) -> bool:
        """Whether no other page covers this one; a dialog may."""
        pages = (screen for screen in reversed(self.app.screen_stack) if isinstance(screen, Page))
        return next(pages, None) is self

    def _tick(self) -> None:
        with contained("polling", super().show_notice):  # its own would load, which may have failed
            self._poll()

    def _poll(self) -> None:
        if not self._is_in_front:
            return
        seconds = self.poll_seconds()
        if seconds is None and self._error:
            seconds = SLOW_SECONDS
        if seconds is not None and time.monotonic() - self._started_at >= seconds:
            self.reload()

    def _finished(self, result: Data | OpsconsoleError) -> None:
        self._loading = False
        if isinstance(result, OpsconsoleError):
            self._error = result.sentence
        else:
            self._error, self.loaded_at = "", self.host.now()
            with contained("showing what was loaded", super().show_notice):
                self.loaded(result)
        self.repaint()
