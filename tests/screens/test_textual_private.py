"""The private parts of Textual that the console relies on still exist in the installed version."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from rich.console import Console as RichConsole
from textual._compositor import ChopsUpdate, Compositor
from textual._parser import Read1
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.geometry import Region
from textual.strip import Strip

import screens
from screens import textual_private
from screens.textual_private import TEXTUALS_ESCAPE_SECONDS, ChangedCells, KeyParser, LineCompositor
from tests.screens import samples
from tests.screens.console import Console, run_console

FOLDER = Path(screens.__file__).parent


def test_textual_still_draws_with_updates_of_spans_and_chops() -> None:
    assert list(inspect.signature(App._display).parameters) == ["self", "screen", "renderable"]
    assert "ChopsUpdate(" in inspect.getsource(Compositor.render_partial_update)
    update = ChopsUpdate([{0: Strip.blank(3), 3: None}], [(0, 1, 2)], [[3, 5]])
    assert (update.chops, update.spans, update.chop_ends) == ([{0: Strip.blank(3), 3: None}], [(0, 1, 2)], [[3, 5]])
    assert ChangedCells(update).render_segments(RichConsole()) == "\x1b[1;2H "  # one cell, not the three of its strip


def test_a_partial_update_has_what_textual_would_send() -> None:
    regions = {Region(100, 0, 12, 1), Region(3, 4, 20, 1), Region(50, 25, 30, 3)}

    async def scenario(console: Console) -> None:
        screen = console.app.screen
        ours = screen._compositor
        assert type(ours) is LineCompositor
        sent = []
        for render in (LineCompositor.render_partial_update, Compositor.render_partial_update):
            ours._dirty_regions = set(regions)
            update = render(ours)
            assert update is not None
            sent.append(ChangedCells(update).render_segments(console.app.console))
        assert sent[0] == sent[1]
        assert "redis ok" in screen._compositor.render_strips()[0].text

    run_console(scenario, samples.BUSY, size=(120, 40))


def test_textual_still_reports_a_fatal_error_by_these_methods() -> None:
    assert list(inspect.signature(App._fatal_error).parameters) == ["self"]
    assert list(inspect.signature(App._close_messages_no_wait).parameters) == ["self"]
    app: App[None] = App()
    assert (app._exception, app._exit_renderables) == (None, [])


def test_textual_still_looks_up_keys_by_this_method() -> None:
    assert list(inspect.signature(App._check_bindings).parameters) == ["self", "key", "priority"]
    assert inspect.iscoroutinefunction(App._check_bindings)


def test_textual_still_waits_for_the_rest_of_an_escape_sequence_by_this_timeout() -> None:
    assert list(inspect.signature(XTermParser().read1).parameters) == ["timeout"]
    assert Read1(TEXTUALS_ESCAPE_SECONDS).timeout == TEXTUALS_ESCAPE_SECONDS
    assert KeyParser().is_waiting is False


def test_no_other_file_uses_private_parts() -> None:
    imports = re.compile(r"^\s*(?:from|import) textual(?:\.\w+)*\._", re.MULTILINE)
    calls = re.compile(r"\b(?:_compositor|_display|_fatal_error|_exit_renderables|_styles_cache|_dirty_regions)\b")
    own = Path(textual_private.__file__)
    others = [path for path in FOLDER.rglob("*.py") if path != own]
    assert [path.name for path in others if imports.search(path.read_text())] == []
    assert [path.name for path in others if calls.search(path.read_text())] == []
