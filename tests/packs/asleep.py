"""A module for tests that hangs while it is imported: only worker processes load it."""

from __future__ import annotations

import time

time.sleep(600)
