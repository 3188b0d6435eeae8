"""The page of the audit trail: who did what, and who is attached now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.rules.audit import AuditEntry, Verification
from screens import command_lines
from screens.command_lines import CommandLine
from screens.exports import Copied, Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.filtering import FilterPage
from screens.pages.polling import FAST_SECONDS, SLOW_SECONDS, PollingPage
from screens.panels import audit, cursor
from screens.panels.view import View, hint
from screens.threads import Stepping
from screens.widgets.lines import Drawing, Piece, line
from screens.widgets.panel import PLAIN, Panel

STEP_SECONDS = 0.005
"""The pause between two pages of a verification, for this screen."""
ROWS = 200
"""Rows of one page of the trail."""


class AuditPage(NamedTuple):
    """Rows that match a filter, older than the row `before`; `more` when others are older still."""

    typed: str
    before: int | None
    entries: list[AuditEntry]
    more: bool


class AuditScreen(FilterPage, PollingPage[AuditPage]):
    """The rows of the trail, newest first, a page at a time. The trail is verified while the page is in front."""

    FOOTER = (
        ("↑↓", "row"),
        ("/", "filter"),
        ("pgdn", "older"),
        ("esc", "back"),
        ("?", "help"),
        ("^p", "find"),
        ("q", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", "newer row"),
        bind("down", "move(1)", "older row"),
        bind("page_up", "move(-20)", "20 rows newer"),
        bind("page_down", "move(20)", "20 rows older"),
        bind("first", "newest", "newest row"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._page: AuditPage | None = None
        self._anchors: list[int | None] = [None]
        self._from_below = False
        self._verified: Stepping[Verification] = Stepping(self, self.repaint, pause_seconds=STEP_SECONDS)

    def presence_name(self) -> str:
        return "audit"

    def panels(self) -> ComposeResult:
        """The filter, the rows, the details of one, and who is attached."""
        yield Panel(self._draw_search, id="search", classes=PLAIN, focusable=False)
        yield Panel(self._draw_rows, id=audit.PANEL)
        yield Panel(self._draw_entry, id="entry", focusable=False)
        yield Panel(self._draw_attached, id="attached", focusable=False)

    def _draw_search(self, _view: View, cells: int, _rows: int) -> Drawing:
        errors = self.error_lines()
        examples = "filter: by asha, clear, refused, last tue, since 2h, or any word"
        return Drawing(errors or [line(" ", *self.filter.line(cells - 2, examples))])

    def _draw_rows(self, view: View, cells: int, rows: int) -> Drawing:
        entries, verified = self._page.entries if self._page is not None else None, self._verified
        shown = audit.rows(
            entries,
            view.now,
            cells,
            rows,
            self.cursor,
            nothing=self.keyed(audit.NO_MATCH) if self.filter.value else audit.NO_ROW,
            has_failed=bool(self.error_lines()),
        )
        error = verified.error.sentence if verified.error is not None else ""
        end = audit.end(verified.latest, is_running=verified.is_running, error=error)
        return Drawing(shown.lines, line(Piece("Audit", "title")), end, shown.rows)

    def _draw_entry(self, _view: View, cells: int, rows: int) -> Drawing:
        entry = self._entry()
        none = "unknown" if self.error_lines() else "no row under the cursor"
        lines = audit.details(entry, cells, rows) if entry is not None else hint(none).lines
        return Drawing(lines, line(Piece("Details", "title")), audit.entry_end(entry))

    def _draw_attached(self, view: View, cells: int, rows: int) -> Drawing:
        lines = audit.attached_rows(view, cells, rows)
        return Drawing(lines, line(Piece("Attached", "title")), audit.attached_end(view))

    # --- loading ------------------------------------------------------------------------------------------------

    def load(self) -> AuditPage:
        """The rows of the page; one more shows whether there are older ones."""
        typed, before = self.filter.value.strip(), self._anchors[-1]
        entries = self.host.service.audit.find(typed, limit=ROWS + 1, before=before)
        return AuditPage(typed, before, entries[:ROWS], len(entries) > ROWS)

    def loaded(self, data: AuditPage) -> None:
        """Keeps them, unless other ones are due by now; the cursor stays on its row."""
        if (data.typed, data.before) != self._due():
            self.reload()
            return
        if data.entries and self.cursor not in [audit.key(each) for each in data.entries]:
            self.cursor = audit.key(data.entries[-1 if self._from_below else 0])
        self._from_below = False
        self._page = data

    def poll_seconds(self) -> float | None:
        """At once when another page or filter is due."""
        is_current = self._page is not None and (self._page.typed, self._page.before) == self._due()
        return SLOW_SECONDS if is_current else FAST_SECONDS

    def on_screen_resume(self) -> None:
        """Verifies the rows that are new since the last time, or the whole trail."""
        before = self._verified.latest
        self._verified.start(lambda: self.host.service.audit.verify_steps(before), keep=True)

    def on_screen_suspend(self, _event: events.ScreenSuspend) -> None:
        """Stops verifying: another page or a dialog is in front."""
        self._verified.stop()

    def on_unmount(self) -> None:
        """Stops verifying."""
        self._verified.stop()

    def filter_changed(self) -> None:
        """Shows the newest rows that match."""
        self._anchors, self.cursor = [None], None
        self.reload()

    # --- keys ---------------------------------------------------------------------------------------------------

    def copied(self) -> Copied | None:
        """The row, as one line."""
        entry = self._entry()
        return Copied(audit.sentence(entry), f"row {entry.id}") if entry is not None else None

    def table(self) -> Table:
        """The rows of this page of the trail."""
        return audit.table(self._page.entries if self._page is not None else [])

    def command_lines(self) -> Sequence[CommandLine]:
        """What lists these rows, and what verifies the trail."""
        return command_lines.audit(self.filter.value.strip())

    def action_move(self, step: int) -> None:
        """Moves the cursor; past the last row to the page of older rows, past the first to that of newer ones."""
        page = self._page
        if page is None or not page.entries:
            return
        keys = [audit.key(each) for each in page.entries]
        if step > 0 and self.cursor == keys[-1] and page.more:
            self._turn([*self._anchors, page.entries[-1].id])
        elif step < 0 and self.cursor == keys[0] and len(self._anchors) > 1:
            self._from_below = True
            self._turn(self._anchors[:-1])
        else:
            self.cursor = cursor.moved(self.cursor, keys, step)
            self.repaint()

    def action_newest(self) -> None:
        """Goes back to the newest row."""
        self.cursor = None
        self._turn([None])

    def _turn(self, anchors: list[int | None]) -> None:
        self._anchors = anchors
        self.reload()
        self.repaint()

    def _due(self) -> tuple[str, int | None]:
        return self.filter.value.strip(), self._anchors[-1]

    def _entry(self) -> AuditEntry | None:
        entries = self._page.entries if self._page is not None else []
        return next((each for each in entries if audit.key(each) == self.cursor), None)
