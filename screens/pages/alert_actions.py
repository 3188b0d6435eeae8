"""The keys for an alert, the same on every page that shows alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from opsconsole.service.snapshot import AlertCard
from screens import alert_actions, command_lines
from screens.command_lines import CommandLine
from screens.keymap import bind
from screens.pages.run_actions import RunActionsPage


class AlertActionsPage(RunActionsPage):
    """A page that selects an alert for these keys, and its run and job for the others."""

    END: ClassVar[str] = ""
    """The action that ends the acknowledgement or the silence of the alert; empty where no key of the page does."""
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("acknowledge", "acknowledge", "acknowledge the alert"),
        bind("silence", "silence", "silence the alert, job, pack or rule"),
    ]

    def alert_for(self, verb: str) -> AlertCard | None:
        """The selected alert; None when there is none, which is shown as a notice with the verb."""
        raise NotImplementedError

    def selected_alert(self) -> AlertCard | None:
        raise NotImplementedError

    def refused(self) -> frozenset[str]:
        """What the alert does not allow, either."""
        card = self.selected_alert()
        refused = {"acknowledge": card is None or not card.alert.is_open, "silence": card is None}
        return super().refused() | {each for each, is_refused in refused.items() if is_refused}

    def command_lines(self) -> Sequence[CommandLine]:
        """The commands for the alert, then those for its run and job."""
        card = self.selected_alert()
        return (*(command_lines.of_alert(card, end=self.END) if card is not None else ()), *super().command_lines())

    def action_acknowledge(self) -> None:
        """Acknowledges the alert."""
        card = self.alert_for("acknowledge")
        if card is not None:
            alert_actions.acknowledge(self.host, card)

    def action_silence(self) -> None:
        """Silences the alert, its job, its pack or its rule."""
        card = self.alert_for("silence")
        if card is not None:
            alert_actions.silence(self.host, card)
