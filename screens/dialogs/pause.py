"""The dialog that pauses a job, its pack, or all jobs."""

from __future__ import annotations

from collections.abc import Sequence

from screens import command_lines
from screens.command_lines import CommandLine
from screens.dialogs.until import Target, UntilDialog, UntilRequest
from screens.host import Host
from screens.panels import pauses
from screens.widgets import symbols


class PauseDialog(UntilDialog):
    """Asks what to pause, for how long, and why. `targets` are names with their descriptions."""

    def __init__(self, host: Host, targets: Sequence[tuple[str, str]]) -> None:
        shown = [Target(name, name, description) for name, description in targets]
        super().__init__(host, "Pause", shown, pauses.DURATIONS, chosen=pauses.DEFAULT_DURATION)

    def command_line(self, request: UntilRequest) -> CommandLine:
        """The pause."""
        return command_lines.pause(request.target, request.duration, request.note)

    def end(self, request: UntilRequest) -> str:
        """When it ends, in the zone of the job."""
        now = self.host.now()
        return pauses.new_end(pauses.until(request.duration, now), now, self.host.zone_of(request.target))

    def existing(self, target: str) -> tuple[Sequence[str], str]:
        """The pause of exactly that target."""
        snapshot, now = self.host.snapshot, self.host.now()
        found = next((each for each in pauses.active(snapshot.pauses, target, now) if each.target == target), None)
        if found is None:
            return (), ""
        sentence = pauses.sentence(found, target, now, self.host.zone_of(target))
        return (f"{symbols.PAUSED.char} {sentence}", "This pause replaces it."), symbols.PAUSED.style
