"""`python -m opsconsole`."""

from __future__ import annotations

import sys
from pathlib import Path

# Python puts the working folder first: a redis.py there must not replace the library.
if Path(sys.path[0] or ".").resolve() != Path(__file__).resolve().parent.parent:
    del sys.path[0]

from opsconsole.cli import main

if __name__ == "__main__":
    main()
