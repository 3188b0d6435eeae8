"""The console on a real terminal."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from opsconsole.core.errors import Exit
from opsconsole.store import migrate
from tests.faults.fork_server import ForkServer
from tests.terminal import Terminal
from tests.waiting import PATIENCE_SECONDS

OPEN = Callable[..., Terminal]
DEMO = ("demo", "--users", "50")
ENTER, ESCAPE = "\r", "\x1b"
ALTERNATE_SCREEN_LEFT, CURSOR_SHOWN = b"\x1b[?1049l", b"\x1b[?25h"


@pytest.fixture
def opening(fork_server: ForkServer, tmp_path: Path) -> Iterator[OPEN]:
    """Opens consoles, and ends them after the test."""
    opened: list[Terminal] = []

    def open_one(*arguments: str, columns: int = 80, rows: int = 24, **environ: str) -> Terminal:
        env = {**os.environ, **environ}
        opened.append(Terminal(arguments, env=env, cwd=tmp_path, columns=columns, rows=rows, fork_server=fork_server))
        return opened[-1]

    yield open_one
    for terminal in opened:
        terminal.close()


def settle(terminal: Terminal) -> None:
    """Waits until the run that the demo starts on opening has ended; one user of its data fails.

    Jobs that are scheduled every minute may be running meanwhile.
    """
    terminal.wait_for("leading since")
    terminal.wait_until(lambda: re.search(r"cache_day .*1 (failed|of \d)", terminal.text) is not None)


def assert_restored(terminal: Terminal) -> None:
    """Checks that the terminal is as it was before the console was opened."""
    assert ALTERNATE_SCREEN_LEFT in terminal.drawn
    assert CURSOR_SHOWN in terminal.drawn
    assert terminal.modes == terminal.modes_before


def test_the_demo_opens_and_runs_a_triggered_job(opening: OPEN) -> None:
    terminal = opening(*DEMO, columns=120, rows=40)
    settle(terminal)
    for panel in ("Jobs", "Running", "Redis", "Health"):
        terminal.wait_for(panel)
    terminal.wait_for("attempts.cache_day")
    terminal.wait_for("redis ok")

    terminal.type("t")
    terminal.wait_for("Items")
    terminal.wait_until(lambda: re.search(r"Items\s+\d+", terminal.text) is not None)
    terminal.type(ENTER)
    terminal.wait_until(lambda: re.search(r"\w+\.\w+: run \d+ started", terminal.text) is not None)

    assert terminal.quit() == 0
    assert_restored(terminal)


@pytest.mark.soak
def test_a_terminal_that_is_too_small_shows_the_required_size(opening: OPEN) -> None:
    terminal = opening(*DEMO)
    settle(terminal)
    terminal.resize(40, 10)
    terminal.wait_for("needs 60x20")
    terminal.resize(120, 40)
    terminal.wait_for("Redis")
    assert terminal.quit() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_console_and_restores_the_terminal(opening: OPEN, number: signal.Signals, code: int) -> None:
    terminal = opening()
    terminal.wait_for("leading since")
    terminal.process.send_signal(number)
    assert terminal.ended() == code
    assert_restored(terminal)


def test_a_closed_terminal_ends_the_console(opening: OPEN) -> None:
    terminal = opening()
    terminal.wait_for("leading since")
    terminal.hang_up()
    assert terminal.process.wait(timeout=PATIENCE_SECONDS) in (129, -signal.SIGHUP)


def test_an_unsupported_terminal_is_refused_in_one_line(fork_server: ForkServer, tmp_path: Path) -> None:
    terminal = Terminal([], env=os.environ, cwd=tmp_path, term="dumb", fork_server=fork_server)
    assert terminal.ended() == 2
    assert "TERM" in terminal.text
    assert b"\x1b" not in terminal.drawn
    terminal.close()


def test_a_locale_without_utf_8_is_refused_unless_ascii_is_drawn(fork_server: ForkServer, tmp_path: Path) -> None:
    refused = Terminal([], env=os.environ, cwd=tmp_path, locale="C", fork_server=fork_server)
    assert refused.ended() == 2
    assert "the locale 'C' is not UTF-8; set LC_ALL=C.UTF-8, or use --ascii" in " ".join(refused.text.split())
    assert b"\x1b" not in refused.drawn
    refused.close()

    env = {**os.environ, "XDG_DATA_HOME": str(tmp_path)}
    drawn = Terminal(["--ascii", "--observe"], env=env, cwd=tmp_path, locale="C", fork_server=fork_server)
    drawn.wait_for("Health")
    assert drawn.drawn.isascii()
    assert drawn.quit() == 0
    drawn.close()


def test_a_store_of_a_newer_version_ends_the_console_with_one_sentence(opening: OPEN, tmp_path: Path) -> None:
    (tmp_path / "opsconsole").mkdir(mode=0o700)
    with closing(sqlite3.connect(tmp_path / "opsconsole" / "store.db")) as db:
        db.execute(f"CREATE TABLE {migrate.VERSION_TABLE} (version_num TEXT)")
        db.execute(f"INSERT INTO {migrate.VERSION_TABLE} VALUES ('9999')")  # noqa: S608 - a constant
        db.commit()

    terminal = opening(XDG_DATA_HOME=str(tmp_path), columns=120)

    assert terminal.ended() == Exit.CONFIGURATION
    assert b"Running" in terminal.drawn  # it was drawn before the store was opened
    assert_restored(terminal)
    after = terminal.drawn.rpartition(ALTERNATE_SCREEN_LEFT)[2].decode()
    assert f"opsconsole: the store is at version 9999, newer than this program's {migrate.NEWEST}; install" in after
    assert "Traceback" not in after
