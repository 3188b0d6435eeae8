"""Opens the console: on the configured installation, or on the demo's."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from opsconsole.cli.log_setup import log_to_file
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.session import create_engine, open_service
from opsconsole.core.bundle import hidden_by
from opsconsole.core.configuration import state_home
from opsconsole.core.errors import BadSettings, Exit, OpsconsoleError
from opsconsole.core.settings import Settings, terminal
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
    require_terminal()
    settings = load_settings(options)
    make_private(settings.folder)
    log_to_file(settings.folder)
    with open_service(settings, patient=True) as service:
        if options.observe or options.read_only or options.wall:
            service.announce("console")
            return draw(service, options)
        return _lead(service, options)


def draw(service: Service, options: Options, *, start_run: str | None = None, note: str = "") -> int:
    """Shows the console until it is closed, and returns its exit code. `note` stands above command lines."""
    if hiding := hidden_by("screens"):
        raise BadSettings([f"{hiding} hides the console's package of the same name; rename it, or move it elsewhere"])
    from screens.app import run  # Textual, which no other command loads
    from screens.files import Installation

    settings = service.settings
    installation = Installation(
        data=settings.folder,
        state=state_home(),
        program=("opsconsole", "--config", str(options.config)) if options.config else ("opsconsole",),
        note=note,
        keys=settings.console.keys,
    )
    return run(service, installation, start_run=start_run, ascii=options.ascii_only, wall=options.wall)


def require_terminal() -> None:
    """Raises NoTerminal where the console cannot be drawn."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise NoTerminal("the console needs a terminal; without one, use `opsconsole headless` or a command")
    if terminal() in ("", "dumb"):
        raise NoTerminal(f"the console cannot be drawn on a terminal of type {terminal() or 'none'!r}; set TERM")
    if "utf" not in (sys.stdout.encoding or "").lower():
        raise NoTerminal("the console needs a UTF-8 locale; set LANG=C.UTF-8")


def _lead(service: Service, options: Options) -> int:
    service.successor = lambda: _start_headless(service.settings)
    engine = create_engine(service)
    service.use_engine(engine)
    engine.start()
    service.announce("console")
    code = 1
    try:
        code = draw(service, options)
        if code == HANGUP and service.settings.console.on_hangup == "continue":
            _continue_without_terminal()
    finally:
        start_watchdog(code)
        engine.stop()
    return code


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
