"""Every route of the HTTP API that is declared as an operation."""

from __future__ import annotations

from opsconsole.http import alerts, audit, backfills, cache, jobs, run_lists, runs
from opsconsole.http.fields import field_types, is_required
from opsconsole.http.operations import AnyOperation

OPERATIONS: tuple[AnyOperation, ...] = (
    *jobs.OPERATIONS,
    *run_lists.OPERATIONS,
    *runs.OPERATIONS,
    *backfills.OPERATIONS,
    *alerts.OPERATIONS,
    *cache.OPERATIONS,
    *audit.OPERATIONS,
)
"""In the order of the reference."""


def reference() -> str:
    """The routes as a Markdown table."""
    rows = [f"| `{each.method} {each.path}` | {each.summary} | {_fields(each)} |" for each in OPERATIONS]
    return "\n".join(["| route | | fields |", "|---|---|---|", *rows])


def _fields(operation: AnyOperation) -> str:
    given = [name for name in field_types(operation.request) if f"{{{name}}}" not in operation.path]
    given.sort(key=lambda name: not is_required(operation.request, name))
    return ", ".join(f"`{name}`" for name in given)
