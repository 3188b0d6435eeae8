"""The options before a command's name, and the configuration they lead to."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from opsconsole.core.configuration import load
from opsconsole.core.settings import Role, Settings
from opsconsole.core.trust import require_trusted


@dataclass(frozen=True)
class Options:
    """The options before a command's name."""

    config: Path | None = None
    debug: bool = False
    ascii_only: bool = False
    observe: bool = False
    read_only: bool = False
    trust: bool = False


def load_settings(options: Options) -> Settings:
    """The configuration; from then on, packs beside its file can be imported, unless another module has their name.

    Raises BadSettings.
    """
    settings = load(options.config)
    if options.read_only:
        settings = replace(settings, actor=replace(settings.actor, role=Role.VIEWER))
    if settings.source is not None:
        if not options.trust:
            require_trusted(settings.source, settings.packs)
        folder = str(settings.source.resolve().parent)
        if folder not in sys.path:
            sys.path.append(folder)
    return settings
