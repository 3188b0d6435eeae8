"""What the tests of one process share, because they would spend a third of their time on making it again and again."""

from __future__ import annotations

import importlib.metadata
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Dialect, Engine, create_engine, event

import opsconsole.core.database

_dialects: list[Dialect] = []
_compiled: dict[Any, Any] = {}
_entry_points = importlib.metadata.entry_points


def share() -> None:
    """From now on SQLite databases share compiled statements, and what is installed is read once."""
    vars(opsconsole.core.database).update(create_engine=_sharing_engine)
    vars(importlib.metadata).update(entry_points=_entry_points_read_once)


def _sharing_engine(url: URL, **how: Any) -> Engine:
    engine = create_engine(url, **how)
    if engine.dialect.name == "sqlite":  # on PostgreSQL a dialect has listeners of its database
        engine.update_execution_options(compiled_cache=_compiled)
        event.listen(engine, "connect", partial(_share_dialect, engine))
    return engine


def _share_dialect(engine: Engine, *_: object) -> None:
    # A compiled statement belongs to its dialect, which is complete once it has connected.
    if not _dialects:
        _dialects.append(engine.dialect)
    engine.dialect = _dialects[0]


def _entry_points_read_once(**chosen: Any) -> Any:
    return _entry_points_of(_places(), **chosen)


def _places() -> tuple[tuple[str, int], ...]:
    """Where modules are installed, with the time of the newest change."""
    return tuple((place, Path(place).stat().st_mtime_ns) for place in sys.path if Path(place).is_dir())


@cache
def _entry_points_of(_places: tuple[tuple[str, int], ...], **chosen: Any) -> Any:
    return _entry_points(**chosen)
