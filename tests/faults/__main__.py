"""`python -m tests.faults`: the campaign, double starts, alerts, odd jobs, mutants and a year of schedules."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from opsconsole.embedded.redis import EmbeddedRedis
from tests.faults.alerts_campaign import inject
from tests.faults.campaign import CLUSTERS, Plan, campaign, servers
from tests.faults.double_start import start_twice
from tests.faults.fork_server import ForkServer
from tests.faults.hostile.campaign import Campaign
from tests.faults.hostile.pack import CASES
from tests.faults.mutants import hunt
from tests.faults.year import year

DATABASES = ("sqlite", "postgresql")
PARTS = ("campaign", "double-starts", "alerts", "hostile", "mutants", "year")
ON_A_DATABASE = {"campaign", "double-starts", "alerts", "hostile"}


def main(words: Sequence[str] | None = None) -> int:
    """Runs the given parts, by default all; 1 when something was doubled, lost, or not noticed."""
    options = _parsed(words)
    good = True
    for database in options.database or DATABASES:
        if ON_A_DATABASE & set(options.parts):
            good = _against(database, options) and good
    if "mutants" in options.parts:
        good = _reported(hunt(options.mutant)) and good
    if "year" in options.parts:
        good = _year(options) and good
    return 0 if good else 1


def _year(options: argparse.Namespace) -> bool:
    with servers("sqlite") as (folder, _, server):
        found = year(
            folder,
            server.url,
            days=options.days,
            users=options.users,
            queue_minutes=options.queue_minutes,
            budget_seconds=options.budget,
        )
    _print(found.lines())
    shutil.rmtree(folder, ignore_errors=True)
    return found.levels_off


def _against(database: str, options: argparse.Namespace) -> bool:
    good = True
    with servers(database) as (folder, new_database, server):
        if "double-starts" in options.parts:
            twice = start_twice(options.double_starts, database, options.seed, folder, new_database, server)
            _print(twice.lines())
            good = not twice.violations
        if "campaign" in options.parts:
            plan = Plan(options.kills, options.pauses, database, options.seed, options.executor, options.clusters)
            report = campaign(plan, folder, new_database, server)
            _print(report.lines())
            good = good and report.holds
        if "alerts" in options.parts:
            injected = inject(options.count, options.alert_kills, database, options.seed, folder, new_database)
            _print(injected.lines())
            good = good and not injected.violations
        if "hostile" in options.parts:
            good = _hostile(options, folder, new_database, server) and good
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _print([f"the logs of the processes are in {folder}"])
    return good


def _hostile(
    options: argparse.Namespace, folder: Path, new_database: Callable[[], str] | None, server: EmbeddedRedis
) -> bool:
    selected = [case for case in CASES if not options.job or case.job.name.partition(".")[2] in options.job]
    with ForkServer(folder / "fork_server.log") as fork_server:
        hostile = Campaign(
            folder, fork_server, server.url, new_database, selected, options.seed, options.seconds, latest_seconds=2.0
        )
        report = hostile.run()
    _print(report.lines())
    return not report.violations


def _reported(lines: Iterator[tuple[bool, str]]) -> bool:
    good = True
    for holds, line in lines:
        good = good and holds
        _print([line])
    return good


def _print(lines: Sequence[str] | Iterator[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _parsed(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to do: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--kills", type=int, default=3000, help="on each database (default: %(default)s)")
    parser.add_argument("--pauses", type=int, default=300, help="on each database (default: %(default)s)")
    parser.add_argument("--double-starts", type=int, default=100, help="on each database (default: %(default)s)")
    parser.add_argument("--count", type=int, default=200, help="causes of alerts (default: %(default)s)")
    parser.add_argument("--alert-kills", type=int, default=10, help="between cause and delivery (default: %(default)s)")
    parser.add_argument("--database", action="append", choices=DATABASES, help="may be given twice (default: both)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="default: random")
    parser.add_argument("--executor", choices=("inline", "processes", "mixed"), default="mixed")
    parser.add_argument("--clusters", type=int, default=max(CLUSTERS, 2 * (os.cpu_count() or 1)))
    parser.add_argument("--seconds", type=float, default=600.0, help="of the hostile pack (default: %(default)s)")
    parser.add_argument("--job", action="append", default=[], help="only these jobs of the hostile pack (default: all)")
    parser.add_argument("--days", type=int, default=365, help="of the year (default: %(default)s)")
    parser.add_argument("--users", type=int, default=20, help="of the year (default: %(default)s)")
    parser.add_argument("--queue-minutes", type=int, default=1, help="between times of its queue (default: 1)")
    parser.add_argument("--budget", type=float, default=7200.0, help="seconds for the year (default: %(default)s)")
    parser.add_argument("--mutant", action="append", default=[], help="only these mutants (default: all)")
    options = parser.parse_args(words)
    options.parts = options.parts or list(PARTS)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
