"""The reports of benchmarks: verdicts, the tables of the docs, and what is not published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.figures import Figure, Verdict, of_rounds


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("p", "rate", 0.9, goal=0.9, at_least=True), Verdict.MET),
        (Figure("p", "rate", 0.89, goal=0.9, at_least=True), Verdict.MISSED),
        (Figure("p", "time", 51.0, goal=50), Verdict.MISSED),
        (Figure("p", "time", 50.04, goal=50), Verdict.MET),
        (Figure("p", "time", 1e9), Verdict.NO_GOAL),
    ],
)
def test_a_figure_is_judged_as_it_is_shown(figure: Figure, verdict: Verdict) -> None:
    assert figure.verdict == verdict


def test_a_figure_of_rounds_has_their_median_and_spread() -> None:
    figure = of_rounds("SQLite", "run", [30.0, 10.0, 20.0], "ms", 25)
    assert figure.cells == ("run", "≤ 25", "20.0 ms", "100%", "met", "")


def _published() -> dict[str, Any]:
    figures = [Figure("SQLite", "fast", 1.0, "s", 2), Figure("SQLite", "slow", 3.0, "s", 2, note="why")]
    machine = {"processors": 2, "system": "Linux", "load before": 0.1, "load after": 0.9, "python": "3.11"}
    machine |= {"servers": {"SQLite": "3.40"}, "packages": {"redis": "8"}}
    return {"at": "2026-11-28T10:00:00+00:00", "machine": machine, "figures": [each.as_json() for each in figures]}


def test_published_figures_become_the_tables_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text(json.dumps(_published()))
    block = "<!-- figures: {name} -->\nold\n<!-- end of figures -->\n"
    page = report.renewed("# Title\n" + block.format(name="engine") + block.format(name="other"), tmp_path)
    assert "| slow | ≤ 2 | 3.00 s |  | **missed** | why |" in page
    assert "load 0.1 before and 0.9 after" in page
    assert page.endswith(block.format(name="other")), "figures that are not published stay as they are"


def test_the_page_has_the_published_figures() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    assert report.renewed(page) == page, "call benchmarks.report.renew_page()"


def test_a_busy_machine_publishes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "load_now", lambda: 1.7)
    assert "the load is 1.7" in (report.refusal(publish=True, force=False) or "")
    assert report.refusal(publish=True, force=True) is None
    assert report.refusal(publish=False, force=False) is None
