"""The help of every command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from opsconsole.cli import cli as opsconsole
from opsconsole.cli.commands import Command, LazyGroup
from tests.cli.conftest import RunCli, command_at


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


WITHOUT_JSON = {
    "alerts handover": "it prints Markdown",
    "alerts report": "it prints Markdown",
    "completion": "it prints a shell script",
    "demo": "it opens the console",
    "headless": "its log is JSON lines",
    "mcp": "it speaks its protocol on standard output",
    "serve": "it runs until it is stopped",
    "worker": "its log is JSON lines",
}
"""Why commands have no --json."""


@pytest.mark.parametrize(("path", "command", "_summary"), COMMANDS, ids=[" ".join(path) for path, _, _ in COMMANDS])
def test_every_command_has_examples_and_json(path: tuple[str, ...], command: click.Command, _summary: str) -> None:
    is_group = isinstance(command, LazyGroup) and not command.invoke_without_command
    has_json = any(parameter.name == "as_json" for parameter in command.params)

    assert examples_of(command), "its help has no examples"
    assert is_group or {0, 2} <= {*command.exit_codes}, "its help has no exit codes"  # type: ignore[attr-defined]
    assert is_group or has_json != (" ".join(path) in WITHOUT_JSON), "it needs --json, or a reason"
    for example in examples_of(command):
        program, *arguments = shlex.split(re.sub(r" [|>] .*", "", example))
        assert program == "opsconsole"
        parsed(opsconsole, arguments)


@pytest.mark.parametrize("path", [("cancel",), ("health",), ("alerts",), ("backfill", "apply"), ()], ids=" ".join)
def test_help_lists_the_exit_codes_of_a_command(cli: RunCli, path: tuple[str, ...]) -> None:
    command = command_at(path)

    listed = cli(*path, "--help").out.partition("Exit codes:\n")[2]

    assert isinstance(command, LazyGroup | Command)
    assert re.findall(r"^  (\d+)  ", listed, re.MULTILINE) == [str(int(code)) for code in sorted(command.exit_codes)]


def examples_of(command: click.Command) -> list[str]:
    """The command lines in the examples of a command's help."""
    examples = re.split(r"Examples?:\n", f"{command.help or ''}\n{command.epilog or ''}", maxsplit=1)[-1]
    lines = (re.split(r"\s{3,}", line.strip())[0] for line in examples.splitlines())
    return [line for line in lines if line.startswith("opsconsole ")]


def parsed(group: click.Command, arguments: list[str]) -> None:
    """Parses a command line as the program does, without executing it. Raises UsageError."""
    with group.make_context("opsconsole", arguments) as context:
        rest = [*context._protected_args, *context.args]
        if isinstance(group, click.Group) and rest:
            command = group.get_command(context, rest[0])
            assert command is not None, rest[0]
            parsed(command, rest[1:])


def test_summaries_fit_on_a_line(cli: RunCli) -> None:
    lines = cli("--help").out.splitlines()

    for name, summary in opsconsole.summaries.items():
        assert any(line.split() == [name, *summary.split()] for line in lines), name


def test_an_unknown_command_is_refused_in_any_group(cli: RunCli) -> None:
    for group in ((), ("backfill",), ("cache",), ("audit",), ("events",)):
        result = cli(*group, "nonsense")
        assert result.code == 2
        assert "No such command 'nonsense'" in result.err
