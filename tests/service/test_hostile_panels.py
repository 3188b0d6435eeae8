"""Panels of packs: whatever one does, the others are shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.service import panels
from opsconsole.service.snapshot import PanelView
from tests.conftest import Installing
from tests.packs import hostile_views


@pytest.fixture
def shown(
    installing: Installing, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, PanelView]]:
    monkeypatch.setattr(panels, "READ_SECONDS", 1.0)
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'data.db'}", redis_url=redis_url, packs="tests.packs.hostile_views"
    )
    hostile_views.HANGING.clear()
    yield {panel.title: panel for panel in place.service.queries.panels()}
    hostile_views.HANGING.set()


def test_each_panel_fails_alone(shown: dict[str, PanelView]) -> None:
    failed = {title: panel.content.message for title, panel in shown.items() if panel.failed}

    assert failed.pop("hangs").startswith("the panel has not been read after")
    assert failed == {
        "exits": "the pack raised SystemExit: 3",
        "interrupts": "the pack raised KeyboardInterrupt: ",
        "raises": "the pack raised ValueError: no ink",
        "returns nothing": "the pack raised AttributeError: 'NoneType' object has no attribute 'rows'",
        "unprintable": "the pack raised SystemExit: 3",
    }
    assert shown["good"].content.message == "all is well"


def test_what_is_shown_is_text_and_bounded(shown: dict[str, PanelView]) -> None:
    numbers, endless, long = (shown[title].content for title in ("numbers", "endless", "long"))

    assert numbers.facts == (("1", "None"),)
    assert numbers.rows[0] == ("1.5", "nan")
    assert len(endless.rows) == panels.MAX_ROWS
    assert endless.message == "many; only the first 2,000 rows are shown"
    assert len(long.facts[0][1]) == panels.MAX_TEXT_LENGTH
    assert long.message == "\\x1b[2J\\ud800"


def test_a_panel_that_hung_is_shown_when_it_has_been_read(
    installing: Installing, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panels, "READ_SECONDS", 0.5)
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'data.db'}", redis_url=redis_url, packs="tests.packs.hostile_views"
    )
    hostile_views.HANGING.clear()

    def hangs() -> PanelView:
        return next(panel for panel in place.service.queries.panels() if panel.title == "hangs")

    assert hangs().failed
    monkeypatch.setattr(panels, "READ_SECONDS", 60.0)
    hostile_views.HANGING.set()

    assert hangs().content.message == "at last"
