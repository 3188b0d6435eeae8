"""The page of runs: their history by segment and filter, and the run under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.authoring.run import OPEN
from opsconsole.core.errors import UnknownRun
from opsconsole.rules.run_search import Segment
from opsconsole.rules.search_words import BadSearch
from opsconsole.service.history import RunList
from opsconsole.service.snapshot import Run, Snapshot
from screens import command_lines
from screens.command_lines import CommandLine
from screens.exports import Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.blocks import Blocks
from screens.pages.filtering import FilterPage
from screens.pages.polling import FAST_SECONDS
from screens.pages.run_actions import RunActionsPage
from screens.pages.segmented import SegmentedPage
from screens.pages.shown_run import ReadRun, ShownRun
from screens.panels import cursor, runs, why
from screens.panels.runs import Listed
from screens.panels.view import View
from screens.panels.why import Question
from screens.widgets.area import Area
from screens.widgets.lines import Drawing
from screens.widgets.panel import PLAIN, Panel

NO_RUN = "no run to {verb} in this list; {next_panel} shows another one"
STEP = 10
FILTER_CELLS = 40
MAX_EXPORTED = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """What is listed: a segment, a filter, and before which run the block starts."""

    segment: Segment
    typed: str
    before: int | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of a request after `changes` changes: the list, unless it was not read again, or the problem of the
    filter; and the run under the cursor.
    """

    request: Request
    changes: int
    listed: RunList | None
    problem: str
    run: ReadRun


class RunsScreen(FilterPage, SegmentedPage[Loaded, Segment], RunActionsPage):
    """Runs, newest first, with a cursor. The list is read again when a run starts or ends."""

    SEGMENTS = Segment
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", "run above"),
        bind("down", "move(1)", "run below"),
        bind("page_up", f"move(-{STEP})", f"{STEP} runs newer"),
        bind("page_down", f"move({STEP})", f"{STEP} runs older"),
        bind("first", "newest", "newest run"),
        bind("open", "open", "open the run"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._blocks: Blocks[int] = Blocks()
        self._listed = Listed(is_loading=True)
        self._next_before: int | None = None
        self._shown: Request | None = None
        self._changes = self._shown_changes = 0
        self._go_to_end = False
        self._read = ShownRun(host)
        self._active = _activity(host.snapshot)

    def panels(self) -> ComposeResult:
        """The segments and the filter, the list, and the run under the cursor; where there is room, in three panels."""
        yield Panel(self._draw_head, id="segments", classes=PLAIN, focusable=False)
        with Area(id="parts"):
            yield Panel(self._draw_list, id="list")
            with Area(id="side"):
                yield Panel(self._draw_detail, id="detail", focusable=False)
                yield Panel(self._draw_failures, id="failures", focusable=False)
                yield Panel(self._draw_log, id="log", focusable=False)

    def show(self, snapshot: Snapshot) -> None:
        """Reads the list again when a run has started or ended."""
        if (active := _activity(snapshot)) != self._active:
            self._active, self._changes = active, self._changes + 1
            self.reload()
        self.repaint()

    def presence_name(self) -> str:
        return "runs"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """Cancel for an active run, otherwise retry."""
        run = self._run()
        return (
            ("enter", "open"),
            ("x", "cancel") if run is not None and run.state in OPEN else ("r", "retry"),
            ("w", "why"),
            ("/", "filter"),
            ("tab", "list"),
            ("y", "copy id"),
            ("=", "command"),
            ("?", "help"),
            ("esc", "back"),
        )

    def _draw_head(self, view: View, cells: int, _rows: int) -> Drawing:
        query = self.filter.line(min(FILTER_CELLS, cells // 3), "job, date, by name" if cells > 100 else "filter")
        is_filtered = self.filter.is_open or bool(self.filter.value)
        header = runs.header(view, self.segment, query, self._listed, cells, is_filtered=is_filtered)
        return Drawing([header], spots=runs.spots())

    def _draw_list(self, view: View, cells: int, rows: int) -> Drawing:
        errors = self.error_lines()
        if errors and not self._listed.runs:
            return Drawing(errors, runs.title(cells))
        lines, keys = runs.rows(view, self._listed, cells, rows - len(errors))
        return Drawing([*errors, *lines], runs.title(cells), rows=[*[None] * len(errors), *keys])

    def _draw_detail(self, view: View, cells: int, rows: int) -> Drawing:
        return self._read.detail(view, self._run(), cells, rows, is_split=self._is_split, status=self._status())

    def _draw_failures(self, _view: View, cells: int, rows: int) -> Drawing:
        return self._read.failures(self._run(), cells, rows, status=self._status())

    def _draw_log(self, view: View, cells: int, rows: int) -> Drawing:
        return self._read.log(view, self._run(), cells, rows, status=self._status())

    def _status(self) -> str:
        """What the panels of a run show without one."""
        return "unknown" if self.error_lines() else "no run under the cursor"

    # --- loading ------------------------------------------------------------------------------------------------

    def load(self) -> Loaded:
        """The list, if another one is requested or it has changed, and the run under the cursor."""
        history, request, problem = self.host.service.history, self._request(), ""
        listed, changes = None, self._changes
        if request != self._shown or changes != self._shown_changes:
            try:
                listed = history.find(request.typed, request.segment, before=request.before)
            except BadSearch as error:
                problem = error.sentence
            except UnknownRun:  # its retention has passed
                self._blocks.reset()
                request = self._request()
                listed = history.find(request.typed, request.segment)
        number = self._number()
        if listed is not None and all(run.id != number for run in listed.runs):
            number = listed.runs[-1 if self._go_to_end else 0].id if listed.runs else None
        return Loaded(request, changes, listed, problem, self._read.read(number, with_items=self._is_split))

    def loaded(self, data: Loaded) -> None:
        """Keeps what was loaded, and loads what was requested meanwhile."""
        self._read.keep(data.run)
        self._shown, self._shown_changes = data.request, data.changes
        if data.problem:
            self._listed = Listed(self._listed.runs, problem=data.problem, is_filtered=True)
            self._next_before = None
        elif data.listed is not None:
            self._list(data.listed, bool(data.request.typed) or data.request.segment is not Segment.ALL)
        if self._is_due:
            self.reload()

    def poll_seconds(self) -> float | None:
        """At once when something else is requested, and while the run under the cursor is active."""
        run = self._run()
        return FAST_SECONDS if self._is_due or (run is not None and run.state in OPEN) else None

    def _list(self, found: RunList, is_filtered: bool) -> None:
        before = runs.keys_of(self._listed)
        first = found.total is not None
        self._listed = Listed(
            found.runs,
            before=self._blocks.before,
            total=found.total if first else self._listed.total,
            more_in_total=found.more_in_total if first else self._listed.more_in_total,
            searched_to=found.searched_to,
            is_filtered=is_filtered,
        )
        self._next_before = found.next_before
        keys = runs.keys_of(self._listed)
        self.cursor = cursor.settled(self.cursor, keys, before)
        if self.cursor not in keys or self._go_to_end:
            self.cursor = keys[-1 if self._go_to_end else 0] if keys else None
        self._go_to_end = False

    def _request(self) -> Request:
        return Request(self.segment, self.applied, self._blocks.start)

    @property
    def _is_due(self) -> bool:
        """Whether something is to be loaded."""
        is_read = self._read.is_read(self._number(), with_items=self._is_split)
        return self._changes != self._shown_changes or self._request() != self._shown or not is_read

    @property
    def _is_split(self) -> bool:
        """Whether there is room for the failures and the log of the run in panels of their own."""
        return self.has_class("-large") and not self.has_class("-low")

    # --- the cursor ---------------------------------------------------------------------------------------------

    def filter_changed(self) -> None:
        """Lists the runs that match."""
        self._restart()

    def action_newest(self) -> None:
        """Goes to the newest run."""
        keys = runs.keys_of(self._listed)
        if self._blocks.start is None and keys:
            self.move_to(keys[0])
        else:
            self._restart()

    def action_move(self, step: int) -> None:
        """Moves the cursor; past the end of what is loaded, to the block before or after it."""
        keys = runs.keys_of(self._listed)
        at = keys.index(self.cursor) if self.cursor in keys else -1
        if step > 0 and at == len(keys) - 1 and self._next_before is not None:
            self._blocks.forward(self._next_before, len(keys))
            self._next_before = self.cursor = None
        elif step < 0 and at <= 0 and self._blocks.back():
            self._go_to_end = True
        else:
            self.cursor = cursor.moved(self.cursor, keys, step)
        self.reload()
        self.repaint()

    def action_open(self) -> None:
        run = self.run_for("open")
        if run is not None:
            self.host.open_run(run.id)

    def job(self) -> str | None:
        """The job of the run under the cursor, if it is loaded."""
        run = self._run()
        name = run.job if run is not None else None
        return name if any(card.name == name for card in self.host.snapshot.jobs) else None

    def run_for(self, verb: str) -> Run | None:
        """The run under the cursor."""
        run = self._run()
        if run is None:
            self.show_notice(self.keyed(NO_RUN, verb=verb))
        return run

    def why_question(self) -> Question | None:
        """Why the run under the cursor exists."""
        run = self._run()
        return why.of_run(self.view(), run) if run is not None else None

    def run_number(self, *, active: bool = False) -> int | None:
        """The run under the cursor."""
        return self._number()

    def shown_run(self, *, active: bool = False) -> Run | None:
        """The run under the cursor."""
        return self._run()

    def refused(self) -> frozenset[str]:
        """Nothing can be done without a run."""
        return super().refused() | (frozenset({"open", "why", "copy"}) if self._run() is None else frozenset())

    def command_lines(self) -> Sequence[CommandLine]:
        """The command that lists the same, and those for the run."""
        segment = "" if self.segment is Segment.ALL else self.segment.value
        return (command_lines.list_runs(f"{segment} {self.filter.value}"), *super().command_lines())

    def table(self) -> Table:
        """The runs that match, at most 10,000."""
        request = self._request()
        return runs.table(self.host.service.history.find(request.typed, request.segment, limit=MAX_EXPORTED).runs)

    def list_segment(self, segment: Segment) -> None:
        self.segment = segment
        self._restart()

    def _restart(self) -> None:
        self._blocks.reset()
        keys = runs.keys_of(self._listed) if self._request() == self._shown else []
        self.cursor, self._go_to_end = next(iter(keys), None), False
        self.reload()
        self.repaint()

    def _number(self) -> int | None:
        return int(self.cursor[1]) if self.cursor is not None else None

    def _run(self) -> Run | None:
        """The run under the cursor, as new as it is known."""
        number = self._number()
        listed = next((run for run in self._listed.runs if run.id == number), None)
        if listed is None:
            return None
        return self._read.newest(listed) or runs.current(self.view(), listed)


def _activity(snapshot: Snapshot) -> tuple[object, ...]:
    """What changes when a run is queued, starts or ends."""
    active = [(each.run.id, each.run.state) for each in snapshot.live]
    return (*active, *(run.id for run in snapshot.recent[:1]))
