"""Measures the HTTP API under load: reads and triggers at a fixed rate, beside a job over 10,000 users.

A headless process leads and serves. Requests are sent when they are due, whether earlier ones were answered or not, and
their time counts from then on. Takes about two minutes for each database.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.environment import POSTGRES, SQLITE, databases, environment

PACK = '''"""A job over many users, one that is due every minute, and some that are triggered."""

import time

from sqlalchemy import MetaData

from opsconsole import DAY, Job, Pack


def users(scope):
    return tuple(f"user{{n:06}}" for n in range({users}))


def one(scope):
    return ("one",)


def work(ctx, items):
    time.sleep(0.1)


def nothing(ctx, items):
    pass


pack = Pack(
    "load",
    jobs=(
        Job("load.users", users, work, cron=None, covers=DAY, batch=100, workers=1),
        *(Job(f"load.minute_{{n}}", one, nothing, cron="* * * * *") for n in range(10)),
        *(Job(f"load.hand_{{n}}", one, nothing, cron=None) for n in range({hands})),
    ),
    metadata=MetaData(),
)
'''
HANDS = 10
"""Few, so that memory is level soon: it grows until 40 runs of each job are kept for judging."""
READS = ("/api/jobs", "/api/runs?limit=20", "/api/runs/1", "/api/alerts", "/readyz", "/api/occurrences?since=1h")
SCRAPE_SECONDS = 5
CONNECTIONS = 40
GOAL_MS, GOAL_LATE_SECONDS = 250.0, 1.0
READY_SECONDS = 60.0


@dataclass
class Result:
    """Milliseconds of each request, how many had which status, and resident memory in MB at times."""

    taken: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """The milliseconds that this share of the requests took at most."""
        ordered = sorted(self.taken)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Connection:
    """A connection, and the time until which the server keeps it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    usable_until: float = 0.0


class Client:
    """A few connections that stay open. One that was idle for as long as the server keeps it is not used again, and a
    GET that finds its connection closed is sent once more, as every client does.
    """

    def __init__(self, port: int, secret: str) -> None:
        self._port = port
        self._head = f"Host: localhost\r\nAuthorization: Bearer {secret}\r\n"
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(CONNECTIONS)
        self.sent_again = 0

    async def request(self, method: str, path: str, body: str = "") -> tuple[int, bytes]:
        """The status and the body of the response."""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n{body}"
        async with self._free:
            kept = self._kept()
            if kept is not None:
                try:
                    return await self._exchange(kept, head)
                except (OSError, EOFError):
                    if method != "GET":
                        raise
                    self.sent_again += 1
            return await self._exchange(Connection(*await asyncio.open_connection("127.0.0.1", self._port)), head)

    async def _exchange(self, connection: Connection, head: str) -> tuple[int, bytes]:
        connection.writer.write(head.encode())
        received = (await connection.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", received)
        body = await connection.reader.readexactly(int(length[1]) if length else 0)
        lasts = re.search(r"keep-alive: timeout=(\d+)", received)
        connection.usable_until = time.monotonic() + float(lasts[1] if lasts else 0)
        self._idle.append(connection)  # after an exception it is not used again
        return int(received[9:12]), body

    def _kept(self) -> Connection | None:
        """The connection that was used last, if the server still keeps it."""
        while self._idle:
            connection = self._idle.pop()
            if time.monotonic() < connection.usable_until and not connection.reader.at_eof():
                return connection
            connection.writer.close()
        return None


async def load(client: Client, rate: float, seconds: float, pid: int) -> Result:
    """Sends requests at a rate: nine reads for each trigger, and a scrape of the metrics now and then."""
    result, pending = Result(), set[asyncio.Task[None]]()
    keeping = asyncio.create_task(_keep_job_running(client))
    start, count = time.monotonic(), int(rate * seconds)
    for n in range(count):
        due = start + n / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if n % int(rate * SCRAPE_SECONDS) == 0:
            result.memory.append(_resident_mb(pid))
            method, path, body = "GET", "/metrics", ""
        elif n % 10 == 0:
            method, path, body = "POST", f"/api/cron/run/load.hand_{random.randrange(HANDS)}", "{}"
        else:
            method, path, body = "GET", READS[n % len(READS)], ""
        task = asyncio.create_task(_measured(client, method, path, body, due, result))
        pending.add(task)
        task.add_done_callback(pending.discard)
    await asyncio.gather(*pending)
    keeping.cancel()
    return result


async def _measured(client: Client, method: str, path: str, body: str, due: float, result: Result) -> None:
    try:
        status, answer = await client.request(method, path, body)
    except (OSError, EOFError) as error:
        result.errors[f"{method} {path.partition('?')[0]}: {type(error).__name__}"] += 1
        return
    result.taken.append(1000 * (time.monotonic() - due))
    result.statuses[status] += 1
    if status >= 400 and status != 409:  # a job that is still running may not start again
        result.errors[f"{method} {path.partition('?')[0]}: {answer[:200].decode()}"] += 1


async def _keep_job_running(client: Client) -> None:
    """Starts the job over all users again whenever it has ended."""
    while True:
        await client.request("POST", "/api/cron/run/load.users", "{}")
        await asyncio.sleep(1.0)


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _serving(environ: dict[str, str], folder: Path, users: int) -> Iterator[tuple[int, int, str]]:
    """A headless process: its pid, its port, and its secret."""
    (folder / "load_pack.py").write_text(PACK.format(users=users, hands=HANDS))
    secret = secrets.token_hex(16)
    own = {"CRON_SECRET": secret, "OPSCONSOLE_JOBS__PACKS": "load_pack:pack", "PYTHONPATH": str(folder)}
    log = folder / "headless.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "opsconsole", "headless", "--http", "127.0.0.1:0"]
        process = subprocess.Popen(command, env=os.environ | environ | own, stdout=output, stderr=output, cwd=folder)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while (found := re.search(r"listening on http://127.0.0.1:(\d+)", log.read_text())) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"it did not start:\n{log.read_text()}")
            time.sleep(0.1)
        yield process.pid, int(found[1]), secret
    finally:
        process.terminate()
        process.wait()


def _delays(exposition: str) -> tuple[int, float]:
    """How many scheduled runs started, and within how many seconds all of them did."""
    buckets = re.findall(r'opsconsole_run_start_delay_seconds_bucket{le="([\d.+Inf]+)"} ([\d.]+)', exposition)
    total = max((float(n) for _, n in buckets), default=0.0)
    return int(total), min((float(le) for le, n in buckets if float(n) == total), default=0.0)


async def _measure(pid: int, port: int, secret: str, args: argparse.Namespace) -> None:
    client = Client(port, secret)
    deadline = time.monotonic() + READY_SECONDS
    while (await client.request("GET", "/readyz"))[0] != 200:
        if time.monotonic() > deadline:
            sys.exit("it is not ready")
        await asyncio.sleep(0.2)
    await client.request("GET", "/metrics")
    await client.request("POST", "/api/cron/run/load.hand_0", "{}")
    before = _processor_seconds(pid)
    result = await load(client, args.rate, args.seconds, pid)
    used = _processor_seconds(pid) - before
    await asyncio.sleep(2.0)
    runs, late = _delays((await client.request("GET", "/metrics"))[1].decode())
    _, listed = await client.request("GET", "/api/runs?job=load.users&limit=100")
    users = sum(run["ok"] for run in json.loads(listed)["runs"])
    p50, p99 = result.percentile(0.5), result.percentile(0.99)
    print(f"  requests   {len(result.taken):,} answered, {sum(result.errors.values()):,} errors, by status:")
    print(f"             {', '.join(f'{status}: {n:,}' for status, n in sorted(result.statuses.items()))}")
    print(f"  time       p50 {p50:,.0f} ms, p99 {p99:,.0f} ms (goal {GOAL_MS:,.0f}): {_verdict(p99 <= GOAL_MS)}")
    verdict = _verdict(late <= GOAL_LATE_SECONDS)
    print(f"  schedule   {runs} runs, all within {late:g} s (goal {GOAL_LATE_SECONDS:g}): {verdict}")
    print(f"  memory     {', '.join(f'{each:,.0f}' for each in result.memory)} MB")
    print(f"  processor  {used / args.seconds:.0%} of one, of the leader; {users:,} items of load.users meanwhile")
    if client.sent_again:
        print(f"  sent again {client.sent_again:,} GETs whose connection was closed")
    for error, n in result.errors.most_common(10):
        print(f"  error      {n:,} times {error}")


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "missed"


def main() -> int:
    """Returns the exit code."""
    args = _arguments()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; {args.rate:g} requests a second")
    for database, why in databases(args.databases):
        print(f"{database}: {why or ''}".rstrip(": "))
        if why is not None:
            continue
        with tempfile.TemporaryDirectory(prefix="opsconsole-http-") as folder:
            place = Path(folder)
            with environment(database, place) as env, _serving(env.environ, place, args.users) as (pid, port, secret):
                asyncio.run(_measure(pid, port, secret, args))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http", description=__doc__)
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRES), default=[SQLITE, POSTGRES])
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second (default: 200)")
    parser.add_argument("--seconds", type=float, default=60.0, help="duration (default: 60)")
    parser.add_argument("--users", type=int, default=10_000, help="items of the job (default: 10,000)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
