"""Which section of the runbook describes an alert."""

from __future__ import annotations

import re

from opsconsole.rules.findings import FindingKind

PAGE = "docs/runbook.md"


def section(rule: FindingKind, subject: str) -> str:
    """Where the runbook describes an alert: `docs/runbook.md#failed_run`. A pack's check has a section of its own."""
    return f"{PAGE}#{anchor(subject if rule is FindingKind.CHECK else rule)}"


def anchor(title: str) -> str:
    """The anchor that Markdown viewers give to a title."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
