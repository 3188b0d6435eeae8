"""The one front door: every question and every action, for the screens, the command line and HTTP."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Serving, Tools, how_many
from opsconsole.authoring.job import OPEN, Pack, Run, RunState, Scope, Selection
from opsconsole.cache import clearing
from opsconsole.cache.clearing import Swept
from opsconsole.cache.families import Family
from opsconsole.cache.statistics import RedisStats, Survey, sample
from opsconsole.core import clock
from opsconsole.core.database import reason
from opsconsole.core.errors import CannotTellStale, NotAllowed, Refused, Unavailable
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.settings import Actor, Role, Settings
from opsconsole.leader import command_handlers as orders
from opsconsole.leader.command_handlers import Verb
from opsconsole.leader.engine import Engine
from opsconsole.rules.backfill import Only, Seen, StepState
from opsconsole.service import backfills as calendar, occurrences as questions, panels, runs as history
from opsconsole.service.presence import Attending
from opsconsole.service.sampler import Sampler
from opsconsole.service.snapshot import (
    Advance,
    Explanation,
    JobCard,
    Leader,
    Occurrences,
    Outcome,
    PanelView,
    Preview,
    RunPage,
    Snapshot,
)
from opsconsole.store import Store, audit, backfills, commands, logs, pauses, runs
from opsconsole.store.audit import Checked, Entry
from opsconsole.store.backfills import Backfill, BackfillState, StepView
from opsconsole.store.commands import CommandState
from opsconsole.store.logs import LogLine
from opsconsole.store.occurrence_history import Wanted
from opsconsole.store.pauses import Pause
from opsconsole.store.presence import Attached
from opsconsole.store.runs import Filter
from opsconsole.worker.work import population, stale

POLL_SECONDS = 0.05
LOG_PAGE = 1000


class Desk:
    """All that a face may ask for.

    `engine` is the one in this process, if there is one; `successor` starts a process that can take over from it, where
    there can be one. Methods block on the store; they raise OpsconsoleError with a sentence for the operator.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        catalog: Catalog,
        *,
        engine: Engine | None = None,
        now: clock.Clock = clock.now,
    ) -> None:
        self.settings, self.store, self.catalog, self.engine = settings, store, catalog, engine
        self._now = now
        self._sampler: Sampler | None = None
        self._attending: Attending | None = None
        self.successor: Callable[[], None] | None = None
        assert settings.redis_url is not None  # noqa: S101 - whoever opens the program names a server
        self._tools = Tools(settings.data_url.reveal(), settings.redis_url.reveal(), now=now)

    # --- questions ----------------------------------------------------------------------------------------------

    def jobs(self) -> tuple[JobCard, ...]:
        """Every job with its next instant and its newest run."""
        with history.asking(self.store) as db:
            return history.cards(db, self.catalog, self._now())

    def runs(self, *, limit: int, job: str | None = None, states: Sequence[RunState] | None = None) -> list[Run]:
        """The newest runs first."""
        name = self.catalog.find(job).name if job else None
        with history.asking(self.store) as db:
            return runs.newest(db, limit=limit, job=name, states=states)

    def run(self, number: int) -> Run:
        """One run. Raises UnknownRun."""
        with history.asking(self.store) as db:
            return runs.get(db, number)

    def run_page(self, number: int) -> RunPage:
        """A run with its batches, its failures by cause and its log. Raises UnknownRun."""
        with history.asking(self.store) as db:
            return history.page(db, self.catalog, number, self._now())

    def preview(self, job: str, day: str | None = None, *, only: Selection = Selection.ALL) -> Preview:
        """What a trigger would do now: its window and how many items. Raises BadWindow, UnknownJob, CannotTellStale,
        Unavailable.
        """
        found, now = self.catalog.find(job), self._now()
        window = orders.window_of(found, day, now)
        scope = Scope(window, now, {}, self.catalog.options(found))
        items = how_many(self._tools.data, stale(found, scope) if only is Selection.STALE else population(found, scope))
        return Preview(found.name, window, found.tz, items, self.settings.console.environment)

    def redis_stats(self) -> RedisStats:
        """What Redis says about itself. Raises Unavailable."""
        return sample(self._tools.cache.client)

    def families(self) -> tuple[Family, ...]:
        """Every declared family of cache keys."""
        return self.catalog.families

    def count_keys(self, wanted: clearing.Wanted) -> Iterator[Swept]:
        """Counts the cached keys that `clear` would remove, step by step. Raises BadWanted, BadKey, Unavailable."""
        return clearing.sweep(self._tools.cache.client, self.catalog.families, wanted, remove=False)

    def survey(self, seconds: float) -> Survey:
        """What Redis holds of each family, as far as that can be found out in so many seconds. Raises Unavailable."""
        return self._tools.cache.survey(self.catalog.families, seconds=seconds)

    def panels(self) -> tuple[PanelView, ...]:
        """What each pack shows of itself now; asks its database. One that cannot be read says why."""
        return tuple(
            panels.view(pack.name, panel, self.serving(pack)) for pack in self.catalog.packs for panel in pack.panels
        )

    def serving(self, pack: Pack) -> Serving:
        """What the routes and panels of a pack receive."""
        return Serving(self._tools, self.catalog.options(pack), self.catalog.families)

    def snapshot(self) -> Snapshot:
        """Everything the Dashboard shows."""
        return self._sampling().take()

    def watch(self, callback: Callable[[Snapshot], None]) -> None:
        """Calls back from a thread of its own with a new Snapshot, twice a second while something runs."""
        self._sampling().start(callback)

    def zone(self, target: str | None) -> ZoneInfo:
        """Where a time about a job is read: in the job's zone; in UTC for a pack, for `all` and for nothing."""
        with history.asking(self.store) as db:
            return questions.zone_of(db, self.catalog, target)

    def occurrences(self, wanted: Wanted, *, limit: int) -> Occurrences:
        """What became of scheduled instants: the newest rows, and the totals of all. Raises UnknownJob."""
        with history.asking(self.store) as db:
            return questions.occurrences(db, self.catalog, wanted, limit=limit)

    def why(self, job: str, at: str) -> Explanation:
        """Why a job's instant ran or did not, with the rows that prove it. `at` is a time in ISO 8601, or as a clock in
        the job's zone shows it. Raises UnknownJob, BadTime.
        """
        with history.asking(self.store) as db:
            return questions.why(db, self.catalog, job, at, self._now())

    def pauses(self) -> list[Pause]:
        """The pauses that are in force, oldest first."""
        with history.asking(self.store) as db:
            return pauses.in_force(db, self._now())

    def leader(self) -> Leader | None:
        """Who holds the lease, be it a process that has died since; None when it is free."""
        with history.asking(self.store) as db:
            return history.leader(db, self.engine.owner if self.engine else None)

    def log(self, run: int, *, after: int = 0) -> list[LogLine]:
        """The next lines of a run's log, up to a thousand, with a number above `after`. Raises UnknownRun."""
        with history.asking(self.store) as db:
            runs.get(db, run)
            return logs.after(db, run, after, limit=LOG_PAGE)

    def trail(self, *, limit: int) -> list[Entry]:
        """Who asked for what and what came of it, newest first."""
        with history.asking(self.store) as db:
            return audit.newest(db, limit=limit)

    def verify_trail(self) -> Checked:
        """Whether the trail is whole and nobody has changed a row."""
        with history.asking(self.store) as db:
            return audit.verify(db)

    def runs_here(self) -> tuple[Run, ...]:
        """The running runs that this process would interrupt by ending now."""
        if self.engine is None or not self.engine.is_leading:
            return ()
        with history.asking(self.store) as db:
            return tuple(run for run in runs.unfinished(db) if run.state is RunState.RUNNING)

    # --- this process ------------------------------------------------------------------------------------------

    @property
    def read_only(self) -> bool:
        """Whether whoever is at the keyboard may only look."""
        return self.settings.actor.role is not Role.OPERATOR

    def attend(self, face: str) -> None:
        """From now on everybody sees that this process is there, as a `console` or as `headless`."""
        actor, at, pid = self.settings.actor, self._now(), os.getpid()
        owner = self.engine.owner if self.engine is not None else uuid.uuid4().hex
        me = Attached(owner, actor.name, actor.origin, self.settings.host, pid, face, "", at, at)
        self._attending = Attending(self.store, me, now=self._now)

    def looks_at(self, screen: str) -> None:
        """Says which screen is open."""
        if self._attending is not None:
            self._attending.looks_at(screen)

    def hand_over(self) -> None:
        """Starts a process without a screen that takes over when this one has ended. Raises Refused where there cannot
        be one.
        """
        if self.successor is None:
            raise Refused("what runs here ends with its console; wait, or stop it")
        self.successor()

    # --- actions ------------------------------------------------------------------------------------------------

    def trigger(
        self,
        job: str,
        day: str | None = None,
        *,
        only: Selection = Selection.ALL,
        backfill: bool = False,
        actor: Actor | None = None,
    ) -> int:
        """Asks for a run, over all items or only the stale ones, and returns the command's number. `actor` is who asks
        when that is not who is at the keyboard. Raises BadWindow, UnknownJob or CannotTellStale at once.
        """
        found = self.catalog.find(job)
        orders.window_of(found, day, self._now())
        if only is Selection.STALE and found.stale is None:
            raise CannotTellStale(found.name)
        return self._ask(Verb.TRIGGER, found.name, {"date": day, "only": only, "backfill": backfill}, actor)

    def retry(self, run: int, *, everything: bool = False) -> int:
        """Asks for what failed in a run, or for all of it, once more; the command's number. Raises UnknownRun."""
        self.run(run)
        return self._ask(Verb.RETRY, str(run), {"all": everything})

    def retry_matching(self, wanted: Filter, *, everything: bool = False) -> int:
        """Asks for what failed in every run that matches and was not retried yet; the command's number."""
        return self._ask(
            Verb.RETRY, orders.MATCHING, {"all": everything, "filter": msgspec.to_builtins(self._meant(wanted))}
        )

    def matching(self, wanted: Filter, *, limit: int) -> list[Run]:
        """The runs that `retry_matching` would retry, oldest first."""
        with history.asking(self.store) as db:
            return runs.undone(db, self._meant(wanted), after=0, limit=limit)

    def cancel(self, run: int, *, force: bool = False, note: str = "") -> int:
        """Asks that a run ends: when its batches in flight are done or the grace is over, by `force` at once. The
        command's number. Raises UnknownRun.
        """
        self.run(run)
        return self._ask(Verb.CANCEL, str(run), {"force": force, "note": note})

    def pause(self, target: str, *, until: datetime | None, note: str = "") -> int:
        """Asks that the instants of a job, a pack, or `all` are skipped until `until`, or until it is resumed when that
        is None; the command's number. A pause of the same target is replaced. Raises UnknownJob.
        """
        meant = orders.target_of(self.catalog, target)
        said = {"until": until.isoformat() if until else None, "note": note}
        return self._ask(Verb.PAUSE, meant, said)

    def resume(self, target: str, *, note: str = "") -> int:
        """Asks that a paused job, pack, or `all` goes on; the command's number. Raises UnknownJob."""
        return self._ask(Verb.RESUME, orders.target_of(self.catalog, target), {"note": note})

    def clear(self, wanted: clearing.Wanted, *, counted: int | None = None) -> int:
        """Asks that the cached keys that are wanted are removed, unless there are many more than were `counted`; the
        command's number. Raises BadWanted or BadKey at once.
        """
        self.count_keys(wanted)  # refuses what cannot be wanted; nothing is counted until somebody asks for a step
        said = {"user": wanted.user, "subject": wanted.subject, "family": wanted.family, "date": wanted.date}
        return self._ask(Verb.CLEAR, str(wanted), {**said, "counted": counted})

    def replay(self, since: datetime) -> int:
        """Asks that the events that happened at `since` or later are published again; the command's number."""
        return self._ask(Verb.REPLAY, f"events since {since.isoformat()}", {"since": since.isoformat()})

    # --- backfills ---------------------------------------------------------------------------------------------

    def calendars(self) -> tuple[calendar.Calendar, ...]:
        """The jobs that have windows. Known at once, without asking anybody."""
        return calendar.calendars(self.catalog)

    def windows(self, job: str, since: date | None = None, until: date | None = None) -> list[Seen]:
        """How the job's windows of a range of dates are; of the last 53 weeks when none is given. Raises UnknownJob,
        NotBackfillable, BadWindow.
        """
        found, now = self.catalog.find(job), self._now()
        first, last = calendar.year(found, now)
        return calendar.survey(self.store, self.catalog, found, since or first, until or last, now)

    def plan_backfill(
        self,
        jobs: Sequence[str],
        since: date,
        until: date,
        *,
        only: Only = Only.ALL,
        stops: bool = False,
        looking: calendar.Looking | None = None,
    ) -> int:
        """Keeps a plan to fill these jobs' windows from one date to the other, both included; its number. With `stops`
        a window that fails holds up the rest. Raises UnknownJob, NotBackfillable, BadWindow, Unavailable.
        """
        return calendar.plan(
            self.store,
            self._tools,
            self.catalog,
            jobs,
            since,
            until,
            only=only,
            stops=stops,
            asked_by=self.settings.actor.name,
            now=self._now(),
            looking=looking,
        )

    def backfill(self, number: int) -> Backfill:
        """One backfill, be it only planned. Raises UnknownBackfill."""
        with history.asking(self.store) as db:
            return backfills.get(db, number)

    def backfill_steps(self, number: int) -> list[StepView]:
        """The windows of a backfill, in the order of its plan."""
        with history.asking(self.store) as db:
            return backfills.steps_of(db, number)

    def backfill_warnings(self, number: int) -> list[str]:
        """What somebody should know before a plan is applied, one sentence each."""
        return calendar.warnings(self.catalog, [view.step for view in self.backfill_steps(number)])

    def backfills(self, *, limit: int) -> list[Backfill]:
        """The newest backfills first, plans that were never applied included."""
        with history.asking(self.store) as db:
            return backfills.newest(db, limit=limit)

    def apply_backfill(self, number: int) -> int:
        """Asks for exactly what was planned; the command's number. Raises UnknownBackfill."""
        return self._ask_backfill(Verb.APPLY_BACKFILL, number)

    def pause_backfill(self, number: int, *, note: str = "") -> int:
        """Asks that no further window of a backfill begins; the command's number. Raises UnknownBackfill."""
        return self._ask_backfill(Verb.PAUSE_BACKFILL, number, note=note)

    def resume_backfill(self, number: int) -> int:
        """Asks for what a backfill has not done, failed windows included; the command's number. Raises
        UnknownBackfill.
        """
        return self._ask_backfill(Verb.RESUME_BACKFILL, number)

    def cancel_backfill(self, number: int, *, note: str = "") -> int:
        """Asks that a backfill ends, with its runs that go on; the command's number. Raises UnknownBackfill."""
        return self._ask_backfill(Verb.CANCEL_BACKFILL, number, note=note)

    def wait_for_backfill(self, number: int, seconds: float) -> Backfill | None:
        """The backfill once nothing of it goes on; None when that is not so within so long."""
        end = time.monotonic() + seconds
        while True:
            found = self.backfill(number)
            running = found.counts.get(StepState.RUNNING, 0)
            if found.state is not BackfillState.RUNNING and not running:
                return found
            if time.monotonic() > end:
                return None
            time.sleep(POLL_SECONDS)

    def outcome(self, command: int, wait_seconds: float) -> Outcome | None:
        """What came of a command; None when no leader has carried it out within the wait."""
        end = time.monotonic() + wait_seconds
        while True:
            with history.asking(self.store) as db:
                found = commands.get(db, command)
            if found.state not in (CommandState.ASKED, CommandState.RUNNING):
                told = found.outcome
                return Outcome(
                    run=told.get("run"),
                    refused=told.get("why"),
                    exit_code=told.get("exit_code", 0),
                    done=told.get("done"),
                    runs=tuple(told.get("runs", ())),
                    facts=told,
                )
            if time.monotonic() > end:
                return None
            time.sleep(POLL_SECONDS)

    def progress(self, command: int) -> Advance | None:
        """How far a command is that is being carried out step by step; None before and after."""
        with history.asking(self.store) as db:
            found = commands.get(db, command)
        if found.state is not CommandState.RUNNING:
            return None
        told = found.outcome
        return Advance(told.get("step", ""), *(told.get(name, 0) for name in ("scanned", "of", "cleared")))

    def wait_for(self, run: int, seconds: float) -> Run | None:
        """The run once it has ended; None when it has not within so long."""
        end = time.monotonic() + seconds
        while (found := self.run(run)).state in OPEN:
            if time.monotonic() > end:
                return None
            time.sleep(POLL_SECONDS)
        return found

    def close(self) -> None:
        """Stops watching and closes every connection."""
        if self._attending is not None:
            self._attending.leave()
        if self._sampler is not None:
            self._sampler.stop()
        self._tools.close()

    # --- small ones ---------------------------------------------------------------------------------------------

    def _sampling(self) -> Sampler:
        if self._sampler is None:
            self._sampler = Sampler(self.settings, self.store, self._tools, self.catalog, self.engine, self._now)
        return self._sampler

    def _ask_backfill(self, verb: Verb, number: int, **arguments: str) -> int:
        self.backfill(number)
        return self._ask(verb, str(number), arguments)

    def _meant(self, wanted: Filter) -> Filter:
        return msgspec.structs.replace(wanted, job=self.catalog.find(wanted.job).name) if wanted.job else wanted

    def _ask(self, verb: Verb, target: str, arguments: Mapping[str, object], actor: Actor | None = None) -> int:
        actor, at = actor or self.settings.actor, self._now()
        try:
            with self.store.writing() as db:
                number = commands.ask(db, verb, target, arguments, actor, at)
                if actor.role is not Role.OPERATOR:
                    # The leader would refuse it as well; but there may be none, and this is sooner.
                    why = {"why": NotAllowed(verb).sentence}
                    commands.settle(db, commands.get(db, number), CommandState.REFUSED, why, at)
        except SQLAlchemyError as error:
            raise Unavailable("store", reason(error)) from error
        if actor.role is not Role.OPERATOR:
            raise NotAllowed(verb)
        reach(Point.COMMAND_ASKED)
        if self.engine is not None:
            self.engine.wake()
        if self._sampler is not None:
            self._sampler.hurry()
        return number
