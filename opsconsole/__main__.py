"""`opsconsole`, and `python -m opsconsole`."""

from __future__ import annotations

import sys
from pathlib import Path

# Python puts the working folder first, but for -P: a redis.py there must not replace the library.
if (
    __name__ == "__main__"
    and not sys.flags.safe_path
    and Path(sys.path[0] or ".").resolve() != Path(__file__).resolve().parents[1]
):
    del sys.path[0]

from opsconsole.core.garbage import spare_start_and_end
from opsconsole.core.signals import install_handlers


def main() -> None:
    """Runs the command line, with signals handled before it is imported."""
    try:
        spare_start_and_end()
        install_handlers()
        from opsconsole.cli import main as command_line  # takes a tenth of a second

        command_line()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
