"""Practice sessions, put together from what the cache knows of each user."""

from __future__ import annotations

from jobs.common import metadata
from jobs.practice.families import FAMILIES
from jobs.practice.panels import practice_cache
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
    panels=(practice_cache,),
    sample=add_practice,
)
