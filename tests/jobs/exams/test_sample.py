"""Sample exams: the same for any division into periods, with every kind of exam."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from jobs.common import metadata
from jobs.exams.sample import add_exams
from jobs.exams.tables import pre_generated_exams
from opsconsole.core.database import Database
from tests.jobs.exams.fixtures import COUNTS, DOMAINS, NOON

DAY = timedelta(days=1)


def sample_rows(path: Path, *cuts: int) -> list[dict[str, object]]:
    """The rows after writing periods that end these numbers of days after the start."""
    data = Database(f"sqlite:///{path}")
    metadata.create_all(data.engine)
    since = NOON - 5 * DAY
    for cut in cuts:
        add_exams(data, 60, since, NOON - 5 * DAY + cut * DAY)
        since = NOON - 5 * DAY + cut * DAY
    with data.reading() as db:
        found = [dict(row) for row in db.execute(select(pre_generated_exams).order_by("id")).mappings()]
    data.close()
    return found


def test_consecutive_periods_add_up_and_include_every_kind_of_exam(tmp_path: Path) -> None:
    whole = sample_rows(tmp_path / "whole.db", 5)
    parts = sample_rows(tmp_path / "parts.db", 1, 3, 5)
    again = sample_rows(tmp_path / "parts.db", 5)

    stamps = ("used", "used_at")  # use after the end of a period is not known in that period
    assert [{k: v for k, v in row.items() if k not in stamps} for row in whole] == [
        {k: v for k, v in row.items() if k not in stamps} for row in parts
    ]
    assert again == parts
    assert {row["exam_type"] for row in whole} == set(COUNTS)
    assert {row["used"] for row in whole} == {True, False}
    assert {row["model"] for row in whole} == {"sample"}
    assert 0 < len({row["user_id"] for row in whole}) < 60
    for row in whole:
        questions = row["questions"]
        assert isinstance(questions, list)
        counts = tuple(sum(q["domain"] == domain for q in questions) for domain in DOMAINS)
        assert counts == COUNTS[str(row["exam_type"])]
        assert all("ample" in q["stem"] for q in questions)
