"""One module per command, named after it and imported when the command is called.

Each module has its click command as `command`. A group of commands is a package of the same form. No module imports
SQLAlchemy, redis or the service at its top, so that `--help` is fast: `cli/session.py` loads them when a command runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from opsconsole.cli.exit_codes import READING, ExitCodes


class Command(click.Command):
    """A command that lists its exit codes in its help, and refuses an option given twice: click would ignore the first
    value.
    """

    def __init__(self, *args: Any, exit_codes: ExitCodes = READING, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.exit_codes = exit_codes

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the exit codes, and what follows them."""
        write_exit_codes(self.exit_codes, formatter)
        super().format_epilog(ctx, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments. Raises UsageError."""
        refuse_repeated_options(self, ctx, args)
        return super().parse_args(ctx, args)


def refuse_repeated_options(command: click.Command, ctx: click.Context, args: list[str]) -> None:
    """Raises UsageError for an option with a single value that is given more than once."""
    _, _, order = command.make_parser(ctx).parse_args(list(args))
    for parameter, times in Counter(order).items():
        if isinstance(parameter, click.Option) and times > 1 and not (parameter.multiple or parameter.is_flag):
            raise click.UsageError(f"{max(parameter.opts, key=len)} is given {times} times; give it once", ctx)


def write_exit_codes(exit_codes: ExitCodes, formatter: click.HelpFormatter) -> None:
    """Writes a list of exit codes."""
    if exit_codes:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in sorted(exit_codes.items())])


class LazyGroup(click.Group):
    """Commands that are imported by name from `package` when they are called.

    `summaries` has a line of help for each, so that the group's help and completion import none of them. `exit_codes`
    are those of the group without a command.
    """

    def __init__(
        self,
        *args: Any,
        package: str,
        summaries: Mapping[str, str],
        exit_codes: ExitCodes | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.package, self.summaries = package, summaries
        self.exit_codes = exit_codes or {}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the exit codes, and what follows them."""
        write_exit_codes(self.exit_codes, formatter)
        super().format_epilog(ctx, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments before the command's name. Raises UsageError."""
        refuse_repeated_options(self, ctx, args)
        return super().parse_args(ctx, args)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(self.summaries)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a command; None when there is none of that name."""
        if cmd_name not in self.summaries:
            return None
        command: click.Command = import_module(f"{self.package}.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands in the group's help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that complete what was typed."""
        commands = [
            CompletionItem(name, help=summary)
            for name, summary in self.summaries.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)
