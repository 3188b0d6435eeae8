"""`python -m tests.faults.hostile.listing`: the hostile pack as the table in docs/reliability.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from opsconsole.core.humanize import words
from tests.faults.hostile.cases import Case
from tests.faults.hostile.pack import CASES

HEADER = ("| job | what it does | how its run ends |", "|---|---|---|")


def lines() -> Iterator[str]:
    """The lines of the table."""
    yield from HEADER
    for case in CASES:
        name = case.job.name.partition(".")[2]
        yield f"| `{name}` | {_says(case)} | {_ends(case)} |"


def _says(case: Case) -> str:
    only = {"postgresql": " (PostgreSQL)", "sqlite": " (SQLite)"}.get(case.database or "", "")
    return case.description.removesuffix(".").replace("|", "\\|") + only


def _ends(case: Case) -> str:
    causes = " or ".join(f"`{cause}`" if " " not in cause else f"“{cause} ...”" for cause in case.causes)
    return f"{words(case.state)}: {causes}" if causes else words(case.state)


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
