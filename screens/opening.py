"""A console that is drawn before its service is open: the service is opened in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Never, Protocol

from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.supervision import log_failure
from opsconsole.service.snapshot import Run, Snapshot
from screens.service import Alerts, Audit, Backfills, Cache, Commands, History, Queries, Service

CLOSE_SECONDS = 2.0
"""How long quitting waits for a service that is still being opened."""
DRAW_SECONDS = 2.0
"""How long opening waits until the first whole Snapshot has been drawn."""

Report = Callable[[str], None]
"""Called with what is being waited for, such as `opening the store`."""
Show = Callable[[Service], None]
"""Called with the service as soon as it can be read; returns when what was read has been drawn. What the service needs
to act may be opened after that: loading it would delay the panels.
"""
Opening = Callable[[Report, Show], AbstractContextManager[None]]
"""Opens a service, and closes it at the end of the block."""


class StillOpening(OpsconsoleError):
    """The service is not open yet."""

    def __init__(self) -> None:
        super().__init__("the console is still starting; try again in a moment")


class ClosedService:
    """Stands for the service until it is open: it has nothing, and refuses everything."""

    def __init__(self, *, read_only: bool) -> None:
        self.read_only, self.can_hand_over = read_only, False

    @property
    def queries(self) -> Queries:
        """None yet; so are the others. Each raises StillOpening."""
        self._refuse()

    @property
    def history(self) -> History:
        """See `queries`."""
        self._refuse()

    @property
    def cache(self) -> Cache:
        """See `queries`."""
        self._refuse()

    @property
    def audit(self) -> Audit:
        """See `queries`."""
        self._refuse()

    @property
    def commands(self) -> Commands:
        """See `queries`."""
        self._refuse()

    @property
    def backfills(self) -> Backfills:
        """See `queries`."""
        self._refuse()

    @property
    def alerts(self) -> Alerts:
        """See `queries`."""
        self._refuse()

    def set_screen(self, screen: str) -> None:
        """Nobody can see it yet."""

    def watch(self, callback: Callable[[Snapshot], None]) -> None:
        """There is nothing to watch yet."""

    def close(self) -> None:
        """There is nothing to close yet."""

    def runs_here(self) -> tuple[Run, ...]:
        """No run."""
        return ()

    def hand_over(self) -> None:
        """Raises StillOpening."""
        self._refuse()

    def _refuse(self) -> Never:
        raise StillOpening


class OpeningHost(Protocol):
    """The application whose service is opened. Its methods are called on its event loop."""

    def call_later(self, callback: Callable[..., object], /, *args: object) -> object: ...
    def use_service(self, service: Service, /) -> None: ...
    def show_step(self, step: str, /) -> None: ...
    def exit(self) -> None: ...


class BackgroundOpening:
    """Opens a service in a thread, and keeps it open until `close`: what the service has started may end with the
    thread that started it.
    """

    def __init__(self, opening: Opening, *, read_only: bool) -> None:
        self._opening, self.read_only = opening, read_only
        self._is_open, self._closing, self._is_drawn = threading.Event(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self, host: OpeningHost) -> None:
        """Starts opening. An error closes the console, and `close` raises it."""
        self._thread = threading.Thread(target=lambda: self._run(host), name="console-opening", daemon=True)
        self._thread.start()

    @property
    def is_drawn(self) -> bool:
        """Whether `drawn` was called."""
        return self._is_drawn.is_set()

    def drawn(self) -> None:
        """Continues opening: all panels have their content."""
        self._is_drawn.set()

    def close(self) -> None:
        """Closes the service. Raises the error with which it could not be opened, or closed."""
        self._closing.set()
        self._is_drawn.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
            if self._is_open.is_set():  # otherwise it may wait for something that does not answer
                self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self, host: OpeningHost) -> None:
        def later(callback: Callable[..., object], *args: object) -> None:
            with suppress(RuntimeError):  # the loop has stopped
                host.call_later(callback, *args)

        def show(service: Service) -> None:
            later(host.use_service, service)
            self._is_drawn.wait(DRAW_SECONDS)

        try:
            with self._opening(lambda step: later(host.show_step, step), show):
                self._is_open.set()
                later(host.show_step, "")
                if not self._closing.is_set():
                    self._load_pages()
                self._closing.wait()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self._error = error
            later(host.exit)

    def _load_pages(self) -> None:
        """Loads the other pages now that nothing waits for it."""
        from screens.pages import catalog

        try:
            catalog.load_all()
        except Exception as error:  # noqa: BLE001 - it is raised again for the page that is opened
            log_failure("loading the pages", error)
