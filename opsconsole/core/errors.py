"""Errors with a message for the operator: what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import IntEnum
from pathlib import Path
from typing import Any

from opsconsole.core.humanize import alternatives
from opsconsole.core.text import snake_case


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    ITEMS_FAILED = 3
    REFUSED = 4
    NOT_LEADING = 75
    NOT_ALLOWED = 77
    CONFIGURATION = 78


class OpsconsoleError(Exception):
    """Base of all errors that are shown to an operator in one line."""

    exit_code = Exit.FAILED

    @property
    def code(self) -> str:
        """The class as a token: `unknown_job`."""
        return snake_case(type(self).__name__)

    @property
    def sentence(self) -> str:
        """The whole message, one line."""
        return str(self)


class BadCron(OpsconsoleError):
    """A schedule that is invalid or never fires."""

    exit_code = Exit.USAGE

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"schedule {text!r} is invalid: {why}")


class BadZone(OpsconsoleError):
    """A timezone that is not in the zone database."""

    exit_code = Exit.USAGE

    def __init__(self, name: str, hint: str = "use an IANA name such as Asia/Kolkata or UTC") -> None:
        super().__init__(f"unknown timezone {name!r}; {hint}")


class BadSettings(OpsconsoleError):
    """A configuration that cannot be used. `problems` has a message for each thing that is wrong."""

    exit_code = Exit.CONFIGURATION

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class BadConfiguration(BadSettings):
    """Problems of the configuration file and the environment. `source` is the file; `packs`, `overrides` and `options`
    are what could be read, so that their problems can be reported as well.
    """

    def __init__(
        self,
        problems: list[str],
        source: Path | None,
        packs: tuple[str, ...],
        overrides: Mapping[str, Any],
        options: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.source, self.packs, self.overrides, self.options = source, packs, overrides, options
        super().__init__([f"{source}: {line}" if source else line for line in problems])


class BadWindow(OpsconsoleError):
    """A date that is not in any window of a job."""

    exit_code = Exit.USAGE


class DateSkipped(BadWindow):
    """A date that a zone does not have, as it moved across the date line."""

    def __init__(self, day: date, tz: str) -> None:
        super().__init__(f"{day} does not exist in {tz}, which skipped it; choose another date")


class UnknownJob(OpsconsoleError):
    """A job name or alias that no loaded pack defines. `packs` are given where a pack would do too."""

    exit_code = Exit.USAGE

    def __init__(self, name: str, jobs: list[str], *, similar: list[str], packs: list[str] | None = None) -> None:
        self.name, self.jobs, self.similar = name, jobs, similar
        if similar:
            hint = f"did you mean {alternatives(similar)}?"
        elif packs:
            hint = f"the packs are {', '.join(packs)}; `opsconsole jobs` lists the jobs"
        else:
            hint = f"the jobs are {', '.join(jobs)}" if jobs else "no pack is loaded"
        super().__init__(f"unknown {'job' if packs is None else 'job or pack'} {name!r}; {hint}")


class UnknownRun(OpsconsoleError):
    """A run that is not in the store."""

    exit_code = Exit.USAGE

    def __init__(self, run: int) -> None:
        super().__init__(f"run {run} does not exist; `opsconsole runs` lists the newest")


class UnknownBackfill(OpsconsoleError):
    """A backfill that is not in the store."""

    exit_code = Exit.USAGE

    def __init__(self, number: int) -> None:
        super().__init__(f"backfill {number} does not exist; `opsconsole backfill list` lists the newest")


class UnknownAlert(OpsconsoleError):
    """An alert that is not in the store."""

    exit_code = Exit.USAGE

    def __init__(self, number: int) -> None:
        super().__init__(f"alert {number} does not exist; `opsconsole alerts` lists them")


class Refused(OpsconsoleError):
    """An action that the current state does not allow."""

    exit_code = Exit.REFUSED


class BadValue(OpsconsoleError):
    """A value that cannot be stored or sent: from job code, or from an operator."""

    exit_code = Exit.USAGE


class NotBackfillable(OpsconsoleError):
    """A job without past windows."""

    exit_code = Exit.USAGE

    def __init__(self, job: str, reason: str) -> None:
        super().__init__(f"{job} {reason}: there is nothing to backfill; run it by hand instead")


class StaleNotSupported(OpsconsoleError):
    """A job that cannot detect stale items."""

    exit_code = Exit.USAGE

    def __init__(self, job: str) -> None:
        super().__init__(f"{job} cannot detect stale items; run the whole window instead")


class NotAllowed(OpsconsoleError):
    """A viewer requested an action."""

    exit_code = Exit.NOT_ALLOWED

    def __init__(self, action: str) -> None:
        super().__init__(
            f"{action.replace('_', ' ')} is not allowed in read-only mode; start opsconsole without --read-only"
        )


class BadSeal(OpsconsoleError):
    """A text that is not a seal of the audit trail."""

    exit_code = Exit.USAGE

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not a seal; copy one that `opsconsole audit seal` printed, such as 41:6f2c...")


class Fenced(OpsconsoleError):
    """A write was refused because another process holds the lease by now."""

    def __init__(self, token: int) -> None:
        super().__init__(f"this process no longer leads: its fencing token {token} is outdated")


class LeaseExpired(OpsconsoleError):
    """This process could not renew its lease in time: it was stopped, or the store was slow."""

    def __init__(self) -> None:
        super().__init__("this process no longer leads: it could not renew its lease in time")


class SchemaMismatch(OpsconsoleError):
    """The store's tables have another version than this program."""

    exit_code = Exit.CONFIGURATION


class Unavailable(OpsconsoleError):
    """A dependency is unreachable.

    `dependency` is `redis`, `data`, `store`, or a service that a pack uses; `reason` is safe to show. `permanent` means
    that it stays so until somebody changes the configuration or the server: waiting does not help.
    """

    def __init__(self, dependency: str, reason: str, *, permanent: bool = False) -> None:
        self.dependency = dependency
        self.reason = reason
        self.permanent = permanent
        # A database that is reached and stays unusable lacks a GRANT.
        problem = "refuses this" if permanent and dependency in ("store", "data") else "is unreachable"
        super().__init__(f"{NAMES.get(dependency, dependency)} {problem}: {reason}")


class StoreLocked(Unavailable):
    """Another transaction holds the lock of the store; `holder` is its process, empty when that is unknown."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        super().__init__("store", "it is locked")

    @property
    def sentence(self) -> str:
        """The whole message, one line: the store is reachable."""
        return f"the store is locked{f' by {self.holder}' if self.holder else ''}; it accepts no writes"


class NotPermitted(Unavailable):
    """The Redis user may not run a command, such as `INFO` or `CLIENT SETNAME`."""

    def __init__(self, command: str) -> None:
        self.command = command
        super().__init__("redis", f"the Redis user may not run {command}", permanent=True)

    @property
    def sentence(self) -> str:
        """The whole message, one line: the server is reachable."""
        return f"{self.reason}; the Redis ACL in docs/operations.md allows what opsconsole needs"


NAMES = {
    "redis": "Redis",
    "broker": "the broker",
    "data": "the data database",
    "store": "the store",
    "claude": "the Claude API",
}
"""The name of each dependency in messages."""
