"""`completion`: prints the script that lets a shell complete commands, options, jobs and runs."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import COMPLETE_VARIABLE
from opsconsole.cli.exit_codes import LOCAL

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", cls=Command, exit_codes=LOCAL)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    Load it in the start-up file of the shell. It completes commands, options, the names of jobs, and the numbers of
    runs, alerts and backfills.

    \b
    Examples:
      eval "$(opsconsole completion bash)"                                        # in ~/.bashrc
      eval "$(opsconsole completion zsh)"                                         # in ~/.zshrc, after compinit
      opsconsole completion fish > ~/.config/fish/completions/opsconsole.fish
    """
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click comes with these three
    click.echo(found(ctx.find_root().command, {}, "opsconsole", COMPLETE_VARIABLE).source())
