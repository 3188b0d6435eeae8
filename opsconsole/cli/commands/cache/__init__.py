"""`cache`: what Redis holds, and how it is cleared."""

from __future__ import annotations

import click

from opsconsole.cli.commands import LazyGroup

SUMMARIES = {
    "cancel": "Cancel a clearing of the cache.",
    "clear": "Clear cached keys of a user, subject, family or date.",
    "families": "List the declared families of cache keys.",
    "invalidate": "Remove cached values after another program has changed data.",
    "show": "Show the value of a cached key.",
    "stats": "Show statistics of the Redis server.",
}


@click.group("cache", cls=LazyGroup, package=__name__, summaries=SUMMARIES)
def command() -> None:
    """Show and clear what is cached in Redis.

    \b
    Examples:
      opsconsole cache stats
      opsconsole cache families --count
      opsconsole cache clear --user u0417 --dry-run
    """
