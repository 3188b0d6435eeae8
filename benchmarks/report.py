"""Prints figures and writes them as JSON: all to benchmarks/results, and published ones also to docs/figures, from
which the tables of docs/performance.md are made.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import HEADINGS, Figure, Verdict
from opsconsole.core import clock

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PUBLISHED = ROOT / "docs" / "figures"
PAGE = ROOT / "docs" / "performance.md"
BUSY = 2
"""The exit code when nothing is measured because the machine is busy."""
MAX_LOAD = 1.0
"""Figures taken at a higher load are not published."""

_BLOCK = re.compile(r"<!-- figures: (?P<name>[\w-]+) -->\n.*?<!-- end of figures -->", re.DOTALL)


def load_now() -> float:
    """The load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def refusal(*, publish: bool, force: bool) -> str | None:
    """Why figures cannot be published: the machine is busy. None if they can."""
    load = load_now()
    if not publish or force or load <= MAX_LOAD:
        return None
    return (
        f"the load is {load}, and figures taken above {MAX_LOAD:g} are not published: wait until the machine is idle, "
        "leave out --publish, or add --force"
    )


def finish(name: str, figures: Sequence[Figure], began: datetime, about: dict[str, Any], *, publish: bool) -> None:
    """Prints the figures of a part, writes them, and publishes them under this name if requested."""
    console = Console(highlight=False, width=140)
    found = report(figures, began, about)
    console.print(table(figures))
    console.print(footnote(found))
    file = write(RESULTS, f"{name}-{began:%Y%m%dT%H%M%SZ}", found)
    missed = sum(figure.verdict is Verdict.MISSED for figure in figures)
    seconds = (clock.now() - began).total_seconds()
    console.print(f"{name}: {missed} of {len(figures)} missed; {seconds:.0f} s; in {file}\n")
    if publish:
        write(PUBLISHED, name, found)
        renew_page()


def table(figures: Sequence[Figure]) -> Table:
    """The figures for a terminal, by place."""
    found = Table(show_edge=False)
    for heading in HEADINGS:
        found.add_column(heading, justify="right" if heading in ("goal", "measured", "spread") else "left")
    for place, rows in groupby(figures, lambda figure: figure.place):
        found.add_row(f"[bold]{place}[/bold]")
        for figure in rows:
            found.add_row(*figure.cells)
    return found


def write(folder: Path, name: str, report: dict[str, Any]) -> Path:
    """Writes a report as JSON; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return file


def report(figures: Iterable[Figure], began: datetime, about: dict[str, Any]) -> dict[str, Any]:
    """The report of one part: its figures, when and where they were measured, with the load before and after."""
    return {
        "at": began.isoformat(timespec="seconds"),
        "machine": about | {"load after": load_now()},
        "figures": [figure.as_json() for figure in figures],
    }


def markdown(published: dict[str, Any]) -> str:
    """A published report as a table of Markdown for each place, and a line about the machine."""
    lines: list[str] = []
    for place, rows in groupby(published["figures"], lambda row: row["place"]):
        lines += [f"**{place}**", "", _row(HEADINGS), _row("---" for _ in HEADINGS)]
        for row in rows:
            figure = Figure(**{name: value for name, value in row.items() if name != "verdict"})
            lines.append(_row(f"**{cell}**" if cell == Verdict.MISSED else cell for cell in figure.cells))
        lines.append("")
    return "\n".join([*lines, f"*{footnote(published)}*"])


def footnote(published: dict[str, Any]) -> str:
    """When and where a report was measured."""
    about = published["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    servers = ", ".join(f"{name} {number}" for name, number in about["servers"].items())
    return (
        f"{published['at'][:10]}, {about['processors']} processors, {about['system']}, load {about['load before']} "
        f"before and {about['load after']} after. Python {about['python']}, {servers}, {packages}."
    )


def renew_page(page: Path = PAGE, published: Path = PUBLISHED) -> None:
    """Writes the published figures into their places of the page."""
    page.write_text(renewed(page.read_text(encoding="utf-8"), published), encoding="utf-8")


def renewed(text: str, published: Path = PUBLISHED) -> str:
    """The page with the published figures: each block between two comments has the table of one report."""

    def block(found: re.Match[str]) -> str:
        file = published / f"{found['name']}.json"
        if not file.exists():
            return found[0]
        content = markdown(json.loads(file.read_text(encoding="utf-8")))
        return f"<!-- figures: {found['name']} -->\n{content}\n<!-- end of figures -->"

    return _BLOCK.sub(block, text)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
