"""What the same keys do on every page: copy, export, command lines, zones, themes."""

from __future__ import annotations

import csv
import io
import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from screens import exports, files
from screens.app import ConsoleApp
from screens.dialogs.commands import CommandsDialog
from screens.dialogs.export import ExportDialog
from screens.dialogs.pause import PauseDialog
from screens.exports import Copied, Format, Table
from screens.files import Installation, NotWritten
from tests.screens import fakes, samples
from tests.screens.console import Console, run_console


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(data=tmp_path / "data", state=tmp_path / "state")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- copy ---------------------------------------------------------------------------------------------------------


def test_y_copies_the_run_of_the_row_to_the_terminal_and_to_a_file(installation: Installation, tmp_path: Path) -> None:
    async def scenario(console: Console) -> None:
        await console.select(None)
        await console.press("y")
        assert console.notice == "nothing to copy here; choose a row with the arrows or tab first"
        await console.press("home", "y")
        await console.until(lambda: "copied.txt" in console.notice)
        assert console.notice == f"copied the number of run 4812 to the clipboard and {tmp_path}/data/copied.txt"
        assert console.app.clipboard == "4812"

    run_console(scenario, installation=installation)

    copied = tmp_path / "data" / files.COPY
    assert copied.read_text() == "4812\n"
    assert (mode(copied), mode(copied.parent)) == (0o600, 0o700)


def test_a_copy_that_cannot_be_written_is_on_the_clipboard_only(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, no folder")

    async def scenario(console: Console) -> None:
        await console.press("home", "y")
        await console.until(lambda: "clipboard only" in console.notice)
        assert f"{tmp_path}/data/copied.txt cannot be written: " in console.notice
        assert console.app.clipboard == "4812"

    run_console(scenario, installation=installation)


def test_what_is_copied_is_one_line_that_starts_no_command() -> None:
    evil = Copied("a\nrm -rf ~\n\x1b[31m", "a name")
    assert exports.copied_text(evil) == "a\\x0arm -rf ~\\x0a\\x1b[31m"
    assert exports.copied_text(evil._replace(is_text=True)) == "a\nrm -rf ~\n\\x1b[31m"
    for is_text in (True, False):
        assert len(exports.copied_text(Copied("x" * 100_000, "a name", is_text))) == exports.MAX_COPIED


# --- command lines ------------------------------------------------------------------------------------------------


def test_equals_lists_the_commands_for_the_row_and_copies_one(installation: Installation) -> None:
    async def scenario(console: Console) -> None:
        await console.press("home", "equals_sign")
        assert isinstance(console.app.screen, CommandsDialog)
        assert "x      cancel       opsconsole cancel 4812" in console.text
        assert "retry 4812" not in console.text, "it has not ended"
        await console.press("down", "y")
        await console.until(lambda: "copied.txt" in console.notice)
        assert console.app.clipboard == "opsconsole cancel 4812"
        await console.press("equals_sign", "escape")
        assert not isinstance(console.app.screen, CommandsDialog)

    run_console(scenario, installation=installation)


def test_equals_in_a_dialog_shows_what_it_would_do_and_returns_to_it(installation: Installation) -> None:
    async def scenario(console: Console) -> None:
        await console.press("home", "p", "right", *"it is moved", "ctrl+e")
        assert isinstance(console.app.screen, CommandsDialog)
        assert "opsconsole pause attempts.cache_day --for 1d" in console.text
        assert "--note 'it is moved'" in console.text
        await console.press("escape")
        assert isinstance(console.app.screen, PauseDialog)
        assert console.service.calls_of("pause") == []

    run_console(scenario, installation=installation)


def test_command_lines_name_the_configuration_of_the_console() -> None:
    installation = Installation(program=("opsconsole", "--config", "/etc/ops.toml"), note="This is the demo.")

    async def scenario(console: Console) -> None:
        await console.press("home", "equals_sign")
        assert "opsconsole --config /etc/ops.toml" in console.text
        assert "This is the demo." in console.text

    run_console(scenario, installation=installation)


def test_the_help_has_the_command_lines_of_pages_and_nothing_to_copy() -> None:
    async def scenario(console: Console) -> None:
        await console.press("question_mark", "equals_sign")
        assert "8      audit        opsconsole audit" in console.text
        await console.press("escape", "y")
        assert "nothing to copy here" in console.notice

    run_console(scenario)


# --- export -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "form"), [("s", "svg"), ("c", "csv"), ("j", "json")])
def test_e_writes_the_page_to_a_private_file(key: str, form: str, installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "data" / files.EXPORTS / f"dashboard-20260119T182007Z.{form}"

    async def scenario(console: Console) -> None:
        await console.press("e")
        assert isinstance(console.app.screen, ExportDialog)
        await console.press(key)
        await console.until(lambda: str(path) in console.notice)

    run_console(scenario, installation=installation)

    written = path.read_text()
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    if form == "svg":
        assert written.startswith("<svg")
        assert "attempts.cache_day" in written
        assert "CSV" not in written  # the page, not the dialog above it
    elif form == "csv":
        assert [row["job"] for row in csv.DictReader(io.StringIO(written))] == [card.name for card in samples.JOBS]
    else:
        assert [row["job"] for row in json.loads(written)] == [card.name for card in samples.JOBS]


def test_a_page_without_a_table_can_only_be_exported_as_a_picture(installation: Installation) -> None:
    async def scenario(console: Console) -> None:
        await console.press("question_mark", "e", "c")
        await console.until(lambda: "this page has no table" in console.notice)
        await console.press("e", "escape")
        assert not isinstance(console.app.screen, ExportDialog)

    run_console(scenario, installation=installation)


def test_an_export_that_cannot_be_written_reports_why(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, no folder")

    async def scenario(console: Console) -> None:
        await console.press("e", "c")
        await console.until(lambda: "cannot be written: " in console.notice)

    run_console(scenario, installation=installation)


def test_a_console_without_a_folder_exports_nothing() -> None:
    async def scenario(console: Console) -> None:
        await console.press("e")
        assert console.notice == "there is no folder to export to"

    run_console(scenario)


def test_tables_are_safe_for_spreadsheets_and_terminals() -> None:
    table = Table(("item", "failed", "rate"), [("=1+1", 3, 0.5), ("@x\x1b[31m", -3, None), ('a,"b"', True, 1.0)])

    assert exports.csv_text(table).splitlines() == [
        "item,failed,rate",
        "'=1+1,3,0.5",
        "'@x\\x1b[31m,-3,",
        '"a,""b""",True,1.0',
    ]
    assert json.loads(exports.json_text(table))[1] == {"item": "@x\\x1b[31m", "failed": -3, "rate": None}


def test_names_of_exports_have_the_page_and_the_time() -> None:
    at = datetime(2026, 1, 19, 18, 20, 7, tzinfo=UTC)
    assert exports.file_name("run 4811", at, Format.CSV) == "run-4811-20260119T182007Z.csv"
    assert exports.file_name("../../etc/passwd", at, Format.SVG) == "etc-passwd-20260119T182007Z.svg"
    assert exports.file_name("日本", at, Format.JSON) == "page-20260119T182007Z.json"


# --- files --------------------------------------------------------------------------------------------------------


def test_a_file_replaces_the_one_before_and_follows_no_link(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("not mine")
    path = tmp_path / "copied.txt"
    path.symlink_to(other)

    files.write_private(path, "first")
    files.write_private(path, "second \ud800")

    assert other.read_text() == "not mine"
    assert (path.read_text(), path.is_symlink(), mode(path)) == ("second \\ud800", False, 0o600)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copied.txt", "other"]


def test_a_file_below_a_file_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(NotWritten, match=r"/data/copied\.txt cannot be written: "):
        files.write_private(tmp_path / "data" / "copied.txt", "x")


# --- themes -------------------------------------------------------------------------------------------------------


def test_a_theme_is_chosen_in_the_palette_and_remembered(installation: Installation, tmp_path: Path) -> None:
    memory = tmp_path / "state" / files.MEMORY

    async def choose(console: Console) -> None:
        await console.press("ctrl+p", *"theme: nord", "enter")
        await console.until(lambda: console.notice == "theme: nord")
        assert console.app.theme == "nord"

    async def see(console: Console) -> None:
        assert console.app.theme == "nord"

    run_console(choose, installation=installation)
    assert mode(memory) == 0o600
    run_console(see, installation=installation)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"theme": 1}', '{"other": 1}', "\xff", "[" * 5000])
def test_a_broken_file_is_ignored_with_a_line_in_the_log(
    content: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / files.MEMORY).write_text(content, encoding="latin-1")
    assert files.remembered_theme(tmp_path) is None
    assert f"{tmp_path / files.MEMORY} is ignored: " in caplog.text


def test_a_theme_that_no_longer_exists_is_ignored(installation: Installation) -> None:
    files.remember_theme(installation.state, "gone")
    app = ConsoleApp(fakes.FakeService(), installation=installation)
    assert app.theme == "textual-dark"


# --- zone ---------------------------------------------------------------------------------------------------------


def test_z_shows_times_in_utc_on_every_page_until_it_is_pressed_again() -> None:
    async def scenario(console: Console) -> None:
        assert "IST" in console.text
        await console.press("z")
        assert console.notice == "times are in UTC"
        assert "IST" not in console.text
        await console.press("down", "down", "p")
        assert "IST" not in console.text
        await console.press("escape", "z")
        assert console.notice == "times are in the zone of each job"
        assert "IST" in console.text

    run_console(scenario)
