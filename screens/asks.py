"""What the screens ask of the desk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from opsconsole.desk.values import Outcome, Preview, RunPage, Snapshot


class Asks(Protocol):
    """The part of the desk that the console uses. Every method may block: never call one on the screen's loop.

    Errors are OpsconsoleError, with a sentence to show.
    """

    def watch(self, callback: Callable[[Snapshot], None], /) -> None:
        """Calls back with every new Snapshot, from a thread of its own."""

    def close(self) -> None:
        """Ends the calls back, and every connection."""

    def preview(self, job: str, day: str | None, /) -> Preview:
        """What a trigger would do."""

    def trigger(self, job: str, day: str | None, /) -> int:
        """Asks for a run; returns the command's number."""

    def retry(self, run: int, /) -> int:
        """Asks for what failed in a run once more; returns the command's number."""

    def outcome(self, command: int, wait_seconds: float, /) -> Outcome | None:
        """What came of a command; None when no leader has carried it out within the wait."""

    def run_page(self, number: int, /) -> RunPage:
        """All that is kept of a run."""

    def quit_note(self) -> str | None:
        """One sentence on the runs that quitting would interrupt; None when there are none."""
