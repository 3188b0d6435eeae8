"""The outcomes and the progress of commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconsole.service import wording


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a command. `facts` are the values its verb returns, such as the keys cleared of each family; or
    the `error`, its `message` and the `exit_code` when it was refused.
    """

    verb: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> int | None:
        """The run that was queued or changed."""
        return self.facts.get("run")

    @property
    def runs(self) -> tuple[int, ...]:
        """The runs that were queued."""
        return tuple(self.facts.get("runs", ()))

    @property
    def error(self) -> str | None:
        """The code of the error that refused it, such as `unknown_job`."""
        return self.facts.get("error")

    @property
    def refused(self) -> str | None:
        """The message of that error; None when the command was executed."""
        return self.facts.get("message") if self.error is not None else None

    @property
    def done(self) -> str | None:
        """The result as a sentence; None when the result is one queued run."""
        return None if self.error is not None else wording.done(self.verb, self.facts)

    @property
    def exit_code(self) -> int:
        """The exit code for a command line."""
        return int(self.facts.get("exit_code", 0))


@dataclass(frozen=True, slots=True)
class CommandProgress:
    """The progress of a command that is carried out in steps: the current `step`, the keys `scanned` out of `of`, and
    the keys cleared.
    """

    step: str
    scanned: int
    of: int
    cleared: int
