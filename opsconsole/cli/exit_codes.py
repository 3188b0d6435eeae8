"""The exit codes of commands: their help lists them."""

from __future__ import annotations

from opsconsole.core.errors import Exit

ExitCodes = dict[Exit, str]
"""What each exit code of a command means."""

LOCAL: ExitCodes = {Exit.DONE: "done", Exit.USAGE: "an argument or option is invalid"}
"""Of commands that read no configuration."""

READING: ExitCodes = {
    **LOCAL,
    Exit.FAILED: "failed; the message names the cause",
    Exit.CONFIGURATION: "the configuration, the store or the jobs cannot be used",
}
"""Of commands that change nothing."""

ACTING: ExitCodes = {
    **READING,
    Exit.FAILED: "failed, or not confirmed",
    Exit.REFUSED: "refused; the message names the reason",
    Exit.NOT_ALLOWED: "not allowed with --read-only",
}
"""Of commands that change something."""

WAITING: ExitCodes = {
    **ACTING,
    Exit.FAILED: "failed, timed out, cancelled, or not confirmed",
    Exit.ITEMS_FAILED: "ended, but some items failed",
}
"""Of commands that can wait for the end of runs."""

ALL: ExitCodes = {
    Exit.DONE: "done",
    Exit.FAILED: (
        "failed, timed out, cancelled, or not confirmed; a database or Redis is unreachable; `lint` has warnings; "
        "`audit verify`, `notify-test` or `panels` found a problem; `health`: warning"
    ),
    Exit.USAGE: (
        "an argument or option is invalid; the console has no terminal; `headless` with --read-only or --observe has "
        "no --http; `health`: critical"
    ),
    Exit.ITEMS_FAILED: "ended, but some items failed; `health`: unknown",
    Exit.REFUSED: "refused, for example because a run is active already, or a plan is out of date",
    Exit.NOT_LEADING: "`headless --no-standby`: another process leads",
    Exit.NOT_ALLOWED: "not allowed with --read-only",
    Exit.CONFIGURATION: "the configuration, the store or the jobs cannot be used; `check` found a problem",
}
"""Of all commands together."""

BACKFILLING: ExitCodes = {
    **WAITING,
    Exit.FAILED: "all windows failed, or the backfill was paused, cancelled or not confirmed",
    Exit.ITEMS_FAILED: "some windows failed",
    Exit.REFUSED: "refused; the message lists what has changed since the plan, or names the reason",
}
"""Of commands that can wait for the end of a backfill."""
