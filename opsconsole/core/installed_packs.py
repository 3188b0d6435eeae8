"""The packs that are loaded: the default ones, and those of installed distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution

DEFAULT_PACKS = ("jobs.attempts", "jobs.exams", "jobs.game", "jobs.practice", "jobs.reporting")
ENTRY_POINTS = "opsconsole.packs"
"""The entry point group of packs in installed distributions."""


@dataclass(frozen=True)
class InstalledPack:
    """A pack of an installed distribution; its `path` is a module or `module:attribute`."""

    name: str
    path: str
    distribution: str


def installed_packs() -> list[InstalledPack]:
    """The packs of installed distributions, by name. Does not import them."""
    from importlib.metadata import entry_points  # takes 30 ms that `--help` can save

    found = entry_points(group=ENTRY_POINTS)
    # Brackets after the path name extras, which only matter to the installer.
    packs = (InstalledPack(e.name, e.value.partition("[")[0].strip(), _distribution(e.dist)) for e in found)
    return sorted(packs, key=lambda pack: (pack.name, pack.path))


def _distribution(dist: Distribution | None) -> str:
    return f"{dist.name} {dist.version}" if dist else "a distribution without a name"


def extra_packs(packs: tuple[str, ...]) -> dict[str, str]:
    """The names of installed packs that are not configured, by path."""
    names = {pack_name(path) for path in packs}
    return {pack.path: pack.name for pack in installed_packs() if pack.path not in packs and pack.name not in names}


def pack_name(path: str) -> str:
    return path.partition(":")[0].rpartition(".")[2]
