"""Write-ups on the screen: shown, kept in a file, copied."""

from __future__ import annotations

from pathlib import Path

from opsconsole.core.errors import OpsconsoleError
from screens.files import Installation
from screens.pages.alerts import AlertsScreen
from screens.pages.document import FOLDER, DocumentScreen
from screens.panels import document
from tests.screens import fakes, past_alerts
from tests.screens.console import Console, run_console
from tests.screens.test_clearing import text
from tests.screens.test_hostile import ALL, has_only_visible_characters


def test_items_of_a_list_are_indented_where_they_are_wrapped() -> None:
    lines = document.lines("# Handover\n\n- one two three four five six\n  - seven", 22)

    assert text(lines).splitlines() == [" # Handover", "", " - one two three four", "   five six", "   - seven"]
    assert has_only_visible_characters(document.lines(f"# {ALL}\n- {ALL}", 80), 80)


def test_an_alert_is_written_up_shown_and_kept(tmp_path: Path) -> None:
    async def scenario(console: Console) -> None:
        console.app.installation = Installation(data=tmp_path)
        await console.press("6", "i")
        assert "This alert: alert 7 (the data database: unreachable)." in console.text
        await console.press("enter")
        await console.until(lambda: "# Incident of 1 alerts" in console.text)
        assert isinstance(console.app.screen, DocumentScreen)
        assert "[@click=app.quit]x" in console.text
        await console.until(lambda: "write-ups" in console.notice)
        (file,) = (tmp_path / FOLDER).iterdir()
        assert file.name == "report-of-alert-7-20260119T182007Z.md"
        assert file.stat().st_mode & 0o777 == 0o600
        await console.press("y")
        await console.until(lambda: "copied the report of alert 7" in console.notice)
        assert (tmp_path / "copied.txt").read_text() == file.read_text() + "\n"
        await console.press("equals_sign")
        assert "opsconsole alerts report 7" in console.text
        await console.press("escape", "escape")
        assert isinstance(console.app.screen, AlertsScreen)

    run_console(scenario, past_alerts.SOME)


def test_all_open_alerts_and_the_handover_are_choices() -> None:
    async def scenario(console: Console) -> None:
        await console.press("6", "i", "right", "enter")
        await console.until(lambda: "# Incident of all alerts" in console.text)
        await console.press("escape", "i", "right", "right", "enter")
        await console.until(lambda: "# Handover" in console.text)
        assert "Firing (2)" in console.text
        await console.press("pagedown")
        assert "# Handover" not in console.text
        await console.press("up", *["pageup"] * 5)
        assert "# Handover" in console.text
        await console.press("escape", "i", "escape")
        assert isinstance(console.app.screen, AlertsScreen)

    run_console(scenario, past_alerts.SOME)


def test_without_an_alert_there_is_no_choice_of_one() -> None:
    async def scenario(console: Console) -> None:
        await console.press("6", "i")
        assert "This alert" not in console.text
        await console.press("enter")
        await console.until(lambda: "# Incident of all alerts" in console.text)

    run_console(scenario, past_alerts.NONE)


def test_a_write_up_that_fails_says_why() -> None:
    service = fakes.FakeService()
    service.error = OpsconsoleError("the store is unreachable: locked")

    async def scenario(console: Console) -> None:
        await console.press("6", "i", "enter")
        await console.until(lambda: "the store is unreachable: locked" in console.notice)
        await console.press("y")
        assert "nothing to copy here" in console.notice

    run_console(scenario, past_alerts.SOME, service)
