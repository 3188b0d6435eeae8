"""What the keys for alerts do: acknowledge and silence them, and end that."""

from __future__ import annotations

from opsconsole.rules.alerts import target_of
from opsconsole.service.snapshot import AlertCard
from screens.dialogs.alerts import AcknowledgeDialog, SilenceDialog
from screens.dialogs.dialog import Confirm
from screens.dialogs.until import UntilRequest
from screens.host import Host
from screens.panels import alerts

RESOLVED = "alert {} is resolved: nothing to {}"


def acknowledge(host: Host, card: AlertCard) -> None:
    """Asks for how long, then acknowledges an alert."""
    number = card.alert.id
    if not card.alert.is_open:
        host.show_notice(RESOLVED.format(number, "acknowledge"), "warn")
        return

    def answered(request: UntilRequest | None) -> None:
        if request is not None:
            end, note = alerts.until(request.duration, host.now()), request.note
            name = f"acknowledgement of alert {number} {request.words}"
            host.send(name, lambda: host.service.alerts.acknowledge(number, until=end, note=note))

    host.open_dialog(AcknowledgeDialog(host, card), answered)


def silence(host: Host, card: AlertCard) -> None:
    """Asks what to silence, starting from an alert, and for how long."""

    def answered(request: UntilRequest | None) -> None:
        if request is not None:
            end, target, note = alerts.until(request.duration, host.now()), request.target, request.note
            name = f"silence of {alerts.target_name(target)} {request.words}"
            host.send(name, lambda: host.service.alerts.silence(target, until=end, note=note))

    host.open_dialog(SilenceDialog(host, card), answered)


def unacknowledge(host: Host, card: AlertCard) -> None:
    """Ends the acknowledgement of an alert."""
    number = card.alert.id
    host.send(f"end of the acknowledgement of alert {number}", lambda: host.service.alerts.unacknowledge(number))


def unsilence(host: Host, card: AlertCard) -> None:
    """Ends the silence that applies to an alert. Asks only where that concerns more than the alert."""
    silenced = card.silence
    if silenced is None:
        return
    if silenced.target == target_of(card.alert):
        end_silence(host, silenced.target)
        return
    question = alerts.unsilence_question(silenced, host.now())

    def answered(button: str | None) -> None:
        if button == question.default:
            end_silence(host, silenced.target)

    host.open_dialog(Confirm(host, question), answered)


def end_silence(host: Host, target: str) -> None:
    """Ends the silence of exactly this target."""
    host.send(f"end of the silence of {target}", lambda: host.service.alerts.unsilence(target))
