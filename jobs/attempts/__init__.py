"""Attempts at questions: cached each night for the next morning."""

from __future__ import annotations

from jobs.attempts.cache_day import DAY_ATTEMPTS, cache_day
from jobs.attempts.sample import add_attempts
from jobs.common import metadata
from opsconsole import Pack

pack = Pack("attempts", jobs=(cache_day,), families=(DAY_ATTEMPTS,), metadata=metadata, sample=add_attempts)
