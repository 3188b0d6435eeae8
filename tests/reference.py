"""Writes the tables of docs/reference.md that are made from the code: `python -m tests.reference`.

A table stands between `<!-- generated: NAME -->` and `<!-- end -->`. `TABLES` has a function for each name. The
meanings of settings and of a job's parameters are written in the document, in the last column, and kept.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from opsconsole.authoring.job import LATEST, SKIP, Job, Limits, Retry
from opsconsole.calendar.windows import MOMENT
from opsconsole.cli import cli
from opsconsole.cli.commands import LazyGroup
from opsconsole.cli.exit_codes import ALL
from opsconsole.core.configuration import SECTIONS
from opsconsole.core.errors import Exit
from opsconsole.core.humanize import duration
from opsconsole.core.sections import expected
from opsconsole.core.settings import ChannelSection, JobOverride
from opsconsole.core.tokens import TokenSection
from opsconsole.http import api, metrics

NAMED = {"MOMENT": MOMENT, "LATEST": LATEST, "SKIP": SKIP, "Retry()": Retry(), "Limits()": Limits()}
"""Defaults of a job's parameters, as its author writes them."""
REFERENCE = Path(__file__).parents[1] / "docs/reference.md"
MARKED = re.compile(r"(<!-- generated: ([\w ]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def commands(_old: str) -> str:
    """Each command with its arguments, what it does, and its options."""
    rows = [
        f"| `{' '.join((*path, *_arguments(command)))}` | {_description(command)} | {_options(command)} |"
        for path, command in _leaves(cli)
    ]
    return "\n".join(["| command | | options |", "|---|---|---|", *rows])


def exit_codes(_old: str) -> str:
    """Each exit code with its meaning."""
    return "\n".join(["| code | meaning |", "|---|---|", *(f"| {int(each)} | {ALL[each]} |" for each in Exit)])


def settings(old: str) -> str:
    """Each setting with its default, what it must be, and the meaning that is written in the old table."""
    sections: dict[str, type[msgspec.Struct]] = {
        **SECTIONS,
        "http.tokens.NAME": TokenSection,
        "notify.NAME": ChannelSection,
        'jobs."NAME"': JobOverride,
    }
    found = [
        (f"{name}.{field.encode_name}", _default(field) or _own(kind), expected(_plain(field.type)))
        for name, kind in sections.items()
        for field in msgspec.structs.fields(kind)
    ]
    found += [("jobs.packs", "", "a list"), ("jobs.entry_points", "`true`", "true or false")]
    rows = [f"| `{name}` | {default} | {value} | {_meaning(old, name)} |" for name, default, value in found]
    return "\n".join(["| setting | default | value | meaning |", "|---|---|---|---|", *rows])


def _own(kind: type[msgspec.Struct]) -> str:
    return "the job's" if kind is JobOverride else ""


def parameters(old: str) -> str:
    """Each parameter of a job with the meaning that is written in the old table."""
    rows = [
        f"| `{field.name}` | {_parameter_default(field.default)} | {_meaning(old, field.name)} |"
        for field in dataclasses.fields(Job)
    ]
    return "\n".join(["| parameter | default | meaning |", "|---|---|---|", *rows])


def _parameter_default(value: object) -> str:
    if value is dataclasses.MISSING:
        return "required"
    if value in (None, (), ""):
        return "none"
    if isinstance(value, timedelta):
        return duration(value)
    return next((f"`{name}`" for name, each in NAMED.items() if each == value), f"`{value}`")


def _meaning(table: str, name: str) -> str:
    """The last cell of the row that begins with a name; empty without one."""
    row = next((line for line in table.splitlines() if line.startswith(f"| `{name}` |")), "")
    return row.rstrip(" |").rpartition(" | ")[2] if row else ""


def _description(command: click.Command) -> str:
    """The help of a command in one paragraph, without its examples."""
    return " ".join(re.split(r"\x08\s*Examples?:", command.help or "")[0].split()).replace("|", "\\|")


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


TABLES: Mapping[str, Callable[[str], str]] = {
    "commands": commands,
    "exit codes": exit_codes,
    "settings": settings,
    "parameters of jobs": parameters,
    "routes": lambda _old: api.reference(),
    "metrics": lambda _old: metrics.reference(),
}
"""The Markdown of each table, without a newline at its end, from that in the document."""


def generated(text: str) -> str:
    """A document with its tables made from the code. Raises KeyError for a name that has no function."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match[2]](match[3])}\n{match[4]}", text)


def names(text: str) -> list[str]:
    """The names of the tables in a document."""
    return [match[2] for match in MARKED.finditer(text)]


if __name__ == "__main__":
    REFERENCE.write_text(generated(REFERENCE.read_text(encoding="utf-8")), encoding="utf-8")
