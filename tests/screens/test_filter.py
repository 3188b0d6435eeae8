"""The filter that is typed on a page."""

from __future__ import annotations

import pytest
from textual import events

from screens.files import Installation
from screens.host import Host
from screens.pages.filtering import FilterPage
from screens.panels.view import View
from screens.widgets.filter import FilterField
from screens.widgets.lines import Line, width
from tests.screens.console import Console, run_console


class Names(FilterPage):
    """A page with a filter, and the texts that it was filtered by."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.filtered_by: list[str] = []

    def presence_name(self) -> str:
        return "names"

    def content(self, view: View, cells: int, rows: int) -> list[Line]:
        return [self.filter.line(cells)]

    def filter_changed(self) -> None:
        if "broken" in self.filter.value:
            raise RuntimeError
        self.filtered_by.append(self.filter.value)


async def opened(console: Console) -> Names:
    page = Names(console.app)
    console.app.open_page(page)
    await console.until(lambda: page.is_current)
    return page


def shown(field: FilterField, cells: int = 40) -> str:
    line = field.line(cells)
    assert width(line) <= cells
    return "".join(piece.text for piece in line)


def test_a_filter_shows_its_key_then_its_text_and_a_cursor() -> None:
    field = FilterField()
    assert shown(field) == "/ filter"
    field.is_open = True
    field.insert("cache_day")
    assert shown(field) == "/ cache_day_"
    field.keep()
    assert shown(field) == "/ cache_day"
    field.paste("\x1b[31m " + "long " * 60)
    assert shown(field, 20).startswith("/ …")
    field.clear()
    assert shown(field, 2) == ""


@pytest.mark.parametrize("cells", range(30))
def test_a_filter_never_exceeds_its_room(cells: int) -> None:
    field = FilterField()
    for value in ("", "a", "漢字 " * 20):
        field.value = value
        for field.is_open in (False, True):
            shown(field, cells)


def test_a_filter_is_applied_once_typing_has_paused() -> None:
    async def scenario(console: Console) -> None:
        page = await opened(console)
        await console.press("slash", *"daily q")
        await console.until(lambda: page.filtered_by)
        assert page.filtered_by == ["daily q"]
        await console.press("enter")
        assert "/ daily q" in console.text
        await console.press("slash", "ctrl+w", "backspace", "enter")
        assert page.filtered_by == ["daily q", "daily"]

    run_console(scenario)


def test_escape_clears_a_filter_before_it_closes_the_page() -> None:
    async def scenario(console: Console) -> None:
        page = await opened(console)
        await console.press("slash", *"x", "escape")
        assert (page.filter.value, page.filter.is_open) == ("", False)
        await console.press("slash", *"cache", "enter", "escape")
        assert page.filtered_by == ["cache", ""]
        assert page.is_current
        await console.press("escape")
        assert not page.is_current

    run_console(scenario)


def test_a_filter_that_cannot_be_applied_is_a_notice() -> None:
    async def scenario(console: Console) -> None:
        page = await opened(console)
        await console.press("slash", *"broken", "enter")
        assert "filtering failed: RuntimeError" in console.notice
        page.set_filter("words")
        assert page.filtered_by == ["words"]

    run_console(scenario)


@pytest.mark.parametrize("typed", ["/cache q", "3/cache q"])
def test_letters_that_arrive_together_with_the_key_are_no_keys(typed: str) -> None:
    async def scenario(console: Console) -> None:
        for character in typed:
            console.app.post_message(events.Key("slash" if character == "/" else character, character))
        await console.until(lambda: isinstance(console.app.screen, FilterPage))
        assert isinstance(console.app.screen, FilterPage)
        assert console.app.screen.filter.value == "cache q"

    run_console(scenario)


def test_the_key_of_the_filter_can_be_another_one() -> None:
    async def scenario(console: Console) -> None:
        page = await opened(console)
        await console.press("f5", *"day")
        assert page.filter.value == "day"

    run_console(scenario, installation=Installation(keys={"filter": "f5"}))
