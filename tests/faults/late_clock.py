"""`opsconsole` with a clock set off by some seconds: `python -m tests.faults.late_clock SECONDS ARGUMENT...`."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

from opsconsole.core import clock

_real = clock.now
_offset = timedelta(seconds=float(sys.argv.pop(1)))


def _now() -> datetime:
    return _real() + _offset


clock.now = _now  # before anything else of the program is imported, and takes the clock along

from opsconsole.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
