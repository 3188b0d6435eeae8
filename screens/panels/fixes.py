"""Selects the action that fixes a finding, and the word for it beside its key."""

from __future__ import annotations

from typing import NamedTuple

from opsconsole.rules.findings import Remedy
from screens.keymap import first_key


class Fix(NamedTuple):
    """An action by the id of its key, and the word that is shown beside the key."""

    action: str
    word: str

    @property
    def default(self) -> tuple[str, str]:
        """Its default key and the word, as a footer has them."""
        return first_key(self.action, {}), self.word


CANCEL, RESUME = Fix("cancel", "cancel"), Fix("resume", "resume")
OF = {
    Remedy.TRIGGER: Fix("trigger", "trigger"),
    Remedy.RETRY: Fix("retry", "retry"),
    Remedy.BACKFILL: Fix("backfill", "backfill"),
}
"""The action that fixes what a finding reports."""
