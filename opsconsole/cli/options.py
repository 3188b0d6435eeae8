"""The options before a command's name, and the configuration they lead to."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from opsconsole.core import error_reports
from opsconsole.core.configuration import load
from opsconsole.core.errors import BadConfiguration, BadSettings
from opsconsole.core.settings import Role, Settings
from opsconsole.core.trust import require_trusted


@dataclass(frozen=True)
class Options:
    """The options before a command's name."""

    config: Path | None = None
    debug: bool = False
    ascii_only: bool = False
    mouse: bool = False
    observe: bool = False
    read_only: bool = False
    wall: bool = False
    trust: bool = False


def load_settings(options: Options) -> Settings:
    """The configuration; from then on, packs beside its file can be imported, unless another module has their name.

    Raises BadSettings.
    """
    try:
        settings = load(options.config)
    except BadConfiguration as error:
        raise BadSettings([*error.problems, *_problems_of_packs(error, options)]) from error
    error_reports.configure(settings.sentry_dsn, settings.console.environment, settings.host)
    if options.read_only or options.wall:
        settings = replace(settings, actor=replace(settings.actor, role=Role.VIEWER))
    if settings.source is not None:
        _import_from(settings.source, settings.packs, options)
    return settings


def _import_from(source: Path, packs: tuple[str, ...], options: Options) -> None:
    if not options.trust:
        require_trusted(source, packs)
    folder = str(source.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)


def _problems_of_packs(error: BadConfiguration, options: Options) -> list[str]:
    """The problems of the jobs, too, so that one round shows everything."""
    from opsconsole.authoring import catalog  # loads the packs

    try:
        if error.source is not None and error.source.exists():
            _import_from(error.source, error.packs, options)
        catalog.load(error.packs, error.overrides, error.options)
    except BadSettings as more:
        return more.problems
    return []
