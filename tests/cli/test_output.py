"""Tables of the command line, and readers of its output."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from opsconsole.cli import BROKEN_PIPE
from opsconsole.cli.output import fitting, print_table


def test_the_widest_columns_are_cut_until_a_row_fits() -> None:
    assert fitting([4, 30, 20], 80) == [4, 30, 20]
    assert fitting([30, 30, 20], 66) == [30, 16, 16]
    assert fitting([30, 30, 20], 40) == [20, 8, 8]
    assert fitting([30, 30, 20], 10) == [8, 8, 8]
    assert fitting([], 10) == []


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (80, ["JOB             ZONE           RUNS", "counting.count  Europe/Berlin     7"]),
        (30, ["JOB             ZONE      RUNS", "counting.count  Europe/…     7"]),
        (20, ["JOB   counting.count", "ZONE  Europe/Berlin", "RUNS  7", ""]),
    ],
)
def test_a_table_fits_the_terminal(
    columns: int, lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))

    print_table(("JOB", "ZONE", "RUNS"), [("counting.count", "Europe/Berlin", 7)], right=(2,))

    assert capsys.readouterr().out.splitlines() == lines


def test_a_command_whose_reader_has_gone_ends_quietly() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    ended = subprocess.run([sys.executable, "-m", "opsconsole", "--help"], stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)

    assert (ended.returncode, ended.stderr) == (BROKEN_PIPE, b"")
