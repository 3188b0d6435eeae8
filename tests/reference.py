"""Writes the tables of docs/reference.md that are made from the code: `python -m tests.reference`.

A table stands between `<!-- generated: NAME -->` and `<!-- end -->`. `TABLES` has a function for each name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from opsconsole.http import api, metrics

REFERENCE = Path(__file__).parents[1] / "docs/reference.md"
MARKED = re.compile(r"(<!-- generated: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

TABLES: Mapping[str, Callable[[], str]] = {
    "routes": api.reference,
    "metrics": metrics.reference,
}
"""The Markdown of each table, without a newline at its end."""


def generated(text: str) -> str:
    """A document with its tables made from the code. Raises KeyError for a name that has no function."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}", text)


def names(text: str) -> list[str]:
    """The names of the tables in a document."""
    return [match[2] for match in MARKED.finditer(text)]


if __name__ == "__main__":
    REFERENCE.write_text(generated(REFERENCE.read_text(encoding="utf-8")), encoding="utf-8")
