"""What pages, dialogs and actions may use of the application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from textual.screen import ModalScreen, Screen

from opsconsole.service.snapshot import Run, Snapshot
from screens.command_lines import CommandLine
from screens.files import Installation
from screens.service import Service

if TYPE_CHECKING:
    from screens.panels.plan import Gap

Answer = TypeVar("Answer")
OnResult = Callable[[str | None], None]
"""Called with the reason why a command was not carried out, or with None when it was."""


class Host(Protocol):
    """The application as its pages see it."""

    @property
    def service(self) -> Service: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def step(self) -> str:
        """What the console waits for while it starts; empty once it has started."""

    @property
    def ascii(self) -> bool: ...
    @property
    def installation(self) -> Installation: ...
    @property
    def in_utc(self) -> bool:
        """Whether times are shown in UTC instead of the zone of each job."""

    @property
    def awaited_runs(self) -> tuple[Run, ...]:
        """The runs that have to end before the console quits; empty unless the operator chose to wait."""

    def now(self) -> datetime: ...
    def show_notice(self, message: str, style: str = "", /) -> None:
        """Shows a message in the notice line of the page in front."""

    def send(self, name: str, command: Callable[[], int], on_result: OnResult | None = None, /) -> None:
        """Sends a command to the service and shows its outcome; `name` describes it in notices."""

    def open_page(self, page: Screen[None], /) -> None: ...
    def open_dialog(self, dialog: ModalScreen[Answer], on_answer: Callable[[Answer | None], None], /) -> None: ...
    def open_run(self, number: int, /) -> None: ...
    def open_packs(self) -> None: ...
    async def open_runs(self, job: str | None, /) -> None:
        """Opens the history of runs, filtered by a job."""

    async def open_calendar(self, job: str | None, /, gap: Gap | None = None) -> None:
        """Opens the calendar of a job; without a job, the list of jobs that can be backfilled."""

    @property
    def themes(self) -> Iterable[str]:
        """The names of the themes."""

    def choose_theme(self, name: str, /) -> None:
        """Applies a theme, now and at the next start."""

    def zone_of(self, job: str, /) -> str:
        """The zone in which times of a job are shown."""

    def show_commands(self, commands: Sequence[CommandLine], /) -> None:
        """Shows command lines, to read and to copy."""

    def command_text(self, command: CommandLine, /) -> str:
        """A command line as it is typed in a shell, for the installation that is shown."""

    def copy_to_clipboard(self, text: str, /) -> None:
        """Copies a text to the terminal's clipboard."""

    def call_later(self, callback: Callable[..., object], /, *args: object) -> object: ...
    def set_timer(self, delay: float, callback: Callable[[], object], /) -> object: ...
