"""`[retention]`: how long what is recorded is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.core import configuration
from opsconsole.core.errors import BadSettings


def test_what_is_kept_is_part_of_the_configuration(tmp_path: Path) -> None:
    environ = {"OPSCONSOLE_RETENTION__KEYS": "7", "OPSCONSOLE_RETENTION__AUDIT": "400"}

    found = configuration.load(folder=tmp_path, environ=environ, search=False)

    assert (found.retention.keys, found.retention.successes, found.retention.audit) == (7, 90, 400)
    assert found.effective()["retention"] == (
        "successes 90 d, failures 365 d, logs 30 d, keys 7 d, occurrences 365 d, commands 365 d, notifications 90 d, "
        "health 30 d, audit 400 d"
    )


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("successes", "30", "retention.successes is 30; use 31 to 36,500 days, or 0 to keep for good"),
        ("keys", "-1", "retention.keys is -1; use 1 to 36,500 days, or 0 to keep for good"),
        ("logs", "36501", "retention.logs is 36501; use 1 to 36,500 days, or 0 to keep for good"),
        ("logs", "1.5", "retention.logs must be a whole number, not '1.5'"),
        ("everything", "1", "retention.everything is not a setting"),
    ],
)
def test_an_unusable_number_of_days_is_refused(tmp_path: Path, name: str, value: str, problem: str) -> None:
    with pytest.raises(BadSettings) as refused:
        configuration.load(folder=tmp_path, environ={f"OPSCONSOLE_RETENTION__{name.upper()}": value}, search=False)

    assert problem in refused.value.sentence
