"""The dialogs that acknowledge and silence alerts."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.rules.alerts import target_of
from opsconsole.service.snapshot import AlertCard
from screens import command_lines
from screens.command_lines import CommandLine
from screens.dialogs.until import Target, UntilDialog, UntilRequest
from screens.host import Host
from screens.panels import alerts

STYLE = "warn"


class AcknowledgeDialog(UntilDialog):
    """Asks for how long an alert is acknowledged."""

    def __init__(self, host: Host, card: AlertCard) -> None:
        target = Target(str(card.alert.id), alerts.subject(card), f"alert {card.alert.id}, {alerts.kind(card)}")
        durations, chosen = alerts.ACKNOWLEDGEMENTS, alerts.DEFAULT_ACKNOWLEDGEMENT
        super().__init__(host, "Acknowledge", [target], durations, chosen=chosen)
        self._card = card

    def command_line(self, request: UntilRequest) -> CommandLine:
        """The acknowledgement."""
        return command_lines.acknowledge(self._card.alert.id, request.duration, request.note)

    def end(self, request: UntilRequest) -> str:
        """When reminders are sent again."""
        now = self.host.now()
        return alerts.end_in_words(alerts.until(request.duration, now), now, "when it is resolved, or becomes worse")

    def existing(self, target: str) -> tuple[Sequence[str], str]:
        """The acknowledgement in force."""
        given = alerts.acknowledgement(self._card, self.host.now())
        return ((f"{given}.", "This acknowledgement replaces it."), STYLE) if given is not None else ((), "")


class SilenceDialog(UntilDialog):
    """Asks what is silenced: the alert, its job, its pack or its rule."""

    def __init__(self, host: Host, card: AlertCard) -> None:
        targets = [Target(*each) for each in alerts.silence_targets(card)]
        super().__init__(host, "Silence", targets, alerts.SILENCES, chosen=alerts.DEFAULT_SILENCE)
        self._card = card

    def command_line(self, request: UntilRequest) -> CommandLine:
        """The silence."""
        return command_lines.silence(request.target, request.duration, request.note)

    def end(self, request: UntilRequest) -> str:
        """When notifications are sent again."""
        now = self.host.now()
        return alerts.end_in_words(alerts.until(request.duration, now), now, "")

    def existing(self, target: str) -> tuple[Sequence[str], str]:
        """The silence of exactly that target."""
        exact = target_of(self._card.alert) if target == str(self._card.alert.id) else target
        silences, now = self.host.snapshot.silences, self.host.now()
        found = next((each for each in silences if each.target == exact), None)
        return ((f"{alerts.silence(found, now)}.", "This silence replaces it."), STYLE) if found else ((), "")
