"""What a job may know before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opsconsole.calendar.windows import Window


@dataclass(frozen=True, slots=True)
class Scope:
    """What a job may know before it starts: no clock, no connection.

    `facts` are what its `prepare` found out, empty while its population is read; `options` the settings of its pack.
    """

    window: Window
    as_of: datetime
    facts: Mapping[str, Any]
    options: Mapping[str, Any]
