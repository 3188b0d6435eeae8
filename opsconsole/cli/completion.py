"""Completes arguments in shells: names and numbers from the store, read in a fraction of a second.

On any error, such as a store that does not exist, nothing is completed: a shell has no place for a message.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, unquote

import click
from click.shell_completion import CompletionItem

from opsconsole.authoring.run import NEEDS_A_LOOK, OPEN, RunState
from opsconsole.cli.options import Options, load_settings
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.core.database import Connection
    from opsconsole.store.names import Numbered

COMPLETE_VARIABLE = "_OPSCONSOLE_COMPLETE"
MAX_OFFERED = 50
"""The most numbers that are offered."""
SECONDS = 1.0
"""How long a database may take to answer."""
_PLAIN = re.compile(r"[\w.:-]+")
"""Words without characters that have a meaning in a shell."""

T = TypeVar("T")


def complete_job(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Jobs."""
    return _words(_jobs(ctx), incomplete)


def complete_pack(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Packs with jobs."""
    return _words(_packs(_jobs(ctx)), incomplete)


def complete_pausable(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Jobs, packs, and `all`."""
    names = _jobs(ctx)
    return _words([*names, *_packs(names), "all"], incomplete)


def complete_silenceable(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Open alerts, jobs, packs and rules."""
    from opsconsole.rules.findings import FindingKind

    names = _jobs(ctx)
    return [*complete_alert(ctx, _parameter, incomplete), *_words([*names, *_packs(names), *FindingKind], incomplete)]


def complete_alert(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The numbers of open alerts."""

    def query(db: Connection) -> Sequence[Numbered]:
        from opsconsole.store.names import open_alerts

        return open_alerts(db, MAX_OFFERED)

    return _numbers(_read(ctx, query), incomplete)


def complete_backfill(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The numbers of backfills and plans."""
    return _backfills(ctx, incomplete)


def complete_plan(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The numbers of plans that were not applied."""
    from opsconsole.rules.backfill_status import BackfillState  # every command imports this module

    return _backfills(ctx, incomplete, (BackfillState.PLANNED,))


def complete_filter(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The words of a filter of runs that are not user data: jobs, states, and a few days."""
    return _words([*_jobs(ctx), *RunState, "today", "yesterday", "mine", "by", "since"], incomplete)


def complete_run(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The numbers of the newest runs."""
    return _runs(ctx, incomplete)


def complete_active_run(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The numbers of runs that have not ended."""
    return _runs(ctx, incomplete, OPEN)


def complete_failed_run(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The numbers of runs with something to retry."""
    return _runs(ctx, incomplete, NEEDS_A_LOOK)


def _runs(ctx: click.Context, incomplete: str, states: Collection[str] | None = None) -> list[CompletionItem]:
    def query(db: Connection) -> Sequence[Numbered]:
        from opsconsole.store.names import newest_runs

        return newest_runs(db, MAX_OFFERED, states)

    return _numbers(_read(ctx, query), incomplete)


def _backfills(ctx: click.Context, incomplete: str, states: Collection[str] | None = None) -> list[CompletionItem]:
    def query(db: Connection) -> Sequence[Numbered]:
        from opsconsole.store.names import newest_backfills

        return newest_backfills(db, MAX_OFFERED, states)

    return _numbers(_read(ctx, query), incomplete)


def _jobs(ctx: click.Context) -> Sequence[str]:
    def query(db: Connection) -> Sequence[str]:
        from opsconsole.store.names import job_names

        return job_names(db)

    return _read(ctx, query)


def _packs(jobs: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(job.partition(".")[0] for job in jobs))


def _words(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete) and _PLAIN.fullmatch(word)]


def _numbers(rows: Iterable[Numbered], incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(str(row.number), help=safe(" ".join(row.about), 80))
        for row in rows
        if str(row.number).startswith(incomplete)
    ]


def _read(ctx: click.Context, query: Callable[[Connection], Sequence[T]]) -> Sequence[T]:
    """The result of a query of the store; nothing on any error."""
    logging.disable()
    try:
        given = {name: value for name, value in ctx.find_root().params.items() if value is not None}
        settings = load_settings(Options(**given))
        if settings.embedded_store and not (settings.folder / "store.db").exists():
            return ()
        from opsconsole.store import Store  # takes most of the time

        store = Store(_impatient(settings.store_url.reveal()), pool=1, statement_seconds=SECONDS)
        try:
            with store.reading() as db:
                return query(db)
        finally:
            store.close()
    except Exception:  # noqa: BLE001 - a traceback would stand in the middle of what somebody types
        return ()
    finally:
        logging.disable(logging.NOTSET)


def _impatient(url: str) -> str:
    """A URL with a shorter wait for the connection; an SQLite file that does not exist is not created."""
    if url.startswith("sqlite:///"):
        file = unquote(url.removeprefix("sqlite:///"))
        return f"sqlite:///file:{quote(quote(file))}?mode=ro&uri=true"
    return f"{url}{'&' if '?' in url else '?'}connect_timeout=1"
