"""A pack: one domain's jobs, with the tables, cache families, routes, panels and checks that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from opsconsole.authoring.extensions import Check, Panel, Route
from opsconsole.authoring.job import Job

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

    from opsconsole.cache.families import Family
    from opsconsole.core.database import Database


@dataclass(frozen=True, slots=True)
class Pack:
    """One domain's jobs, with the tables and cache families they use, and its routes, panels and checks.

    `settings` is the type of its section in the configuration. Jobs find the fields, with their defaults, in `options`.
    `sample(data, users, since, until)` writes sample data: that number of users, and events in [since, until). It must
    be idempotent, and adjacent ranges must add up to the data of the whole. The demo has `sample_days` of it.
    `sample_import(db)` then writes what other programs import late: the demo does so while it is open, in one long
    transaction.
    `notes(options)` returns a sentence for each setting that is missing and keeps jobs from working; `opsconsole check`
    shows them.
    """

    name: str
    jobs: tuple[Job, ...]
    families: tuple[Family, ...] = ()
    metadata: MetaData | None = None
    settings: type[msgspec.Struct] | None = None
    routes: tuple[Route, ...] = ()
    panels: tuple[Panel, ...] = ()
    checks: tuple[Check, ...] = ()
    sample: Callable[[Database, int, datetime, datetime], None] | None = None
    sample_days: int = 5
    sample_import: Callable[[Connection], None] | None = None
    notes: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None
