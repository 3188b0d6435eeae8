"""What the keys that work on every page do: copy, export, and show command lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from opsconsole.core.errors import OpsconsoleError
from screens import exports
from screens.command_lines import CommandLine
from screens.dialogs.commands import CommandsDialog
from screens.dialogs.export import ExportDialog
from screens.exports import Copied, Format, Table
from screens.files import COPY, EXPORTS, write_private
from screens.host import Host
from screens.keymap import first_key
from screens.threads import run_in_thread

NOTHING = "nothing to copy here; choose a row with the arrows or {} first"
NO_TABLE = "this page has no table; {} exports it as a picture"


def copy(host: Host, copied: Copied | None) -> None:
    """Copies a text to the terminal's clipboard and to a file, and reports both."""
    if copied is None or not copied.value:
        host.show_notice(NOTHING.format(first_key("next_panel", host.installation.keys)), "warn")
        return
    value, folder = exports.copied_text(copied), host.installation.data
    host.copy_to_clipboard(value)
    if folder is None:
        host.show_notice(f"copied {copied.name}", "ok")
        return

    def written(result: Path | OpsconsoleError) -> None:
        if isinstance(result, OpsconsoleError):
            host.show_notice(f"copied {copied.name} to the clipboard only: {result.sentence}", "warn")
        else:
            host.show_notice(f"copied {copied.name} to the clipboard and {shown(result)}", "ok")

    run_in_thread(host, lambda: write_private(folder / COPY, f"{value}\n"), written)


def show_commands(host: Host, commands: Sequence[CommandLine], keys: Callable[[str], str]) -> None:
    """Shows command lines; `keys` returns the key of an action. Enter or y copies the one under the cursor."""

    def answered(command: Copied | None) -> None:
        if command is not None:
            copy(host, command)

    host.open_dialog(CommandsDialog(host, commands, keys), answered)


def export(host: Host, name: str, table: Callable[[], Table | None], picture: Callable[[], str]) -> None:
    """Opens the choice of a format, then writes the page as a picture or its table to a file, and reports where."""
    folder = host.installation.data
    if folder is None:
        host.show_notice("there is no folder to export to", "warn")
        return
    target = folder / EXPORTS

    def answered(form: Format | None) -> None:
        if form is None:
            return
        drawn = picture() if form is Format.SVG else ""
        path = target / exports.file_name(name, host.now(), form)
        host.show_notice(f"exporting {name}")
        run_in_thread(host, lambda: _write(path, form, drawn, table), written)

    def written(result: Path | OpsconsoleError | None) -> None:
        if isinstance(result, OpsconsoleError):
            host.show_notice(result.sentence, "bad")
        elif result is None:
            host.show_notice(NO_TABLE.format(first_key("export_svg", host.installation.keys)), "warn")
        else:
            host.show_notice(f"exported to {shown(result)}", "ok")

    host.open_dialog(ExportDialog(host, target), answered)


def _write(path: Path, form: Format, drawn: str, table: Callable[[], Table | None]) -> Path | None:
    """In a thread: the table may need more from the service."""
    if form is Format.SVG:
        return write_private(path, drawn)
    rows = table()
    if rows is None:
        return None
    return write_private(path, exports.csv_text(rows) if form is Format.CSV else exports.json_text(rows))


def shown(path: Path) -> str:
    """A path, short where it is below the home folder."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
