"""Secrets in files: CRON_SECRET_FILE, DATABASE_URL_FILE and others."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.core import configuration
from opsconsole.core.errors import BadSettings
from opsconsole.core.redaction import redacted
from opsconsole.core.settings import Settings, masked, secret

SECRET = "correct-horse-battery-staple"


def load(tmp_path: Path, **environ: str) -> Settings:
    return configuration.load(folder=tmp_path, environ=environ, search=False)


def test_a_secret_is_read_from_its_file_and_kept_out_of_texts(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "database").write_text("postgresql://ops:a-long-password@db/ops\n")

    files = {"CRON_SECRET_FILE": str(tmp_path / "secret"), "DATABASE_URL_FILE": str(tmp_path / "database")}
    settings = load(tmp_path, **files)

    assert settings.http_secret is not None
    assert settings.http_secret.reveal() == SECRET
    assert masked(settings.store_url) == "postgresql+psycopg://ops:***@db/ops"
    assert redacted(f"{SECRET} a-long-password") == "*** ***"


def test_a_library_gets_a_key_that_is_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("sk-ant-from-a-file\n")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY_FILE", str(tmp_path / "key"))

    assert secret("ANTHROPIC_API_KEY") == "sk-ant-from-a-file"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        (b" \n", "cannot be read: it is empty"),
        (b"\xff\xfe", "cannot be read: it is not UTF-8"),
        (b"x" * 70_000, "cannot be read: it has more than 65,536 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem_of_the_configuration(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(BadSettings) as raised:
        load(tmp_path, CRON_SECRET_FILE=str(file))

    assert any(f"CRON_SECRET_FILE: {file} {problem}" in each for each in raised.value.problems)


def test_a_secret_and_its_file_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)

    with pytest.raises(BadSettings, match="CRON_SECRET and CRON_SECRET_FILE are both set") as raised:
        load(tmp_path, CRON_SECRET="another-one", CRON_SECRET_FILE=str(tmp_path / "secret"))

    assert SECRET not in str(raised.value)
