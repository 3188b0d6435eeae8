"""`python -m opsconsole`."""

from __future__ import annotations

from opsconsole.cli import main

if __name__ == "__main__":
    main()
