"""The history of runs: lists by filter, and every item that failed in a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from opsconsole.authoring.run import NEEDS_A_LOOK, OPEN, Run
from opsconsole.core.database import Connection
from opsconsole.core.errors import Refused
from opsconsole.rules.actions import MAX_RUNS, check_retry
from opsconsole.rules.run_search import RunSearch, Segment, parse
from opsconsole.service.backend import Backend
from opsconsole.store import batches, failed_items as failed_item_store, registrations, run_lists, runs
from opsconsole.store.failed_items import FailedItem, FailedItems, Place

PAGE = 200
MAX_COUNTED = 1000
FAILED_PAGE = 500


@dataclass(frozen=True, slots=True)
class RunList:
    """A page of a list of runs, newest first. The next page starts before the run `next_before`; None after the last
    one. `searched_to` is the run at which the search gave up because few runs match. `total` is how many match, more
    with `more_in_total`; it is None on all pages but the first.
    """

    runs: tuple[Run, ...]
    next_before: int | None
    searched_to: int | None = None
    total: int | None = None
    more_in_total: bool = False


class RunHistory:
    """Reads the history of runs. Methods block, and raise OpsconsoleError with a message for the operator."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def find(self, typed: str, segment: Segment, *, before: int | None = None, limit: int = PAGE) -> RunList:
        """The runs of a segment that match a filter as people type it. Raises BadSearch, and UnknownRun when the
        run `before` no longer exists.
        """
        with self._backend.reading() as db:
            search = self._parsed(db, typed, self._me).within(segment, self._me)
            return _page(db, search, before, limit)

    def select(self, search: RunSearch, *, before: int | None = None, limit: int) -> RunList:
        """The newest runs that a search selects. Raises UnknownRun when the run `before` no longer exists."""
        with self._backend.reading() as db:
            return _page(db, search, before, limit)

    def retryable(self, search: RunSearch, *, limit: int = MAX_RUNS) -> list[Run]:
        """The newest of the selected runs that ended without success and have no retry yet, oldest first."""
        found = islice(self._without_retry(search), limit)
        return sorted(found, key=lambda run: run.id)

    def cancellable(self, search: RunSearch, *, limit: int = MAX_RUNS) -> list[Run]:
        """The newest of the selected runs that have not ended and are not being cancelled, newest first."""
        pages = self._pages(search.limited_to(RunSearch(states=OPEN)))
        return list(islice((run for page in pages for run in page if run.stop is None), limit))

    def still_retryable(self, numbers: Sequence[int], *, everything: bool) -> list[int]:
        """Those of these runs that a retry of their failed items, or of all their items, would not refuse as they are.
        Runs that do not exist are left out.
        """
        found = [run for page in self._pages(RunSearch(numbers=tuple(numbers))) for run in page]
        return sorted(run.id for run in found if self._may_retry(run, everything=everything))

    def still_open(self, numbers: Sequence[int]) -> list[int]:
        """Those of these runs that have not ended."""
        pages = self._pages(RunSearch(numbers=tuple(numbers), states=OPEN))
        return sorted(run.id for page in pages for run in page)

    def _pages(self, search: RunSearch) -> Iterator[Sequence[Run]]:
        """The runs that a search selects, newest first, page after page, however few match."""
        before: int | None = None
        while True:
            page = self.select(search, before=before, limit=PAGE)
            yield page.runs
            before = page.next_before
            if before is None:
                return

    def _without_retry(self, search: RunSearch) -> Iterator[Run]:
        for page in self._pages(search.limited_to(RunSearch(states=NEEDS_A_LOOK))):
            with self._backend.reading() as db:
                left = set(runs.without_retry(db, [run.id for run in page]))
            yield from (run for run in page if run.id in left)

    def _may_retry(self, run: Run, *, everything: bool) -> bool:
        with suppress(Refused), self._backend.reading() as db:
            check_retry(run, everything=everything, unfinished_items=batches.count_undone(db, run.id))
            return True
        return False

    def parsed(self, typed: str, *, me: str | None = None) -> RunSearch:
        """The selection of a typed filter; `me` is the user who typed it, by default this process's user. Raises
        BadSearch.
        """
        with self._backend.reading() as db:
            return self._parsed(db, typed, me or self._me)

    def failed_items(self, run: int, *, after: Place | None = None, limit: int = FAILED_PAGE) -> FailedItems:
        """The items that failed in a run, a page of them. Raises UnknownRun."""
        with self._backend.reading() as db:
            runs.get(db, run)
            return failed_item_store.page(db, run, after=after, limit=limit)

    def all_failed_items(self, run: int) -> Iterator[FailedItem]:
        """Every item that failed in a run, read a page at a time. Raises UnknownRun."""
        place: Place | None = None
        while True:
            page = self.failed_items(run, after=place)
            yield from page.items
            place = page.next
            if place is None:
                return

    def _parsed(self, db: Connection, typed: str, me: str) -> RunSearch:
        zones = {name: each.tz for name, each in registrations.registrations(db).items()}
        zones |= {job.name: job.tz for job in self._backend.catalog}
        return parse(typed, zones, self._backend.now(), me=me)

    @property
    def _me(self) -> str:
        return self._backend.settings.actor.name


def _page(db: Connection, search: RunSearch, before: int | None, limit: int) -> RunList:
    found = run_lists.page(db, search, before=before, limit=limit)
    if before is not None:
        return RunList(found.runs, found.next_before, found.searched_to)
    if found.next_before is None:
        return RunList(found.runs, None, total=len(found.runs))
    total = run_lists.total(db, search, limit=MAX_COUNTED)
    return RunList(found.runs, found.next_before, found.searched_to, total.runs, total.more)


__all__ = ["FailedItem", "FailedItems", "Place", "RunHistory", "RunList"]
