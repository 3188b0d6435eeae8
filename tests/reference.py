"""Writes the tables of docs/reference.md that are made from the code: `python -m tests.reference`.

A table stands between `<!-- generated: NAME -->` and `<!-- end -->`. `TABLES` has a function for each name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from opsconsole.cli import cli
from opsconsole.cli.commands import LazyGroup
from opsconsole.cli.exit_codes import ALL
from opsconsole.core.configuration import SECTIONS
from opsconsole.core.errors import Exit
from opsconsole.core.sections import expected
from opsconsole.core.settings import ChannelSection, JobOverride
from opsconsole.http import api, metrics

REFERENCE = Path(__file__).parents[1] / "docs/reference.md"
MARKED = re.compile(r"(<!-- generated: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def commands() -> str:
    """Each command with its arguments and options."""
    rows = [f"| `{' '.join((*path, *_arguments(command)))}` | {_options(command)} |" for path, command in _leaves(cli)]
    return "\n".join(["| command | options |", "|---|---|", *rows])


def exit_codes() -> str:
    """Each exit code with its meaning."""
    return "\n".join(["| code | meaning |", "|---|---|", *(f"| {int(each)} | {ALL[each]} |" for each in Exit)])


def settings() -> str:
    """Each setting with its default and what it must be."""
    sections: dict[str, type[msgspec.Struct]] = {**SECTIONS, 'jobs."NAME"': JobOverride, "notify.NAME": ChannelSection}
    rows = [
        f"| `{name}.{field.encode_name}` | {_default(field)} | {expected(_plain(field.type))} |"
        for name, kind in sections.items()
        for field in msgspec.structs.fields(kind)
    ]
    return "\n".join(["| setting | default | value |", "|---|---|---|", *rows])


def _default(field: msgspec.structs.FieldInfo) -> str:
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory
    if default is msgspec.NODEFAULT or default is None or callable(default) or default in ("", ()):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _plain(kind: Any) -> Any:
    """A type without None, which stands for a setting that is not given."""
    found = [each for each in get_args(kind) if each is not type(None)]
    return found[0] if type(None) in get_args(kind) and len(found) == 1 else kind


def _leaves(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    assert isinstance(group, LazyGroup)
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if not isinstance(command, LazyGroup) or command.invoke_without_command:
            yield (*path, name), command
        if isinstance(command, LazyGroup):
            yield from _leaves(command, (*path, name))


def _arguments(command: click.Command) -> list[str]:
    context = click.Context(command)
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    return [each.make_metavar(context).replace("|", "\\|") for each in arguments]


def _options(command: click.Command) -> str:
    options = [max(each.opts, key=len) for each in command.params if isinstance(each, click.Option)]
    return ", ".join(f"`{each}`" for each in options) or "none"


TABLES: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "exit codes": exit_codes,
    "settings": settings,
    "routes": api.reference,
    "metrics": metrics.reference,
}
"""The Markdown of each table, without a newline at its end."""


def generated(text: str) -> str:
    """A document with its tables made from the code. Raises KeyError for a name that has no function."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}", text)


def names(text: str) -> list[str]:
    """The names of the tables in a document."""
    return [match[2] for match in MARKED.finditer(text)]


if __name__ == "__main__":
    REFERENCE.write_text(generated(REFERENCE.read_text(encoding="utf-8")), encoding="utf-8")
