"""Errors that write their own sentence: what is wrong, and what to do about it."""

from __future__ import annotations

from enum import IntEnum

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
    """Base of all errors that are shown to an operator as one sentence."""

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
    """A schedule that cannot be read, or that never fires."""

    exit_code = Exit.USAGE

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"schedule {text!r} is invalid: {why}")


class BadZone(OpsconsoleError):
    """A timezone that the zone database does not know."""

    exit_code = Exit.USAGE

    def __init__(self, name: str, hint: str = "use an IANA name such as Asia/Kolkata or UTC") -> None:
        super().__init__(f"timezone {name!r} is not known; {hint}")


class BadSettings(OpsconsoleError):
    """A configuration that cannot be used: every problem at once.

    `problems` holds one finished sentence each.
    """

    exit_code = Exit.CONFIGURATION

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class BadWindow(OpsconsoleError):
    """A date that names no window of a job."""

    exit_code = Exit.USAGE


class UnknownJob(OpsconsoleError):
    """A job name or alias that no loaded pack defines."""

    exit_code = Exit.USAGE

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"there is no job {name!r}; the jobs are {', '.join(known) or 'none (no pack is loaded)'}")


class UnknownRun(OpsconsoleError):
    """A run number that the store does not have."""

    exit_code = Exit.USAGE

    def __init__(self, run: int) -> None:
        super().__init__(f"there is no run {run}; `opsconsole runs` lists the newest")


class UnknownBackfill(OpsconsoleError):
    """A backfill number that the store does not have."""

    exit_code = Exit.USAGE

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no backfill {number}; `opsconsole backfill list` lists the newest")


class Refused(OpsconsoleError):
    """An action that may not be carried out as things are."""

    exit_code = Exit.REFUSED


class NotBackfillable(OpsconsoleError):
    """A job that has no past windows to fill."""

    exit_code = Exit.USAGE

    def __init__(self, job: str, why: str) -> None:
        super().__init__(f"{job} {why}: there is nothing to backfill; run it by hand instead")


class CannotTellStale(OpsconsoleError):
    """A job that does not say what is out of date."""

    exit_code = Exit.USAGE

    def __init__(self, job: str) -> None:
        super().__init__(f"{job} cannot tell what is stale; run the whole window instead")


class NotAllowed(OpsconsoleError):
    """Whoever asks may only look."""

    exit_code = Exit.NOT_ALLOWED

    def __init__(self, verb: str) -> None:
        super().__init__(f"{verb} is refused: this was opened with --read-only and may only look")


class NotLeading(OpsconsoleError):
    """Another process holds the lease."""

    exit_code = Exit.NOT_LEADING


class BadSeal(OpsconsoleError):
    """A text that is no seal of the audit trail."""

    exit_code = Exit.USAGE

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not a seal; copy one that `opsconsole audit seal` printed, such as 41:6f2c...")


class Fenced(OpsconsoleError):
    """A write was refused because another process has taken the lease since."""

    def __init__(self, token: int) -> None:
        super().__init__(f"this process no longer leads (its token {token} is old); it stops what it was doing")


class SchemaMismatch(OpsconsoleError):
    """The store's tables are of another version than this program."""

    exit_code = Exit.CONFIGURATION


class Unavailable(OpsconsoleError):
    """A service that jobs depend on does not answer.

    `dependency` is `redis`, `data`, or a service that a pack asks; `reason` is safe to show.
    """

    def __init__(self, dependency: str, reason: str) -> None:
        self.dependency = dependency
        self.reason = reason
        super().__init__(f"{NAMES.get(dependency, dependency)} is away: {reason}")


NAMES = {"redis": "Redis", "data": "the data database", "store": "the store", "claude": "the Claude API"}
"""How each dependency is called on the screen and in messages."""
