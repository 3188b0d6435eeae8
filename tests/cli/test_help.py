"""The help of every command."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from opsconsole.cli import cli as opsconsole
from opsconsole.cli.commands import LazyGroup
from tests.cli.conftest import RunCli


def commands_of(group: LazyGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command, str]]:
    """Each command with its path and its line in the help of its group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command, group.summaries[name]
        if isinstance(command, LazyGroup):
            yield from commands_of(command, (*path, name))


assert isinstance(opsconsole, LazyGroup)
COMMANDS = list(commands_of(opsconsole))


@pytest.mark.parametrize(("path", "command", "summary"), COMMANDS, ids=[" ".join(path) for path, _, _ in COMMANDS])
def test_the_help_of_a_command_starts_with_its_summary(
    cli: RunCli, path: tuple[str, ...], command: click.Command, summary: str
) -> None:
    result = cli(*path, "--help")

    assert result.code == 0
    assert command.name == path[-1]
    assert " ".join((command.help or "").split("\n\n")[0].split()).startswith(summary.rstrip("."))
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


def test_summaries_fit_on_a_line(cli: RunCli) -> None:
    lines = cli("--help").out.splitlines()

    for name, summary in opsconsole.summaries.items():
        assert any(line.split() == [name, *summary.split()] for line in lines), name


def test_an_unknown_command_is_refused_in_any_group(cli: RunCli) -> None:
    for group in ((), ("backfill",), ("cache",), ("audit",), ("events",)):
        result = cli(*group, "nonsense")
        assert result.code == 2
        assert "No such command 'nonsense'" in result.err
