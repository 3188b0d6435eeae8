"""The file with what workers print: a job that prints without an end must not fill the disk."""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

MAX_OUTPUT_BYTES = 64 << 20
KEPT_BYTES = 16 << 20
"""What is kept of a file that is too large, in a second one: the engine's thread copies it."""
CHUNK_BYTES = 1 << 20


def limit_output(file: Path) -> None:
    """Empties a file that is too large. `FILE.1` keeps only its end."""
    try:
        if file.stat().st_size <= MAX_OUTPUT_BYTES:
            return
        older = file.with_name(f"{file.name}.1")
        _copy_end(file, older)
        # Not renamed: workers that run have it open, and would print into the older one without a limit.
        os.truncate(file, 0)
    except OSError:  # there is none, as it cannot be written
        return
    log.warning(
        "%s was emptied, its end is in %s: jobs had printed more than %s MB", file, older, MAX_OUTPUT_BYTES >> 20
    )


def _copy_end(source: Path, target: Path) -> None:
    """Copies the last `KEPT_BYTES` of a file. Without room for them, less or nothing is kept."""
    try:
        target.unlink(missing_ok=True)  # a link that somebody put there is not followed
        with source.open("rb") as reading, target.open("xb") as writing:
            reading.seek(-min(KEPT_BYTES, reading.seek(0, os.SEEK_END)), os.SEEK_END)
            while chunk := reading.read(min(CHUNK_BYTES, KEPT_BYTES - writing.tell())):
                writing.write(chunk)
    except OSError as error:
        log.warning("the older output of workers is not kept: %s: %s", target, error.strerror)
