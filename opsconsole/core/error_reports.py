"""Reports uncaught errors and failed runs to Sentry, if SENTRY_DSN is set.

Reports have no values of variables, no items, and no message of a library, which may repeat data as databases do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from opsconsole.core.settings import Secret
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.core.sentry import Reporter

Level = Literal["error", "warning"]

_reporter: Reporter | None = None


def configure(dsn: Secret | None, environment: str, host: str) -> None:
    """From now on, reports go to this project, or nowhere without a DSN."""
    global _reporter
    _reporter = None
    if dsn is not None:
        from opsconsole.core.sentry import Reporter  # loaded only with a DSN

        _reporter = Reporter(dsn, environment, host)


def report_error(where: str, error: BaseException) -> None:
    """Reports an uncaught error and its causes, and where it was caught."""
    if _reporter is not None:
        from opsconsole.core.sentry import exceptions

        values = exceptions(error)
        _reporter.send({"level": "error", "exception": {"values": values}, "tags": {"where": safe(where, 200)}})


def report(
    message: str,
    *,
    level: Level,
    tags: Mapping[str, str],
    facts: Mapping[str, Any],
    fingerprint: list[str],
) -> None:
    """Reports something that is no exception. `facts` are shown with it; reports with the same `fingerprint` are
    grouped.
    """
    if _reporter is not None:
        _reporter.send(
            {
                "level": level,
                "message": message,
                "tags": dict(tags),
                "contexts": {"run": dict(facts)},
                "fingerprint": list(fingerprint),
            }
        )
