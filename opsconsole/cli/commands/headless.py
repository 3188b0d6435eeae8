"""`headless`: the scheduler and executor without a console."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from queue import Empty
from typing import TYPE_CHECKING

import click

from opsconsole.authoring import catalog
from opsconsole.cli.commands import Command
from opsconsole.cli.exit_codes import READING
from opsconsole.cli.following import CannotLead
from opsconsole.cli.log_setup import log_to_stdout
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.service_reports import ServiceReports
from opsconsole.cli.session import create_engine, open_service
from opsconsole.core.allocator import use_one_arena
from opsconsole.core.errors import BadSettings, Exit, OpsconsoleError
from opsconsole.core.garbage import end_loading
from opsconsole.core.settings import Settings
from opsconsole.core.signals import keep_hangups
from opsconsole.core.trust import make_private
from opsconsole.http.listener import BadAddress, Listener, listening, read_address

if TYPE_CHECKING:
    from opsconsole.http.server import Server
    from opsconsole.leader.engine import Engine
    from opsconsole.service.service import Service
    from opsconsole.service.snapshot import Leader

log = logging.getLogger(__name__)

STANDBY_SECONDS = 2.0
"""How long --no-standby waits for the lease of a process that has just ended."""
HTTP_PACKAGES = ("starlette", "uvicorn", "h11", "prometheus_client")


class AnotherLeads(OpsconsoleError):
    """Another process leads, and this one is not to wait for its end."""

    exit_code = Exit.NOT_LEADING

    def __init__(self, leader: Leader) -> None:
        who = f"{leader.who} on {leader.host}, pid {leader.pid}"
        super().__init__(f"another process is leading ({who}); omit --no-standby to wait for its end")


class NothingToDo(OpsconsoleError):
    """A process that may not lead, and has no API to serve."""

    exit_code = Exit.USAGE

    def __init__(self) -> None:
        super().__init__("headless does not lead with --observe or --read-only; add --http to serve the API")


@click.command(
    "headless", cls=Command, exit_codes=READING | {Exit.NOT_LEADING: "with --no-standby: another process leads"}
)
@click.option("--http", "address", metavar="ADDRESS", help="Serve the HTTP API at HOST:PORT or unix:/path.")
@click.option("--no-standby", is_flag=True, help="Exit with code 75 if another process leads, instead of waiting.")
@click.pass_obj
def command(options: Options, address: str | None, no_standby: bool) -> None:
    """Schedule and run jobs without a console.

    The log goes to standard output, one JSON object per line. While another process leads, this one waits and takes
    over when the other ends.

    With --http, or `bind` in the [http] section, it also serves the HTTP API. Clients send the secret in $CRON_SECRET;
    without a secret only this machine can connect. SIGHUP reloads the configuration; an invalid one is logged and
    ignored.

    A systemd unit can have Type=notify and WatchdogSec: the process reports when it leads or stands by, and once a
    second that the schedule is being planned.

    With --observe or --read-only before the command it never leads, and only serves the API. With --read-only,
    clients may only read.

    \b
    Examples:
      opsconsole headless --http 127.0.0.1:8080
      opsconsole headless --http unix:/run/opsconsole/http.sock
    """
    from opsconsole.cli.table_check import start_table_check  # loads SQLAlchemy

    leads = not (options.observe or options.read_only)
    use_one_arena()
    log_to_stdout()
    hangups = keep_hangups()
    settings = load_settings(options)
    for warning in settings.warnings:
        log.warning("%s", warning)
    if not leads and not (settings.http.bind if address is None else address):
        raise NothingToDo
    with _open_listener(settings, address) as listener, open_service(settings, patient=True) as service:
        engine = create_engine(service) if leads else None
        service.use_engine(engine)
        server = _start_server(listener, service) if listener is not None else None
        reports = ServiceReports(engine, may_block=settings.engine.executor == "inline")
        try:  # a signal may come as soon as it leads
            if engine is not None:
                engine.start()
            start_table_check(settings, service.catalog)
            service.announce("headless")
            end_loading()
            if engine is not None and no_standby:
                _wait_until_leading(service, engine)
            while True:
                reports.report()
                with suppress(Empty):
                    hangups.get(timeout=1.0)
                    reports.reloading()
                    _reload(options, service, engine, server)
                    reports.reloaded()
        finally:
            reports.stopping()
            if server is not None:
                server.stop()
            if engine is not None:
                engine.stop()


@contextmanager
def _open_listener(settings: Settings, address: str | None) -> Iterator[Listener | None]:
    """The socket of the HTTP API, by the command line or the configuration; None without an address.

    Raises BadAddress, BadSettings, CannotListen.
    """
    text = settings.http.bind if address is None else address
    if not text:
        yield None
        return
    if missing := [package for package in HTTP_PACKAGES if find_spec(package) is None]:
        lacking = f"HTTP needs packages that are not installed ({', '.join(missing)})"
        raise BadSettings([f"{lacking}: pip install 'opsconsole[http]'"])
    try:
        place = read_address(text)
    except BadAddress as error:
        if address is not None:
            raise
        raise BadSettings([f"http.bind: {error.sentence}"]) from error
    make_private(settings.folder)
    with listening(place, protected=bool(settings.http_secret or settings.http_tokens)) as listener:
        yield listener


def _start_server(listener: Listener, service: Service) -> Server:
    from opsconsole.http.server import Server  # an optional extra

    return Server(listener, service)


def _wait_until_leading(service: Service, engine: Engine) -> None:
    """Raises AnotherLeads, or CannotLead or Unavailable when this process cannot lead."""
    end = time.monotonic() + STANDBY_SECONDS
    while not engine.is_leading:
        is_late, problem = time.monotonic() > end, engine.problem
        if is_late or problem is not None:
            leader = service.queries.leader()
            if problem is not None:
                raise CannotLead(problem)
            if leader is not None and not leader.is_me:
                raise AnotherLeads(leader)
        time.sleep(0.05)


def _reload(options: Options, service: Service, engine: Engine | None, server: Server | None) -> None:
    """Applies a changed configuration; an invalid one changes nothing."""
    from opsconsole.cli.startup import require_filters  # loaded when the service was opened

    before = service.settings
    try:
        settings = load_settings(options)
        if settings.redis_url is None:
            settings = replace(settings, redis_url=before.redis_url)
        places = (settings.store_url, settings.data_url, settings.redis_url, settings.http)
        if places != (before.store_url, before.data_url, before.redis_url, before.http):
            raise BadSettings(["another store, data database, Redis or HTTP address needs a restart"])
        jobs = catalog.load(settings.packs, settings.overrides, settings.options, settings.compress_over)
        require_filters(settings, jobs)
        if server is not None:
            server.reload(settings, jobs)
    except BadSettings as error:
        for problem in error.problems:
            log.warning("the new configuration is ignored: %s", problem)
        return
    service.reload(settings, jobs)
    if engine is not None:
        engine.reload(settings, jobs)
    log.info("the configuration was reloaded: %s jobs", len(list(jobs)))
