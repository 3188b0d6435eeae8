"""The command lines that are equal to the actions of the console: each is one that `opsconsole` takes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import pytest

from opsconsole.cache.filters import ClearFilter
from opsconsole.cli import cli
from opsconsole.cli.console import program
from opsconsole.cli.options import Options
from opsconsole.rules.backfill import Only, Order
from screens import command_lines
from screens.command_lines import CommandLine
from screens.panels import command_list
from screens.widgets.lines import width

DAY = date(2026, 1, 19)
ALL = (
    command_lines.trigger("attempts.cache_day"),
    command_lines.trigger("attempts.cache_day", "2026-01-19"),
    command_lines.trigger("attempts.cache_day", None, {"limit": "7"}),
    command_lines.retry(41),
    command_lines.cancel(41),
    command_lines.cancel(41, force=True),
    command_lines.pause("all"),
    command_lines.pause("game", None, "--moved; it's late"),
    command_lines.pause("game", timedelta(days=1, hours=12, minutes=5)),
    command_lines.resume("game"),
    command_lines.why("attempts.cache_day", datetime(2026, 1, 19, 18, 20, tzinfo=UTC)),
    command_lines.try_schedule("0 0 * * 1", "Asia/Kolkata"),
    command_lines.schedule("attempts.cache_day", "0 0 * * 1", "Asia/Kolkata", "late source"),
    command_lines.schedule("attempts.cache_day", "", "UTC"),
    command_lines.CANCEL_CLEARING,
    command_lines.why("attempts.cache_day", None),
    command_lines.show_run(41),
    command_lines.follow(41),
    command_lines.windows("reporting.daily_report"),
    command_lines.run_backfill(("reporting.daily_report", "reporting.daily_snapshot"), DAY, DAY, Only.STALE),
    command_lines.run_backfill(("reporting.daily_report",), DAY, DAY, Only.MISSING | Only.FAILED, Order(True, 2)),
    command_lines.apply_backfill(12),
    command_lines.show_backfill(12),
    command_lines.pause_backfill(12),
    command_lines.resume_backfill(12),
    command_lines.cancel_backfill(12),
    command_lines.clear(ClearFilter(user="u0417", subject="maths", family="attempts.day", date="2026-01-19")),
    command_lines.clear(ClearFilter(user="-x")),
    command_lines.show_alert(7),
    command_lines.acknowledge(7),
    command_lines.acknowledge(7, timedelta(hours=4), "ticket 81"),
    command_lines.unacknowledge(7),
    command_lines.silence("7"),
    command_lines.silence("slow_run", timedelta(days=7), "moved"),
    command_lines.unsilence("slow_run"),
    *command_lines.PAGES,
)


@pytest.mark.parametrize("command", ALL, ids=lambda command: command_lines.text(command.argv))
def test_each_command_line_is_one_that_the_program_takes(command: CommandLine) -> None:
    group: click.Command = cli
    context = click.Context(group)
    argv = list(command.argv)
    while isinstance(group, click.Group) and argv and (found := group.get_command(context, argv[0])) is not None:
        group, argv = found, argv[1:]
        context = click.Context(group, parent=context)
        if isinstance(group, click.Group) and (not argv or group.get_command(context, argv[0]) is None):
            break
    group.parse_args(context, argv)  # UsageError for what it does not take


def test_a_command_line_is_quoted_and_names_the_configuration() -> None:
    command = command_lines.clear(ClearFilter(user="a'b; rm -rf"))
    assert command_lines.text(command.argv) == """opsconsole cache clear --user 'a'"'"'b; rm -rf'"""
    program = ("opsconsole", "--config", "/etc/ops team.toml")
    assert command_lines.text(("jobs",), program) == "opsconsole --config '/etc/ops team.toml' jobs"


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(hours=12), "12h"),
        (timedelta(days=1, hours=12), "1d12h"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(seconds=5), "5s"),
    ],
)
def test_a_duration_is_written_as_the_options_take_it(duration: timedelta, words: str) -> None:
    assert command_lines.length(duration) == words


def test_a_long_command_line_is_wrapped_and_nothing_is_cut_off() -> None:
    commands = [command_lines.pause("game", note="x" * 90), command_lines.resume("game")]
    blocks = command_list.rows(commands, lambda _: "p", lambda each: command_lines.text(each.argv), 0, 66)

    typed = "".join(piece.text for each in blocks[0] for piece in each[-1:])
    assert typed.replace(" ", "") == command_lines.text(commands[0].argv).replace(" ", "")
    assert all(width(each) <= 66 for block in blocks for each in block)
    assert command_list.visible(blocks, 1, 1) == blocks[1]
    assert command_list.wrap("日本語" * 3, 4) == ["日本", "語日", "本語", "日本", "語"]


def test_command_lines_work_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert program(Options()) == ("opsconsole",)
    assert program(Options(config=Path("ops.toml"), trust=True)) == (
        *("opsconsole", "--config", str(tmp_path / "ops.toml")),
        "--trust",
    )
