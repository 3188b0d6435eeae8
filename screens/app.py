"""The console as a Textual application: it holds the service and the latest Snapshot, and nothing more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.actions import ActionParseResult
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.keys import key_to_character
from textual.screen import Screen
from textual.theme import Theme

from opsconsole.authoring.run import Run
from opsconsole.core import clock
from opsconsole.core.errors import OpsconsoleError
from opsconsole.service.snapshot import Snapshot
from screens import actions, command_lines, copying, terminal
from screens.command_lines import CommandLine
from screens.commands import CommandSender
from screens.files import Installation, remember_theme, remembered_theme
from screens.host import OnResult
from screens.keymap import bind, first_key, readable
from screens.opening import BackgroundOpening, ClosedService
from screens.page_stack import PageStack
from screens.pages.dashboard import Dashboard
from screens.pages.page import CHANGES, HIDDEN_KEYS, Page
from screens.panels import redis
from screens.panels.view import zone_of
from screens.quit import QuitFlow
from screens.service import Service
from screens.threads import run_in_thread
from screens.widgets.contained import OWN_EVENTS, contained, name_of
from screens.widgets.paint import Lines

OPENING, READING = "starting", "reading the store"


class ConsoleApp(PageStack):
    """Shows Snapshots and sends commands. `start_run` is a job to trigger on start; with `wall` it opens
    with the wall display.

    It implements `screens.host.Host` for its pages and dialogs.
    """

    CSS_PATH = Path(__file__).parent.parent / "styles.tcss"
    TITLE = "opsconsole"
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("help", "help", "help"),
        bind("palette", "commands", "find any command", priority=True),
        bind("clear", "clear", "clear cached keys"),
        bind("dashboard", "dashboard", "dashboard"),
        bind("jobs", "jobs", "jobs"),
        bind("runs", "runs", "runs"),
        bind("backfills", "backfill", "calendars and backfills"),
        bind("cache", "cache", "cache"),
        bind("alerts", "alerts", "alerts"),
        bind("packs", "packs", "panels of the packs"),
        bind("audit", "audit", "audit trail, and who is attached"),
        bind("copy", "copy", "copy the row's number, name or text"),
        bind("command", "command", "show the command line"),
        bind("export", "export", "export to a file"),
        bind("zone", "zone", "times in UTC or each job's zone"),
        bind("quit", "quit", "quit"),
        bind("quit_anywhere", "quit", "quit", priority=True),
        bind("redraw", "redraw", "draw the screen again", priority=True),
    ]

    def __init__(
        self,
        service: Service,
        *,
        now: clock.Clock = clock.now,
        start_run: str | None = None,
        ascii: bool = False,  # noqa: A002
        installation: Installation | None = None,
        wall: bool = False,
        opening: BackgroundOpening | None = None,
    ) -> None:
        super().__init__(driver_class=terminal.driver())
        self.service, self.now, self.ascii = service, now, ascii
        self.installation, self.in_utc = installation or Installation(), False
        self.set_keymap(self.installation.keys)
        self.snapshot = Snapshot(at=now(), environment="", leader=None)
        self._sender, self._quit_flow = CommandSender(self), QuitFlow(self)
        self._start_run, self._wall = start_run, wall
        self._opening, self.step = opening, OPENING if opening is not None else READING
        self._next_snapshot: Snapshot | None = None
        self._snapshot_lock = threading.Lock()
        if self.console.color_system == "standard" and not self.no_color:
            self.theme = "ansi-dark"
        elif (theme := remembered_theme(self.installation.state)) in self.available_themes:
            self.theme = theme

    def get_default_screen(self) -> Screen[None]:
        """The Dashboard lies under all other pages."""
        return Dashboard(self)

    def on_mount(self) -> None:
        """Subscribes to Snapshots; clocks and countdowns are drawn once a second."""
        self.set_interval(1.0, self._tick)
        self.theme_changed_signal.subscribe(self, self._restyle)
        if self._opening is None:
            self.use_service(self.service)
        self.call_after_refresh(self._begin)
        if self._wall:
            self._go("wall")
        if self._start_run is not None:
            actions.send_trigger(self, self._start_run, None)

    def _begin(self) -> None:
        """Draws the first frame, then opens the service: what that loads must not delay the frame."""
        self.begin_drawing()
        if self._opening is not None:
            self.call_after_refresh(self._opening.start, self)

    def _restyle(self, _theme: Theme) -> None:
        """Draws what is open in another theme. A subscription of each widget would keep closed pages in memory."""
        for screen in self.screen_stack:
            for widget in screen.query(Lines):
                widget.restyle()

    # --- opening the service: `step` is what it waits for -----------------------------------------------------------

    def use_service(self, service: Service) -> None:
        """Reads from a service that is open."""
        self.service = service
        service.watch(self._receive)

    def show_step(self, step: str) -> None:
        """Shows what the console waits for; nothing any more when that is empty."""
        self.step = step
        if page := self.front_page:
            if not step:
                self.service.set_screen(page.presence_name())
            page.repaint()

    # --- Snapshots ----------------------------------------------------------------------------------------------

    def show(self, snapshot: Snapshot) -> None:
        """Hands a Snapshot to the page in front."""
        before, self.snapshot = self.snapshot, snapshot
        if self.step == READING:
            self.step = ""
        with self._contained("comparing Redis with before"):
            lost = snapshot.redis.lost
            if lost is not None and lost != before.redis.lost:
                self.show_notice(f"Redis: {redis.lost_keys(lost)}; page 5 names the jobs that fill each family", "warn")
        if page := self.front_page:
            with self._contained("showing what is new"):
                page.show(snapshot)
        if self._opening is not None and not self._opening.is_drawn and snapshot.is_whole:
            self.call_after_refresh(self._opening.drawn)

    def _receive(self, snapshot: Snapshot) -> None:
        """Called from the sampler's thread. While the loop is busy, a newer Snapshot replaces the pending one."""
        with self._snapshot_lock:
            pending, self._next_snapshot = self._next_snapshot, snapshot
        if pending is None:
            self.call_later(self._deliver)

    def _deliver(self) -> None:
        with self._snapshot_lock:
            newest, self._next_snapshot = self._next_snapshot, None
        if newest is not None:
            self.show(newest)

    def _tick(self) -> None:
        with self._contained("the tick"):
            self._quit_flow.poll()
        if (page := self.front_page) and not page.is_up_to_date():
            with self._contained("drawing the page"):
                page.follow()

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Carries out the action of a key; one that raises ends neither the page nor the console."""
        with self._contained(f"the action {action if isinstance(action, str) else action[1]}"):
            return await super().run_action(action, default_namespace, namespaces)
        return True

    async def on_event(self, event: events.Event) -> None:
        """Handles an event; a key or callback whose handler raises does not end the console."""
        with self._contained(name_of(event)) if isinstance(event, OWN_EVENTS) else nullcontext():
            await super().on_event(event)

    def _contained(self, what: str) -> AbstractContextManager[None]:
        return contained(what, self.show_notice)

    # --- Host ---------------------------------------------------------------------------------------------------

    @property
    def awaited_runs(self) -> tuple[Run, ...]:
        """The runs that quitting waits for."""
        return self._quit_flow.awaited

    @property
    def notice(self) -> str:
        """The notice of the page in front."""
        page = self.front_page
        return page.notice.text if page else ""

    def show_notice(self, message: str, style: str = "") -> None:
        """Shows a message in the notice line of the page in front."""
        if page := self.front_page:
            page.show_notice(message, style)

    def send(self, name: str, command: Callable[[], int], on_result: OnResult | None = None) -> None:
        """Sends a command and shows its outcome."""
        self._sender.send(name, command, on_result)

    @property
    def themes(self) -> Iterable[str]:
        """The names of Textual's themes."""
        return self.available_themes

    def zone_of(self, job: str) -> str:
        """The zone of a job, or UTC."""
        return "UTC" if self.in_utc else zone_of(self.snapshot, job)

    def show_commands(self, commands: Sequence[CommandLine]) -> None:
        """Shows command lines, to read and to copy."""
        copying.show_commands(self, commands, lambda action: first_key(action, self.installation.keys))

    def command_text(self, command: CommandLine) -> str:
        """A command line for this installation."""
        return command_lines.text(command.argv, self.installation.program)

    # --- keys ---------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides the actions that a viewer may not use."""
        return not (self.service.read_only and action in CHANGES)

    def without_action(self, key: str) -> None:
        """Shows that a key has no action here."""
        if isinstance(self.screen, Page):
            character = key_to_character(key)
            name = readable(character if character is not None and character.isprintable() else key)
            why = "this console is read-only: " if name in HIDDEN_KEYS and self.service.read_only else ""
            self.show_notice(f"{why}no action on {name}; {first_key('help', self.installation.keys)} shows the keys")

    def action_clear(self) -> None:
        """Clears cached keys."""
        actions.clear(self)

    def action_copy(self) -> None:
        """Copies what the row under the cursor is."""
        if page := self.front_page:
            copying.copy(self, page.copied())

    def action_command(self) -> None:
        """Shows the command lines for the row under the cursor."""
        if page := self.front_page:
            refused = page.refused()
            allowed = (each for each in page.command_lines() if each.action not in refused)
            self.show_commands((*allowed, *command_lines.PAGES))

    def action_export(self) -> None:
        """Exports the page in front."""
        if page := self.front_page:
            copying.export(self, page.presence_name(), page.table, self.export_screenshot)

    def action_zone(self) -> None:
        """Shows times in UTC, or in the zone of each job."""
        self.in_utc = not self.in_utc
        self.show_notice("times are in UTC" if self.in_utc else "times are in the zone of each job")

    def choose_theme(self, name: str) -> None:
        """Applies a theme, now and at the next start."""
        self.theme = name

        def kept(result: OpsconsoleError | None) -> None:
            self.show_notice(result.sentence if result else f"theme: {name}", "warn" if result else "")

        run_in_thread(self, lambda: remember_theme(self.installation.state, name), kept)

    def action_redraw(self) -> None:
        """Draws everything again, such as after another program has written to the terminal."""
        self.refresh()

    async def action_quit(self) -> None:
        """Quits; asks first when that would interrupt a run."""
        while not isinstance(self.screen, Page):
            self.pop_screen()
        self._quit_flow.start()


def run(
    service: Service | BackgroundOpening,
    installation: Installation | None = None,
    *,
    start_run: str | None = None,
    ascii: bool = False,  # noqa: A002 - as the option
    wall: bool = False,
    mouse: bool = False,
) -> int:
    """Shows the console, while its service is still being opened, too. Returns its exit code: 0, or 129 or 143 when a
    signal ended it.
    """
    opening = service if isinstance(service, BackgroundOpening) else None
    app = ConsoleApp(
        ClosedService(read_only=service.read_only) if isinstance(service, BackgroundOpening) else service,
        start_run=start_run,
        ascii=ascii,
        installation=installation,
        wall=wall,
        opening=opening,
    )
    with terminal.signals(app) as received:
        app.run(mouse=mouse)
        return received.exit_code or app.return_code or 0
