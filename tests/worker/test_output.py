"""The file with what workers print."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from opsconsole.worker import output
from opsconsole.worker.output import limit_output


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MAX_OUTPUT_BYTES", 100)
    monkeypatch.setattr(output, "KEPT_BYTES", 10)
    monkeypatch.setattr(output, "CHUNK_BYTES", 4)


def test_a_file_that_is_too_large_is_emptied_and_its_end_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, older = tmp_path / "workers.log", tmp_path / "workers.log.1"
    older.write_text("of last week")
    with file.open("ab", buffering=0) as worker:
        worker.write(b"x" * 100 + b"the end...")
        limit_output(file)
        worker.write(b"goes on")

    assert (file.read_text(), older.read_text()) == ("goes on", "the end...")
    assert "its end is in" in caplog.text


def test_a_file_of_ordinary_size_and_none_at_all_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "workers.log"
    limit_output(file)
    file.write_bytes(b"x" * 100)
    limit_output(file)

    assert [each.name for each in tmp_path.iterdir()] == ["workers.log"]
    assert file.stat().st_size == 100


def test_a_planted_link_is_replaced_and_not_written_to(tmp_path: Path) -> None:
    file, older, other = tmp_path / "workers.log", tmp_path / "workers.log.1", tmp_path / "other"
    other.write_text("somebody's")
    older.symlink_to(other)
    file.write_bytes(b"x" * 101)

    limit_output(file)

    assert (other.read_text(), older.is_symlink(), file.stat().st_size) == ("somebody's", False, 0)


def test_the_file_is_emptied_although_its_end_cannot_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "workers.log"
    file.write_bytes(b"x" * 101)
    (tmp_path / "workers.log.1").mkdir()

    with caplog.at_level(logging.WARNING):
        limit_output(file)

    assert file.stat().st_size == 0
    assert "not kept" in caplog.text
