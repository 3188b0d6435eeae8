"""An installation, and a function that runs commands on it."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from opsconsole.cli import cli as opsconsole, following, main
from opsconsole.cli.commands import Command, LazyGroup
from opsconsole.cli.exit_codes import LOCAL
from opsconsole.core import error_reports
from opsconsole.core.signals import ENDING
from tests.conftest import Installing
from tests.installation import Installation
from tests.waiting import PATIENCE_SECONDS

NO_REDIS = "unix:///nowhere/redis.sock"
"""No command under test needs Redis."""


@dataclass(frozen=True)
class Result:
    """The output and exit code of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


RunCli = Callable[..., Result]
Answers = str | Callable[[], str] | None


@pytest.fixture
def installation(installing: Installing, tmp_path: Path) -> Installation:
    """Jobs with a schedule, and jobs for runs by hand; job code runs in the leading process."""
    return installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=NO_REDIS,
        packs="tests.packs.clockwork,tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


@pytest.fixture
def cli(installation: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCli:
    """Runs a command in this process and returns its result. With `answers`, standard input is a terminal on which they
    are typed; a function may do something before it returns its answer.
    """
    for name, value in installation.environ.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, answers: Answers = None) -> Result:
        return run_in_process(monkeypatch, capsys, *arguments, answers=answers)

    return run


def run_in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, answers: Answers = None
) -> Result:
    """Runs a command in this process and returns its result, see `cli`. A leader may take its time.

    Checks that the help of the command lists its exit code.
    """
    monkeypatch.setattr(following, "ANSWER_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(sys, "argv", ["opsconsole", *arguments])
    monkeypatch.setattr(sys, "stdin", _Stdin(answers))
    capsys.readouterr()
    with _restored(), pytest.raises(SystemExit) as ended:
        main()
    result = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    assert "Traceback" not in result.err
    command = command_at(arguments)
    listed = command.exit_codes or LOCAL
    assert code > 128 or code in listed, f"the help of {command.name} does not list the exit code {code}"
    return Result(code, result.out, result.err)


def command_at(words: Sequence[str]) -> LazyGroup | Command:
    """The command that a command line calls, or its innermost group; options before its name are left out."""
    found: LazyGroup | Command = opsconsole
    for word in words:
        inner = found.get_command(click.Context(found), word) if isinstance(found, LazyGroup) else None
        if isinstance(inner, LazyGroup | Command):
            found = inner
    return found


class _Stdin:
    """Standard input: a terminal if there are answers, otherwise not."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def isatty(self) -> bool:
        return self._answers is not None

    def readline(self) -> str:
        return f"{self._answers() if callable(self._answers) else self._answers}\n"


@contextmanager
def _restored() -> Iterator[None]:
    """Undoes what a command changes in its process, which here is that of the tests."""
    root, signals = logging.getLogger(), {number: signal.getsignal(number) for number in ENDING}
    handlers, level, path = list(root.handlers), root.level, list(sys.path)
    try:
        yield
    finally:
        error_reports.configure(None, "", "")
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:], sys.path[:] = handlers, path
        root.setLevel(level)
        for number, action in signals.items():
            signal.signal(number, action)
