"""An installation, and somebody who types commands into it."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opsconsole.cli import main
from opsconsole.cli.signals import ENDING
from tests.conftest import Installing
from tests.installation import Installation

NO_REDIS = "unix:///nowhere/redis.sock"
"""None of these commands needs it."""


@dataclass(frozen=True)
class Typed:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Typing = Callable[..., Typed]
Answers = str | Callable[[], str] | None


@pytest.fixture
def place(installing: Installing, tmp_path: Path) -> Installation:
    """Jobs that fire by the hour, and jobs that only run by hand; job code runs in the process that leads."""
    return installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=NO_REDIS,
        packs="tests.packs.clockwork,tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


@pytest.fixture
def typing(place: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typing:
    """Types a command in this process and returns what came of it; `answers` are typed when it asks on a terminal, or
    said by a function, which may do something meanwhile.
    """
    for name, value in place.environ.items():
        monkeypatch.setenv(name, value)

    def type_(*arguments: str, answers: Answers = None) -> Typed:
        monkeypatch.setattr(sys, "argv", ["opsconsole", *arguments])
        monkeypatch.setattr(sys, "stdin", _Keyboard(answers))
        capsys.readouterr()
        with _as_it_was(), pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        assert "Traceback" not in told.err
        return Typed(code, told.out, told.err)

    return type_


class _Keyboard:
    """Standard input: of a terminal when there are answers to type, else of a script."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def isatty(self) -> bool:
        return self._answers is not None

    def readline(self) -> str:
        return f"{self._answers() if callable(self._answers) else self._answers}\n"


@contextmanager
def _as_it_was() -> Iterator[None]:
    """A command sets up its process; here the process is the tests'."""
    root, signals = logging.getLogger(), {number: signal.getsignal(number) for number in ENDING}
    handlers, level, path = list(root.handlers), root.level, list(sys.path)
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:], sys.path[:] = handlers, path
        root.setLevel(level)
        for number, action in signals.items():
            signal.signal(number, action)
