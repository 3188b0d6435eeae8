"""The checks that packs bring: read twice a minute. One that fails or hangs does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import ExtensionContext, Resources
from opsconsole.authoring.extensions import CONFIGURATION, Check, Condition
from opsconsole.authoring.pack import Pack
from opsconsole.cache.figures import CacheDay
from opsconsole.core.clock import Clock
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import OpsconsoleError, Unavailable
from opsconsole.core.problems import Severity, Work
from opsconsole.core.supervision import Loop, describe
from opsconsole.core.text import safe
from opsconsole.core.time_limit import Calls
from opsconsole.rules.findings import Finding, FindingKind

SECONDS = 30.0
ANSWER_SECONDS = 10.0
"""How long all checks together are waited for. One that takes longer is read the next time, if it is done by then."""
MAX_CONDITIONS, MAX_MESSAGE = 20, 200
PROBED = ("redis", "data", "store")
"""Dependencies with a probe, whose alert is enough."""

Outcome = tuple[Condition, ...] | str | None
"""What a check returned, why it could not be read, or None when a dependency that is probed is unreachable."""


class PackChecks:
    """Reads the checks of all packs in a loop, and keeps their findings. `tools` makes connections for one pack;
    `cache_days` reads figures of the cache.
    """

    def __init__(
        self,
        catalog: Catalog,
        tools: Callable[[], Resources],
        cache_days: Callable[[int], Sequence[CacheDay]],
        *,
        now: Clock,
    ) -> None:
        self._now = now
        self._calls: Calls[Outcome] = Calls("check")
        self._findings: dict[str, Finding] = {}
        self._found_at: dict[str, datetime] = {}
        self._judged: set[str] = set()
        self._tools: list[Resources] = []
        self._checks: dict[str, tuple[Check, ExtensionContext]] = {}
        notes = catalog.notes()
        self._lacking = tuple(
            Finding(Severity.WARNING, FindingKind.CHECK, f"{pack}.{CONFIGURATION}", now(), reason=note)
            for pack, note in dict(reversed(notes)).items()  # the first note of each
        )
        for pack in (pack for pack in catalog.packs if pack.checks):
            own = tuple(note for name, note in notes if name == pack.name)
            context = self._context(pack, catalog, tools(), own, cache_days)
            self._checks |= {f"{pack.name}.{check.name}": (check, context) for check in pack.checks}
        self.loop = Loop(Work.PACK_CHECKS, self.read, seconds=SECONDS, now=now)

    def findings(self) -> tuple[Finding, ...]:
        """What packs lack in this process, and what the checks found when they were last read."""
        now, found = self._now(), self._findings
        lasting = (subject for subject in found if self._lasts(subject, now))
        return (*self._lacking, *(found[subject] for subject in lasting))

    def unknown_kinds(self) -> Iterator[FindingKind]:
        """`check`, while one of them has not been read."""
        if not self._judged.issuperset(self._checks):
            yield FindingKind.CHECK

    def read(self) -> None:
        """Reads all checks, and waits for them as long as it may."""
        deadline = time.monotonic() + ANSWER_SECONDS
        started = {
            subject: self._calls.start(subject, partial(_outcome, check, context))
            for subject, (check, context) in self._checks.items()
        }
        found = dict(self._findings)
        for subject, call in started.items():
            result = self._calls.finish(subject, call, deadline)
            outcome = f"no result after {ANSWER_SECONDS:g} s" if result is None else result[0]
            if outcome is None:
                continue  # what it found before still stands
            self._judged.add(subject)
            finding = self._finding(subject, outcome, found.pop(subject, None))
            if finding is not None:
                found[subject] = finding
        self._found_at = {subject: self._found_at.get(subject, self._now()) for subject in found}
        self._findings = found

    def close(self) -> None:
        """Closes the connections. A check that hangs keeps its own."""
        for tools in self._tools:
            tools.close()

    def _lasts(self, subject: str, now: datetime) -> bool:
        """Whether a check has found something for as long as it takes to be an alert."""
        after = self._checks[subject][0].after
        found_at = self._found_at.get(subject)
        return not after or (found_at is not None and now - found_at >= after)

    def _context(
        self,
        pack: Pack,
        catalog: Catalog,
        tools: Resources,
        notes: tuple[str, ...],
        cache_days: Callable[[int], Sequence[CacheDay]],
    ) -> ExtensionContext:
        self._tools.append(tools)
        return ExtensionContext(
            tools, catalog.options(pack), catalog.families, leader_notes=lambda: notes, cache_days=cache_days
        )

    def _finding(self, subject: str, outcome: tuple[Condition, ...] | str, before: Finding | None) -> Finding | None:
        """What an outcome means. A check that cannot be read is no better than it was before."""
        if isinstance(outcome, str):
            message = f"it cannot be read: {outcome}"
            if before is not None:
                return replace(before, reason=message)
            return Finding(Severity.WARNING, FindingKind.CHECK, subject, self._now(), reason=message)
        if not outcome:
            return None
        since = before.since if before is not None else min(each.since or self._now() for each in outcome)
        return Finding(
            max(each.severity for each in outcome),
            FindingKind.CHECK,
            subject,
            since,
            reason="; ".join(each.message for each in outcome),
        )


def _outcome(check: Check, context: ExtensionContext) -> Outcome:
    """Reads a check. There is always an outcome."""
    try:
        return tuple(_conditions(check.read(context)))
    except Unavailable as error:
        return None if error.dependency in PROBED else error.sentence
    except OpsconsoleError as error:
        return error.sentence
    except SQLAlchemyError as error:
        return f"the data cannot be read: {reason(error)}"
    except BaseException as error:  # noqa: BLE001 - a pack may raise anything
        return f"the pack raised {describe(error)[0]}"


def _conditions(returned: Iterable[object]) -> Iterator[Condition]:
    """The conditions that a check returned, with messages that are safe to show. Raises WrongConditions."""
    for each in islice(returned, MAX_CONDITIONS):
        if not isinstance(each, Condition) or _is_wrong(each.severity, each.since):
            raise WrongConditions
        yield replace(each, message=safe(each.message, MAX_MESSAGE))


def _is_wrong(severity: Any, since: Any) -> bool:
    """Whether these are no fields of a condition."""
    has_zone = since is None or (isinstance(since, datetime) and bool(since.tzinfo))
    return not has_zone or not isinstance(severity, Severity)


class WrongConditions(OpsconsoleError):
    """A check returned something other than conditions."""

    def __init__(self) -> None:
        super().__init__("it must return Condition(severity, message), and `since` must have a timezone")
