"""Values of variables that are in files, as container platforms and systemd pass secrets: `CRON_SECRET_FILE`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

VARIABLES = ("ANTHROPIC_API_KEY", "CRON_SECRET", "DATABASE_URL", "REDIS_URL", "SENTRY_DSN")
MAX_BYTES = 65_536
"""Larger files are refused: they cannot be secrets."""


def with_files(environ: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    """The environment with the content of the files that `NAME_FILE` variables name, without white space around it, as
    `NAME`. Adds a sentence to `problems` for each file that cannot be used.
    """
    found = dict(environ)
    for name in VARIABLES:
        file = environ.get(f"{name}_FILE", "").strip()
        if not file:
            continue
        if environ.get(name, "").strip():
            problems.append(f"{name} and {name}_FILE are both set; remove one of them")
            continue
        try:
            found[name] = read(Path(file))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(f"{name}_FILE: {file} cannot be read: {reason}")
    return found


def read(file: Path) -> str:
    """The text in a file, without white space around it. Raises OSError, and ValueError if it is no text."""
    with file.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if not text:
        raise ValueError("it is empty")
    return text
