"""Attempts at questions: cached each night, with suggestions, performance and mastery derived from them."""

from __future__ import annotations

from jobs.attempts.cache_day import cache_day
from jobs.attempts.cached_day import DAY_ATTEMPTS
from jobs.attempts.options import Options
from jobs.attempts.panels import suggestions_panel
from jobs.attempts.routes import attempt_day_route
from jobs.attempts.sample import add_attempts, import_question
from jobs.attempts.suggest import suggest
from jobs.attempts.update_mastery import update_mastery
from jobs.attempts.update_performance import update_performance
from jobs.common import metadata
from opsconsole import Pack

pack = Pack(
    "attempts",
    jobs=(cache_day, suggest, update_performance, update_mastery),
    families=(DAY_ATTEMPTS,),
    metadata=metadata,
    settings=Options,
    routes=(attempt_day_route,),
    panels=(suggestions_panel,),
    sample=add_attempts,
    sample_import=import_question,
)
