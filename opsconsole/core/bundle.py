"""Finds the packs and screens that come with opsconsole: beside it in a checkout, inside it in an installation.

An installed distribution must not put packages with names as common as `jobs` beside everybody's own.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = _PACKAGE / "bundled"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
"""The folder that has `jobs`, `screens` and `styles.tcss`."""


def add_to_path() -> None:
    """Makes the bundled packages importable, after all others."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))


def hidden_by(package: str) -> str | None:
    """The file of another package that hides this bundled one; None when none does."""
    found = PathFinder.find_spec(package)
    if found is None or not (FOLDER / package).is_dir():
        return None
    places = [found.origin] if found.origin else list(found.submodule_search_locations or ())
    ours = FOLDER.resolve() / package
    return next((place for place in places if place and not Path(place).resolve().is_relative_to(ours)), None)
