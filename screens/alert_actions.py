"""What the keys for alerts do: acknowledge and silence them, and end that."""

from __future__ import annotations

from collections.abc import Callable

from opsconsole.rules.alerts import target_of
from opsconsole.service import write_ups
from opsconsole.service.snapshot import AlertCard
from screens import command_lines
from screens.command_lines import CommandLine
from screens.dialogs.alerts import AcknowledgeDialog, SilenceDialog
from screens.dialogs.dialog import Confirm
from screens.dialogs.until import UntilRequest
from screens.host import Host
from screens.pages.document import DocumentScreen
from screens.panels import alerts
from screens.panels.questions import CANCEL, Question

THIS_ALERT, ALL_OPEN, HANDOVER = "This alert", "All open", "Handover"
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


def write_up(host: Host, card: AlertCard | None) -> None:
    """Opens the choice of what to write up as Markdown: an alert, all open ones, or what the next shift has to know."""
    choices = ((THIS_ALERT,) if card is not None else ()) + (ALL_OPEN, HANDOVER, CANCEL)
    about = f"{THIS_ALERT}: {alerts.name(card)}." if card is not None else ""
    sentences = (about, "Handover: what fires, who works on it, what runs, is paused and comes next.")
    question = Question("Write up as Markdown", tuple(each for each in sentences if each), choices, 0)

    def answered(button: str | None) -> None:
        if button == THIS_ALERT and card is not None:
            report(host, card.alert.id)
        elif button == ALL_OPEN:
            report(host)
        elif button == HANDOVER:
            hand_over(host)

    host.open_dialog(Confirm(host, question), answered)


def report(host: Host, *numbers: int) -> None:
    """Writes up these alerts, or all open ones."""
    title = f"report of alert {numbers[0]}" if numbers else "report of all open alerts"
    _open(host, title, lambda: host.service.alerts.write_up(numbers), command_lines.report(*numbers))


def hand_over(host: Host) -> None:
    """Writes what the next shift has to know."""
    snapshot, now = host.snapshot, host.now()
    _open(host, "handover", lambda: write_ups.handover(snapshot, now), command_lines.HANDOVER)


def _open(host: Host, title: str, write: Callable[[], str], command: CommandLine) -> None:
    host.open_page(DocumentScreen(host, title, write, command))


def end_silence(host: Host, target: str) -> None:
    """Ends the silence of exactly this target."""
    host.send(f"end of the silence of {target}", lambda: host.service.alerts.unsilence(target))
