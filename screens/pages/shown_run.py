"""The run under the cursor of a list: what was read about it, and its panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from opsconsole.authoring.run import OPEN, Run
from opsconsole.core.errors import UnknownRun
from opsconsole.service.history import FailedItem
from opsconsole.service.run_details import RunPage
from screens.host import Host
from screens.panels import run_detail, run_failures, run_log
from screens.panels.run_failures import Items
from screens.panels.run_log import Log
from screens.panels.view import View, hint
from screens.widgets.lines import Drawing, Piece, line


class ReadRun(NamedTuple):
    """A run, and its first failed items; they are None until they are read, and the page once it is no longer kept."""

    number: int | None
    page: RunPage | None = None
    failed: Sequence[FailedItem] | None = None


class ShownRun:
    """Reads a run in a thread, and draws it as one panel, or as three where there is room for them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._read = ReadRun(None)

    def read(self, number: int | None, *, with_items: bool) -> ReadRun:
        """The run; `with_items` also its first failed items, which are read again only when there are more."""
        if number is None:
            return ReadRun(None)
        before, service = self._read, self._host.service
        try:
            page = service.queries.run_page(number)
        except UnknownRun:
            return ReadRun(number)
        failed = _failed(page)
        if not with_items or not failed:
            return ReadRun(number, page, () if with_items else None)
        if before.number == number and before.failed is not None and _failed(before.page) == failed:
            return ReadRun(number, page, before.failed)
        return ReadRun(number, page, service.history.failed_items(number).items)

    def keep(self, read: ReadRun) -> None:
        """Shows what was read."""
        self._read = read

    def is_read(self, number: int | None, *, with_items: bool) -> bool:
        """Whether there is nothing to read about this run."""
        read = self._read
        is_whole = read.page is None or read.failed is not None or not with_items
        return number is None or (read.number == number and is_whole)

    def newest(self, run: Run) -> Run | None:
        """The same run as it was read; None if it was not."""
        page = self._page(run)
        return page.progress.run if page is not None else None

    def detail(self, view: View, run: Run | None, cells: int, rows: int, *, is_split: bool, status: str) -> Drawing:
        """What came of the run; its log as well, unless that has its own panel. `status` is shown without a run."""
        if run is None:
            return Drawing(hint(status).lines, line(Piece("Run", "title")))
        page, title, end = self._page(run), run_detail.title(view, run, cells), run_detail.end(view, run)
        if page is not None and is_split:
            return Drawing(run_detail.beside(view, page, cells, rows), title, end)
        is_gone = page is None and self._read.number == run.id
        return Drawing(run_detail.rows(view, page, cells, rows, is_gone=is_gone), title, end)

    def failures(self, run: Run | None, cells: int, rows: int, *, status: str) -> Drawing:
        """The causes of its failures, and the first items that failed."""
        page = self._page(run)
        if page is None:
            return Drawing(hint(status if run is None else "loading").lines, line(Piece("Failures", "title")))
        items = Items(self._read.failed or ())
        return Drawing(run_failures.rows(page, items, cells, rows), run_failures.title(page))

    def log(self, view: View, run: Run | None, cells: int, rows: int, *, status: str) -> Drawing:
        """The end of its log."""
        page, title = self._page(run), line(Piece("Log", "title"))
        if page is None:
            return Drawing(hint(status if run is None else "loading").lines, title)
        run = page.progress.run
        log = Log(page.log, view.zone_of(run.job), run.state in OPEN, job=run.job)
        return Drawing(run_log.rows(log, cells, rows), title, run_log.end(log, (), rows, view.keys))

    def _page(self, run: Run | None) -> RunPage | None:
        return self._read.page if run is not None and self._read.number == run.id else None


def _failed(page: RunPage | None) -> int | None:
    return page.progress.run.counts.failed if page is not None else None
