"""Practice sessions, generated from cached data about each user."""

from __future__ import annotations

from jobs.common import metadata
from jobs.practice.families import FAMILIES
from jobs.practice.panels import practice_panel
from jobs.practice.routes import ROUTES
from jobs.practice.sample import add_practice
from jobs.practice.warm_cache import warm_cache
from opsconsole import Pack

pack = Pack(
    "practice",
    jobs=(warm_cache,),
    families=FAMILIES,
    metadata=metadata,
    routes=ROUTES,
    panels=(practice_panel,),
    sample=add_practice,
)
