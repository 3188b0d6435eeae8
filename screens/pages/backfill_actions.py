"""What the pages about backfills have in common: they read anew while one goes on, and have keys for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType

from opsconsole.core import humanize
from opsconsole.core.errors import OpsconsoleError
from opsconsole.rules.backfill_status import ACTIVE, Backfill, BackfillState
from screens import actions
from screens.dialogs.dialog import Confirm
from screens.pages.page import Page
from screens.panels import backfills
from screens.threads import run_in_thread
from screens.widgets import symbols as look
from screens.widgets.lines import Line, line, tell

LOOK_SECONDS = 0.5
REST_SECONDS = 5.0
"""So long it rests between two looks while no backfill goes on."""
NEWEST = 100
CHOOSE = "choose a backfill with tab and the arrows first"


class BackfillActionsPage(Page):
    """A page that asks the service again and again, and can pause, resume and cancel a backfill.

    What is done on an event adds to what its base classes do on it: the framework calls them all.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back"),
        Binding("t", "trigger", "trigger a job"),
        Binding("x", "cancel", "cancel the backfill"),
        Binding("p", "pause", "pause the backfill"),
        Binding("u", "resume", "resume the backfill"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.backfills: Sequence[Backfill] = ()
        self._problem = ""
        self._asking = False
        self._asked = 0.0
        self._read_at: datetime | None = None

    def read(self) -> object:
        """Asks the service for all that is shown; in a thread."""
        raise NotImplementedError

    def took(self, found: object) -> None:
        """Keeps what was read."""
        raise NotImplementedError

    def job(self) -> str | None:
        """The job that the keys are about."""
        raise NotImplementedError

    def chosen(self) -> Backfill | None:
        """The backfill under the cursor."""
        return next((about for about in self.backfills if backfills.key(about) == self.cursor), None)

    def backfill_to(self, *states: BackfillState) -> Backfill | None:
        """The backfill that the keys are about: the one under the cursor, else the only one in one of these states; it
        is said when there is none.
        """
        found = self.chosen()
        if found is not None:
            return found
        able = [about for about in self.backfills if about.state in states]
        if len(able) == 1:
            return able[0]
        self.say(CHOOSE)
        return None

    def keys_of_backfill(self) -> tuple[tuple[str, str], ...]:
        """What the footer offers for the backfill under the cursor."""
        found = self.chosen()
        if found is None or found.state is BackfillState.RUNNING:
            return (("x", "cancel"), ("p", "pause"))
        resume = ("u", "resume")
        return (("x", "cancel"), resume) if found.state in ACTIVE else (resume,)

    def signs(self) -> tuple[tuple[str, look.Symbol], ...]:
        """Those of windows and of backfills."""
        shown = [seen for state, seen in look.BACKFILL.items() if state is not BackfillState.PLANNED]
        of_backfills = (*shown, look.BACKFILL_PART, look.BACKFILL_FAILED)
        return (
            *(("window", seen) for seen in look.WINDOW.values()),
            *(("backfill", seen) for seen in of_backfills),
        )

    def trouble(self) -> list[Line]:
        """What could not be read, and since when what is shown is old."""
        if not self._problem:
            return []
        since = f"; stale since {humanize.clock(self._read_at, seconds=True)}" if self._read_at else ""
        return [line(" ", tell(f"{self._problem}{since}", "bad"))]

    @property
    def is_in_front(self) -> bool:
        """Whether no other page lies above it; a dialog may."""
        pages = (screen for screen in reversed(self.app.screen_stack) if isinstance(screen, Page))
        return next(pages, None) is self

    def ask(self) -> None:
        """Reads at once, unless it is being read."""
        if self._asking:
            return
        self._asking, self._asked = True, time.monotonic()
        run_in_thread(self, self.read, self._told)

    def on_mount(self) -> None:
        """Reads at once, then again and again."""
        self.ask()
        self.set_interval(LOOK_SECONDS, self._look)

    def on_screen_resume(self) -> None:
        """Something may have been done about a backfill meanwhile."""
        self.ask()

    def say(self, text: str, style: str = "") -> None:
        """A notice is often about a backfill."""
        super().say(text, style)
        self.ask()

    def action_back(self) -> None:
        """To the screen before."""
        self.dismiss(None)

    def action_trigger(self) -> None:
        """The job, or the first one."""
        actions.trigger(self.console_app, self.job())

    def action_cancel(self) -> None:
        """Asks first."""
        about = self.backfill_to(*ACTIVE)
        if about is None:
            return
        number = about.id
        question = backfills.cancel(about, self.console_app.snapshot.environment)
        if isinstance(question, str):
            self.say(question, "warn")
            return

        def answered(pressed: str | None) -> None:
            if pressed == backfills.CANCEL_IT:
                app = self.console_app
                app.orders.give(f"cancel of backfill {number}", lambda: app.service.backfills.cancel(number))

        self.console_app.push_screen(Confirm(question), answered)

    def action_pause(self) -> None:
        """No further window begins."""
        about = self.backfill_to(BackfillState.RUNNING)
        if about is not None:
            app, number = self.console_app, about.id
            app.orders.give(f"pause of backfill {number}", lambda: app.service.backfills.pause(number))

    def action_resume(self) -> None:
        """What is not done is done, windows that failed included."""
        about = self.backfill_to(BackfillState.PAUSED)
        if about is not None:
            app, number = self.console_app, about.id
            app.orders.give(f"resume of backfill {number}", lambda: app.service.backfills.resume(number))

    def _look(self) -> None:
        """Twice a second while a backfill goes on."""
        if not self.is_in_front:
            return
        self.repaint()
        going = any(about.state in ACTIVE for about in self.backfills)
        if going or time.monotonic() - self._asked >= REST_SECONDS:
            self.ask()

    def _told(self, found: object) -> None:
        self._asking = False
        if isinstance(found, OpsconsoleError):
            self._problem = found.sentence
        else:
            self._problem, self._read_at = "", self.console_app.now()
            self.took(found)
        self.repaint()
