"""`serve`: the console in a browser."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import sys
from importlib.util import find_spec
from urllib.parse import urlsplit

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.console import program
from opsconsole.cli.log_setup import log_to_file
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo
from opsconsole.core.errors import BadSettings, Exit, OpsconsoleError
from opsconsole.core.garbage import end_loading
from opsconsole.core.settings import environment
from opsconsole.core.trust import make_private
from opsconsole.http.listener import Address, listening

log = logging.getLogger(__name__)

NOT_INHERITED = ("COLUMNS", "LINES", "NO_COLOR", "SSH_CONNECTION", "TERM_PROGRAM", "TERM_PROGRAM_VERSION")
"""Variables that describe the terminal of this command."""


class NoPublicUrl(OpsconsoleError):
    """Other machines can connect, but the address that their browsers open is missing."""

    exit_code = Exit.CONFIGURATION

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host} can be reached by other machines: add --public-url with the https:// address of a proxy"
        )


@click.command("serve", cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port; 0 selects a free one.",
)
@click.option("--public-url", metavar="URL", help="Address that browsers open, if there is a proxy.")
@click.pass_obj
def command(options: Options, host: str, port: int, public_url: str | None) -> None:
    """Show the console in a browser.

    Prints an address with a token. It works once and signs a browser in for twelve hours; then the next address is
    printed. Each tab runs its own console, which never leads and has its own name in the audit trail. To refuse every
    action, put --read-only before the command.

    There is no TLS. For access from other machines, put a proxy with TLS in front and pass its address as --public-url.

    \b
    Examples:
      opsconsole serve
      opsconsole --read-only serve --port 8100
      opsconsole serve --public-url https://ops.example.com
    """
    if find_spec("textual_serve") is None:
        raise BadSettings(["`serve` needs textual-serve, which is not installed: pip install 'opsconsole[serve]'"])
    settings = load_settings(options)
    make_private(settings.folder)
    log_to_file(settings.folder)
    origin = None if public_url is None else _origin(public_url)
    if origin is None and not _is_loopback(host):
        raise NoPublicUrl(host)
    from opsconsole.cli.browser.server import serve  # an optional extra

    shown = f"[{host}]" if ":" in host else host
    end_loading()
    with listening(Address(shown, port), protected=True) as listener:
        own = origin or f"http://{shown}:{listener.address.port}"
        asyncio.run(serve(listener.socket, _command(options), _environ(), own, issued=_print_address))


def _print_address(address: str) -> None:
    echo(f"open {address}")
    sys.stdout.flush()


def _command(options: Options) -> list[str]:
    """The command line of a console that never leads."""
    flags = {"--observe": True, "--read-only": options.read_only, "--wall": options.wall, "--mouse": options.mouse}
    chosen = [flag for flag, is_set in (flags | {"--ascii": options.ascii_only}).items() if is_set]
    return [sys.executable, "-P", "-m", *program(options), *chosen]


def _environ() -> dict[str, str]:
    inherited = {name: value for name, value in environment().items() if name not in NOT_INHERITED}
    return inherited | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}


def _origin(url: str) -> str:
    """The origin of an address. Raises UsageError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or "@" in parts.netloc:
        raise click.UsageError("--public-url must be an address such as https://ops.example.com, without a path")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
