"""Opens the console: on the configured installation, or on the demo's."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from opsconsole.cli.log_setup import log_to_file
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.session import create_engine, open_service, require_intact
from opsconsole.core.allocator import use_one_arena
from opsconsole.core.bundle import hidden_by
from opsconsole.core.errors import BadSettings, Exit, OpsconsoleError
from opsconsole.core.garbage import end_loading
from opsconsole.core.homes import state_home
from opsconsole.core.settings import Role, Settings, character_locale, terminal
from opsconsole.core.signals import start_watchdog
from opsconsole.core.trust import make_private

if TYPE_CHECKING:
    from opsconsole.service.service import Service

log = logging.getLogger(__name__)

HANGUP = 128 + signal.SIGHUP


class NoTerminal(OpsconsoleError):
    """The console cannot be drawn here."""

    exit_code = Exit.USAGE


def open_console(options: Options) -> int:
    """Opens the console and returns its exit code."""
    require_terminal(options)
    use_one_arena()
    settings = load_settings(options)
    make_private(settings.folder)
    log_to_file(settings.folder)
    leads = not (options.observe or options.read_only or options.wall)
    _require_screens()
    from screens.app import run  # Textual, which no other command loads
    from screens.opening import BackgroundOpening

    read_only = settings.actor.role is not Role.OPERATOR
    opening = BackgroundOpening(lambda *calls: _opened(settings, *calls, leads=leads), read_only=read_only)
    code = 1
    try:
        code = run(opening, **_how(settings, options))
        if leads and code == HANGUP and settings.console.on_hangup == "continue":
            _continue_without_terminal()
    finally:
        if leads:
            start_watchdog(code)
        opening.close()
    return code


def draw(service: Service, options: Options, *, start_run: str | None = None, note: str = "") -> int:
    """Shows the console on an open service until it is closed, and returns its exit code. `note` stands above command
    lines.
    """
    _require_screens()
    from screens.app import run

    return run(service, start_run=start_run, **_how(service.settings, options, note))


def _require_screens() -> None:
    """Raises BadSettings where the console's modules, and with them Textual, cannot be loaded."""
    if hiding := hidden_by("screens"):
        raise BadSettings([f"{hiding} hides the console's package of the same name; rename it, or move it elsewhere"])


def _how(settings: Settings, options: Options, note: str = "") -> dict[str, Any]:
    """How the console is drawn: arguments of `screens.app.run`."""
    from screens.files import Installation

    installation = Installation(
        data=settings.folder,
        state=state_home(),
        program=program(options),
        note=note,
        keys=settings.console.keys,
    )
    return {"installation": installation, "ascii": options.ascii_only, "wall": options.wall, "mouse": options.mouse}


def program(options: Options) -> tuple[str, ...]:
    """The start of a command line that acts on the same installation, from any folder."""
    config = ("--config", str(options.config.absolute())) if options.config else ()
    return ("opsconsole", *config, *(("--trust",) if options.trust else ()))


def require_terminal(options: Options) -> None:
    """Raises NoTerminal where the console cannot be drawn."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise NoTerminal("the console needs a terminal; without one, use `opsconsole headless` or a command")
    if terminal() in ("", "dumb"):
        raise NoTerminal(f"the console cannot be drawn on a terminal of type {terminal() or 'none'!r}; set TERM")
    if "utf" not in (sys.stdout.encoding or "").lower():
        raise NoTerminal("the console needs a UTF-8 locale; set LC_ALL=C.UTF-8")
    locale = character_locale()
    if locale and "utf" not in locale.lower() and not options.ascii_only:
        raise NoTerminal(f"the locale {locale!r} is not UTF-8; set LC_ALL=C.UTF-8, or use --ascii")


@contextmanager
def _opened(
    settings: Settings, report: Callable[[str], None], show: Callable[[Service], None], *, leads: bool
) -> Iterator[None]:
    """The service, and with `leads` an engine that leads when it can, until the end of the block. Nothing is scheduled
    from a store before it has been checked; it is shown before that, and drawn, which the engine's imports would delay.
    """
    with ExitStack() as closing:
        service = closing.enter_context(open_service(settings, patient=True, check=False, report=report))
        service.load_sampler()
        show(service)
        end_loading()
        if leads:
            report("checking the store")
            require_intact(service)
            report("starting the engine")
            service.successor = lambda: _start_headless(service.settings)
            engine = create_engine(service)
            service.use_engine(engine)
            engine.start()
            closing.callback(engine.stop)
        service.announce("console")
        yield


def _continue_without_terminal() -> None:
    """Keeps scheduling until a signal ends the process."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    log.info("the terminal was closed; this process continues without one until SIGTERM")
    while True:
        time.sleep(60)


def _start_headless(settings: Settings) -> None:
    """Starts a headless process that takes over when this one has ended."""
    file = ["--config", str(settings.source)] if settings.source else []
    with (settings.folder / "headless.log").open("ab") as out:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "opsconsole", *file, "headless"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # so that it survives the end of the terminal
        )
