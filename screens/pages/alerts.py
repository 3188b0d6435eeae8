"""The page of alerts: what fires, who acknowledged it, and the details of the one under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.service.snapshot import AlertCard, AlertPage, FindingKind, Run, Snapshot
from screens import alert_actions, command_lines
from screens.command_lines import CommandLine
from screens.exports import Copied, Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.alert_actions import AlertActionsPage
from screens.pages.polling import FAST_SECONDS, SLOW_SECONDS
from screens.pages.row_list import RowListPage
from screens.panels import alert_detail, alerts, fixes, plan, tables, why
from screens.panels.alerts import Segment
from screens.panels.plan import Gap
from screens.panels.view import Key, View
from screens.panels.why import Question
from screens.widgets import symbols
from screens.widgets.lines import Drawing, Piece, line
from screens.widgets.panel import PLAIN, Panel
from screens.widgets.symbols import Symbol

NO_ALERT = "no alert to {verb} in this list; {next_panel} shows another one"


class AlertsScreen(RowListPage[AlertPage | None, Segment], AlertActionsPage):
    """Alerts of a segment, joined by cause, with a cursor; the details of the alert under it are below."""

    SEGMENTS = Segment
    END = "resume"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "back", "back"),
        bind("up", "move(-1)", "alert above"),
        bind("down", "move(1)", "alert below"),
        bind("open", "open", "go to the run or job"),
        bind("write_up", "write_up", "write up alerts, or a handover"),
        bind("resume", "resume", "end the acknowledgement or silence, or resume the job"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._page: AlertPage | None = None
        self.settle()

    def show(self, snapshot: Snapshot) -> None:
        """Keeps the cursor on its alert, wherever the row is now."""
        self.settle()
        self.repaint()

    def presence_name(self) -> str:
        return "alerts"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """Of silence and its end the one that fits the alert, and the key that fixes it."""
        card = self._card()
        remedy = card.remedy if card is not None else None
        return (
            ("enter", "open"),
            ("a", "ack"),
            ("u", "end") if self._is_held else ("s", "silence"),
            *((fixes.OF[remedy].default,) if remedy is not None else ()),
            ("i", "write-up"),
            ("tab", "filter"),
            ("esc", "back"),
            ("?", "help"),
            ("q", "quit"),
        )

    def legend(self) -> tuple[tuple[str, Symbol], ...]:
        """Severities, and what is over."""
        return (*(("alert", symbol) for symbol in symbols.SEVERITY.values()), ("alert", symbols.RESOLVED))

    def panels(self) -> ComposeResult:
        """The segments, the list, and the details of the alert under the cursor."""
        yield Panel(self._draw_head, id="segments", classes=PLAIN, focusable=False)
        yield Panel(self._draw_list, id=alerts.PANEL)
        yield Panel(self._draw_detail, id="detail", focusable=False)

    def _draw_head(self, view: View, cells: int, _rows: int) -> Drawing:
        return Drawing([alerts.header(view, self.segment, cells)], spots=alerts.spots(view))

    def _draw_list(self, view: View, cells: int, rows: int) -> Drawing:
        errors = self.error_lines()
        listed = alerts.rows(view, self.segment, cells, rows - len(errors))
        more = line(Piece(f"{listed.hidden} more", "quiet")) if listed.hidden else ()
        return Drawing([*errors, *listed.lines], alerts.title(cells), more, [*[None] * len(errors), *listed.rows])

    def _draw_detail(self, view: View, cells: int, rows: int) -> Drawing:
        card = self._card()
        if card is None:
            return Drawing(())
        lines = alert_detail.rows(view, card, self._loaded(card), cells, rows, has_failed=bool(self.error_lines()))
        return Drawing(lines, alert_detail.title(card), alert_detail.end(card, view.now))

    def load(self) -> AlertPage | None:
        """The details of the alert under the cursor."""
        number = self._number()
        return None if number is None else self.host.service.alerts.page(number)

    def loaded(self, data: AlertPage | None) -> None:
        self._page = data

    def poll_seconds(self) -> float | None:
        """At once when the cursor has moved on."""
        card = self._card()
        return FAST_SECONDS if card is not None and self._loaded(card) is None else SLOW_SECONDS

    def job(self) -> str | None:
        """The job of the alert under the cursor."""
        card = self._card()
        name = card.alert.job if card is not None else None
        return name if any(each.name == name for each in self.host.snapshot.jobs) else None

    def alert_for(self, verb: str) -> AlertCard | None:
        """The alert under the cursor."""
        card = self._card()
        if card is None:
            self.show_notice(self.keyed(NO_ALERT, verb=verb))
        return card

    def gap(self) -> Gap | None:
        """The windows that the alert under the cursor reports."""
        card = self._card()
        if card is None or card.alert.rule is not FindingKind.INCOMPLETE_WINDOWS:
            return None
        return plan.gap(card.alert.evidence.get("items", ()), card.alert.evidence.get("numbers", {}))

    def selected_alert(self) -> AlertCard | None:
        """The alert under the cursor."""
        return self._card()

    def run_number(self, *, active: bool = False) -> int | None:
        """The run of the alert under the cursor."""
        card = self._card()
        return card.alert.run if card is not None else None

    def refused(self) -> frozenset[str]:
        """An acknowledgement or a silence can be ended, too."""
        without = frozenset({"open", "why", "copy"}) if self._card() is None else frozenset[str]()
        return (super().refused() - ({"resume"} if self._is_held else set())) | without

    def command_lines(self) -> Sequence[CommandLine]:
        """While the key ends an acknowledgement or a silence, it does not resume the job."""
        job, lines = self.job(), super().command_lines()
        held_back = command_lines.resume(job) if job is not None and self._is_held else None
        return [each for each in lines if each != held_back]

    def copied(self) -> Copied | None:
        """The number of the alert."""
        number = self._number()
        return None if number is None else Copied(str(number), f"the number of alert {number}")

    def table(self) -> Table | None:
        """The alerts of the segment."""
        return tables.alerts(alerts.listed(self.host.snapshot.alerts, self.segment))

    def run_for(self, verb: str) -> Run | None:
        """The run of the alert under the cursor."""
        card = self.alert_for(verb)
        if card is None:
            return None
        if card.alert.run is None:
            self.show_notice(f"alert {card.alert.id} has no run to {verb}")
            return None
        return self.find_or_open(card.alert.run, verb)

    def why_question(self) -> Question | None:
        """What the alert reports."""
        card = self._card()
        return why.of_alert(self.view(), card) if card is not None else None

    async def action_open(self) -> None:
        """Opens what is behind the alert: the calendar of incomplete windows, a pack's panels, a run."""
        card = self.alert_for("open")
        if card is None:
            return
        newest = self.view().newest_run(card.alert.job or "")
        if card.alert.rule is FindingKind.INCOMPLETE_WINDOWS:
            await self.host.open_calendar(self.job())
        elif card.alert.rule is FindingKind.CHECK:
            self.host.open_packs()
        elif card.alert.run is not None:
            self.host.open_run(card.alert.run)
        elif newest is not None:
            self.host.open_run(newest.id)
        elif card.alert.job is not None:
            self.show_notice(self.view().hint(f"{card.alert.job} has not run yet", "trigger", "triggers it"))
        else:
            self.show_notice(f"alert {card.alert.id} is about no run and no job")

    def action_write_up(self) -> None:
        """Writes up the alert, all open ones, or a handover."""
        alert_actions.write_up(self.host, self._card())

    def action_resume(self) -> None:
        """Ends the acknowledgement, otherwise the silence; where there is neither, resumes the job if it is paused."""
        card = self.alert_for("end")
        if card is None:
            return
        job = self.job()
        if card.acknowledged is not None:
            alert_actions.unacknowledge(self.host, card)
        elif card.silence is not None:
            alert_actions.unsilence(self.host, card)
        elif job is not None and self.view().pauses_of(job):
            super().action_resume()
        else:
            self.show_notice(f"alert {card.alert.id} is neither acknowledged nor silenced")

    def listed_keys(self) -> Sequence[Key]:
        """The alerts of the segment."""
        return [alerts.key(card) for card in alerts.listed(self.host.snapshot.alerts, self.segment)]

    def _number(self) -> int | None:
        return int(self.cursor[1]) if self.cursor is not None else None

    def _card(self) -> AlertCard | None:
        return next((card for card in self.host.snapshot.alerts if alerts.key(card) == self.cursor), None)

    @property
    def _is_held(self) -> bool:
        """Whether the alert under the cursor is acknowledged or silenced."""
        card = self._card()
        return card is not None and (card.acknowledged is not None or card.silence is not None)

    def _loaded(self, card: AlertCard) -> AlertPage | None:
        """The details, once they are those of this alert."""
        page = self._page
        return page if page is not None and page.card.alert.id == card.alert.id else None
