"""A campaign with the hostile pack: its jobs run in random order, several at a time, beside two ordinary minutely jobs,
in one headless process that must not notice.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import count
from pathlib import Path

from opsconsole.authoring.run import TERMINAL
from opsconsole.http.threads import MAX_STUCK
from opsconsole.store import commands
from tests.faults.fast_clock import FastClock
from tests.faults.fork_server import Child, ForkServer
from tests.faults.hostile import steady
from tests.faults.hostile.cases import Case
from tests.faults.hostile.extensions import COMMANDS, ROUTES, OddCommand, OddRoute
from tests.faults.hostile.observations import Observations
from tests.faults.hostile.report import Report
from tests.http.client import HttpClient
from tests.installation import Installation
from tests.waiting import PATIENCE_SECONDS, eventually

AT_ONCE = 4
TICK_SECONDS = 0.1
COMMAND_SECONDS = 2.0
"""Between two commands with odd arguments."""
WORKERS = 2
WORKER_MEGABYTES = 512
LONGEST_SECONDS = 120.0
"""Beyond every timeout of the pack: a run that takes longer is stuck."""
ROUTE_SECONDS = 5.0
ENDED_BY_SIGTERM = 143


@dataclass
class Active:
    """A command to run a case, and the run that it has started."""

    case: Case
    command: int
    requested: float
    run: int | None = None


@dataclass
class Campaign:
    """One campaign of some seconds. `new_database` creates PostgreSQL databases, one for the store and one for the
    data; None for SQLite files in `folder`. `clock` is that of all processes. Every case runs at least once, whatever
    the time. No ordinary run may start more than `latest_seconds` late.
    """

    folder: Path
    fork_server: ForkServer
    redis_url: str
    new_database: Callable[[], str] | None
    cases: Sequence[Case]
    seed: int
    seconds: float
    clock: FastClock = field(default_factory=FastClock)
    latest_seconds: float = math.inf

    def __post_init__(self) -> None:
        kind, environ = (
            "sqlite",
            {
                "OPSCONSOLE_ENGINE__WORKERS": str(WORKERS),
                "OPSCONSOLE_ENGINE__WORKER_MEMORY_MB": str(WORKER_MEGABYTES),
            },
        )
        if self.new_database is not None:
            kind = "postgresql"
            environ |= {"OPSCONSOLE_STORE__URL": self.new_database(), "OPSCONSOLE_DATA__URL": self.new_database()}
        self.place = Installation(
            self.folder / "opsconsole",
            database_url=None,
            redis_url=self.redis_url,
            packs="tests.faults.hostile.pack,tests.faults.hostile.steady",
            environ=environ,
        )
        steady.put(self.place.data)
        self._cases = [case for case in self.cases if case.database in (None, kind)]
        self._random = random.Random(f"{self.seed}/{kind}")
        self._waiting: deque[Case] = deque()
        self._active: list[Active] = []
        self._socket = self.folder / "http.sock"
        self._routes = _routes()
        self._commands = deque(self._random.sample(COMMANDS, len(COMMANDS)))
        self._sent: dict[int, OddCommand] = {}
        self._next_command = 0.0
        self.report = Report(kind, self.seed, self.clock.scale, self.latest_seconds)
        self._observed = Observations(self.place.store, self.folder)

    def run(self) -> Report:
        """Runs the campaign."""
        began = time.monotonic()
        leader = self._start()
        try:
            with ThreadPoolExecutor(1) as requests:
                self._loop(leader, requests, until=began + self.seconds)
            self._observed.steady(self.report, self.clock)
            self._observed.events(self.report, self.place.data, self.redis_url)
            self._stop(leader)
        finally:
            leader.kill()
            self._observed.end_processes()
            self.report.seconds = time.monotonic() - began
            self.place.close()
        return self.report

    # --- the leader ---------------------------------------------------------------------------------------------

    def _start(self) -> Child:
        environ = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            **self._observed.mark,
            **self.place.environ,
        }
        words = ["headless", "--http", f"unix:{self._socket}"]
        leader = self.fork_server.start(words, environ, output=self._observed.log, clock=self.clock)
        eventually(lambda: self._observed.leader() is not None, "the process leads")
        return leader

    def _stop(self, leader: Child) -> None:
        self.report.check(leader.poll() is None, f"the leader has ended with {leader.returncode}")
        leader.terminate()
        code = leader.wait()
        self.report.check(code == ENDED_BY_SIGTERM, f"the leader ended with {code}, not {ENDED_BY_SIGTERM}")
        self._observed.orphans(self.report)
        self._observed.logs(self.report)

    # --- runs ---------------------------------------------------------------------------------------------------

    def _loop(self, leader: Child, requests: ThreadPoolExecutor, until: float) -> None:
        self._waiting.extend(self._random.sample(self._cases, len(self._cases)))
        response: Future[None] | None = None
        give_up = until + LONGEST_SECONDS + self.seconds + 2 * len(self._cases)
        while leader.poll() is None and time.monotonic() < give_up:
            is_over = time.monotonic() > until
            if not self._waiting and not is_over:
                self._waiting.extend(self._random.sample(self._cases, len(self._cases)))
            if is_over and not self._waiting and not self._active and not self._sent:
                break
            self._begin()
            self._command()
            self._settle()
            self._observed.sample(self.report, leader.pid)
            if not is_over and (response is None or response.done()):
                response = requests.submit(self._request)
            time.sleep(TICK_SECONDS)
        self.report.check(not self._waiting, f"{len(self._waiting)} cases have not been tried")

    def _begin(self) -> None:
        busy = {active.case.job.name for active in self._active}
        while self._waiting and len(self._active) < AT_ONCE and self._waiting[0].job.name not in busy:
            case = self._waiting.popleft()
            number = self.place.service.commands.trigger(case.job.name, only=case.selection)
            self._active.append(Active(case, number, time.monotonic()))
            busy.add(case.job.name)

    def _settle(self) -> None:
        for active in list(self._active):
            if self._has_ended(active):
                self._active.remove(active)

    def _has_ended(self, active: Active) -> bool:
        service, seconds = self.place.service, time.monotonic() - active.requested
        if active.run is None:
            outcome = service.commands.outcome(active.command, 0.0)
            if outcome is not None:
                active.run = outcome.run
                self.report.check(active.run is not None, f"{active.case.job.name} was refused: {outcome.refused}")
                return active.run is None
        else:
            run = service.queries.run(active.run)
            if run.state in TERMINAL:
                self.report.add(active.case, run)
                return True
        stuck = seconds > LONGEST_SECONDS
        self.report.check(not stuck, f"run {active.run} of {active.case.job.name} has not ended in {seconds:.0f} s")
        return stuck

    # --- commands and requests ----------------------------------------------------------------------------------

    def _command(self) -> None:
        """Sends the next odd command, and looks at what became of the others."""
        now = time.monotonic()
        if self._commands and now > self._next_command:
            self._next_command = now + COMMAND_SECONDS
            odd = self._commands.popleft()
            with self.place.store.writing() as db:
                actor, at = self.place.settings.actor, self.clock.now()
                self._sent[commands.request(db, odd.verb, odd.target, odd.arguments, actor, at)] = odd
        for number, odd in list(self._sent.items()):
            outcome = self.place.service.commands.outcome(number, 0.0)
            if outcome is not None:
                del self._sent[number]
                self.report.commands += 1
                self.report.check(outcome.error is not None, f"a command with {odd.description} was not refused")

    def _request(self) -> None:
        """Requests the next odd route."""
        odd = next(self._routes)
        client = HttpClient(f"unix:{self._socket}")
        try:
            patience = ROUTE_SECONDS if odd.status is None else PATIENCE_SECONDS
            status: object = _status(client, odd.route.path, patience)
        except TimeoutError:
            status = None
        except (OSError, HTTPException) as error:
            status = type(error).__name__
        self.report.responses += 1
        self.report.check(status == odd.status, f"a route that {odd.description} responded {status}, not {odd.status}")
        ready = client.get("/readyz").status
        self.report.check(ready == 200, f"/readyz responded {ready} after a route that {odd.description}")


def _routes() -> Iterator[OddRoute]:
    """The odd routes, again and again: those that never return only until a process has no room for more of them."""
    for number in count():
        yield from (odd for odd in ROUTES if odd.status is not None or number < MAX_STUCK)


def _status(client: HttpClient, path: str, seconds: float) -> int:
    """The status of a response. Raises TimeoutError when there is none within `seconds`."""
    connection = client.connection()
    try:
        connection.connect()
        connection.sock.settimeout(seconds)
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
