"""A pack: one domain's jobs, with the tables, cache families, routes and panels that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from opsconsole.authoring.extensions import Panel, Route
from opsconsole.authoring.job import Job

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from opsconsole.cache.families import Family
    from opsconsole.core.database import Database


@dataclass(frozen=True, slots=True)
class Pack:
    """One domain's jobs with the tables and cache families they work on, and what it shows and answers.

    `settings` is the shape of its section of the configuration; its fields, with their defaults, are what the jobs find
    as `options`.
    `sample(data, users, since, until)` writes made-up data: so many users, and what happened in [since, until).
    Stretches written one after another add up to the whole, and one that is there already adds nothing. The demo has
    `sample_days` of it. `notes(options)` says what is not set and keeps some of its jobs from working, a sentence each;
    `opsconsole check` tells it.
    """

    name: str
    jobs: tuple[Job, ...]
    families: tuple[Family, ...] = ()
    metadata: MetaData | None = None
    settings: type[msgspec.Struct] | None = None
    routes: tuple[Route, ...] = ()
    panels: tuple[Panel, ...] = ()
    sample: Callable[[Database, int, datetime, datetime], None] | None = None
    sample_days: int = 5
    notes: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None
