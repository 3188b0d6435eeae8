"""Silences of alerts. Rows are kept after a silence has ended."""

from __future__ import annotations

from opsconsole.rules.alerts import Silence
from opsconsole.store.tables import silences
from opsconsole.store.target_times import TargetTimes

_rows = TargetTimes(silences, Silence)
add, end, in_force, set_back = _rows.add, _rows.end, _rows.since, _rows.set_back
