"""The files that the console writes: copies, exports, and what it remembers. Only its user can read them."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from opsconsole.core.errors import OpsconsoleError
from screens.command_lines import PROGRAM

log = logging.getLogger(__name__)

COPY = "copied.txt"
EXPORTS = "exports"
MEMORY = "console.json"
MAX_MEMORY_BYTES = 10_000


class NotWritten(OpsconsoleError):
    """A file could not be written."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written: {error.strerror or error}")


@dataclass(frozen=True)
class Installation:
    """What the console shows: the start of its command lines, and the folders for copies and exports (`data`) and for
    what it remembers (`state`); None where nothing is written. `note` stands above command lines.
    """

    data: Path | None = None
    state: Path | None = None
    program: tuple[str, ...] = PROGRAM
    note: str = ""
    keys: dict[str, str] = field(default_factory=dict)


def write_private(path: Path, content: str) -> Path:
    """Replaces a file by one that only this user can read, in a folder that is created when it is missing.

    Raises NotWritten.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            temporary.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(content)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise NotWritten(path, error) from error
    return path


def remembered_theme(state: Path | None) -> str | None:
    """The theme that was chosen last. A broken file is ignored, with a line in the log."""
    if state is None:
        return None
    path = state / MEMORY
    try:
        with path.open("rb") as file:
            theme = json.loads(file.read(MAX_MEMORY_BYTES))["theme"]
        if isinstance(theme, str):
            return theme
        log.warning("%s is ignored: its theme is not a name", path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("%s is ignored: %s", path, type(error).__name__)
    return None


def remember_theme(state: Path | None, theme: str) -> None:
    """Keeps the theme for the next start. Raises NotWritten."""
    if state is not None:
        write_private(state / MEMORY, json.dumps({"theme": theme}) + "\n")
