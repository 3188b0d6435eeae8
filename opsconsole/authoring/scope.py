"""The scope of a run: its window, time and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opsconsole.calendar.windows import Window


@dataclass(frozen=True, slots=True)
class Scope:
    """What a job's population depends on: no clock, no connection.

    `facts` is the result of `prepare`, empty while the population is read; `options` are the settings of the pack
    and the parameters of the run.
    """

    window: Window
    as_of: datetime
    facts: Mapping[str, Any]
    options: Mapping[str, Any]
