"""`opsconsole mcp`, spoken to by the client of the official SDK."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import Implementation

from opsconsole.authoring.run import RunState
from opsconsole.cli.mcp.session import MAX_BYTES, bounded
from tests.conftest import Installing
from tests.installation import Installation, is_at_work
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2026-01-19"
ROOT = Path(__file__).parents[2]
READING = {"health", "alerts", "alert", "jobs", "job", "runs", "run", "why", "occurrences"} | {
    "backfills",
    "backfill",
    "count_cached_keys",
}
ACTING = {"run_job", "retry_run", "cancel_run", "pause", "resume", "acknowledge_alert"} | {
    "silence",
    "end_silence",
    "plan_backfill",
    "apply_backfill",
    "cancel_backfill",
    "clear_cache",
}
INITIALIZE = (
    b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", '
    b'"capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}}\n'
)
ESCAPE = "no \x1b]52;c;bytes\x07 number"

Call = Callable[..., Any]


@pytest.fixture
def place(installing: Installing, tmp_path: Path, redis_url: str) -> Installation:
    """An installation with a run in which ben failed, with a message that no terminal should get."""
    made = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    counting.put(made.data, {"asha": "fine", f"ben {ESCAPE}": "raises"})
    made.run("counting.count", DAY)
    return made


@asynccontextmanager
async def connected(place: Installation, *options: str, before: tuple[str, ...] = ()) -> AsyncIterator[Client]:
    """A client of a process that this test starts."""
    environ = {name: value for name, value in os.environ.items() if name.startswith("XDG_")} | place.environ
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "opsconsole", *before, "mcp", *options], env=environ, cwd=ROOT
    )
    async with Client(stdio_client(command), client_info=Implementation(name="an-assistant", version="1")) as client:
        yield client


async def answer(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    """What a tool answers."""
    result = await client.call_tool(tool, arguments, read_timeout_seconds=PATIENCE_SECONDS)
    assert not result.is_error, result.content
    found: dict[str, Any] = result.structured_content or {}
    return found


async def refusal(client: Client, tool: str, **arguments: object) -> str:
    """The sentence with which a tool refuses."""
    result = await client.call_tool(tool, arguments, read_timeout_seconds=PATIENCE_SECONDS)
    assert result.is_error
    return str(getattr(result.content[0], "text", ""))


def test_an_assistant_reads_what_an_operator_sees(place: Installation) -> None:
    async def talk() -> None:
        async with connected(place) as client:
            listed = (await client.list_tools()).tools
            assert {tool.name for tool in listed} == READING
            assert all(tool.annotations and tool.annotations.read_only_hint for tool in listed)
            assert all(tool.description for tool in listed)

            health = await answer(client, "health")
            assert health["jobs"] > 5
            jobs = await answer(client, "jobs", name="counting.count")
            assert "counting.count" in {job["job"] for job in jobs["jobs"]}
            job = await answer(client, "job", job="counting.count")
            assert (job["job"]["job"], job["runs"][0]["id"]) == ("counting.count", 1)
            runs = await answer(client, "runs", words="count partial")
            assert [run["id"] for run in runs["runs"]] == [1]
            run = await answer(client, "run", run=1)
            assert run["run"]["failed"] == 1
            assert run["failed_items"][0]["item"] == "ben no \\x1b]52;c;bytes\\x07 number"
            assert run["run"]["log"]
            why = await answer(client, "why", job="counting.count", at="2026-01-19T18:20:00Z")
            assert why["why"]["answers"][0]["scheduled"] is False
            assert "occurrences" in await answer(client, "occurrences", job="counting.count", since="7d")
            assert "alerts" in await answer(client, "alerts")

            assert "counting.nothing" in await refusal(client, "job", job="counting.nothing")
            assert "run 99" in await refusal(client, "run", run=99)
            assert "limit" in await refusal(client, "runs", limit=100_000)
            assert "run_job" in await refusal(client, "run_job", job="counting.count")

    asyncio.run(talk())
    assert len(place.audited_commands()) == 2, "reading leaves no row"


def test_an_action_is_a_command_of_the_user_and_the_assistant(place: Installation) -> None:
    async def talk() -> dict[str, Any]:
        async with connected(place, "--allow-actions") as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == READING | ACTING
            waiting = await answer(client, "pause", target="counting.count", duration="2h", note="too many failures")
            assert waiting["state"] == "requested"
            assert "duration" in await refusal(client, "pause", target="counting.count", duration="soon")
            counting.change(place.data, f"ben {ESCAPE}", "fine")
            with place.leading() as engine:
                eventually(lambda: is_at_work(engine), "it is leading")
                found = await answer(client, "retry_run", run=1)
                await asyncio.to_thread(place.service.commands.wait_for_run, found["run"], PATIENCE_SECONDS)
                return found

    retried = asyncio.run(talk())

    assert retried["state"] == "done"
    assert place.service.queries.run(retried["run"]).state is RunState.SUCCEEDED
    assert place.service.queries.pauses()[0].note == "too many failures"
    names = {entry.who for entry in place.audited_commands()[:2]}
    assert names == {f"{place.settings.actor.name} via an-assistant"}


def test_a_backfill_a_silence_and_a_clearing_are_commands_too(place: Installation) -> None:
    async def talk() -> None:
        async with connected(place, "--allow-actions") as client:
            window = {"jobs": ["counting.count"], "first": DAY, "last": DAY, "only": ["all"]}
            assert "'soon' is not a date" in await refusal(client, "plan_backfill", **{**window, "last": "soon"})
            planned = await answer(client, "plan_backfill", **window)
            assert [each["window"] for each in planned["windows"]] == [DAY]
            number = planned["backfill"]["id"]
            assert "give a user, a subject, a family or a date" in await refusal(client, "count_cached_keys")
            counted = await answer(client, "count_cached_keys", user="asha")
            with place.leading() as engine:
                eventually(lambda: engine.is_leading, "it is leading")
                applied = await answer(client, "apply_backfill", backfill=number)
                assert applied["state"] == "done"
                await asyncio.to_thread(place.service.backfills.wait_for, number, PATIENCE_SECONDS)
                shown = await answer(client, "backfill", backfill=number)
                assert shown["backfill"]["counts"] == {"partial": 1}
                assert "already done" in await refusal(client, "cancel_backfill", backfill=number)
                assert (await answer(client, "silence", target="counting.count", duration="1h"))["state"] == "done"
                assert (await answer(client, "end_silence", target="counting.count"))["state"] == "done"
                cleared = await answer(client, "clear_cache", user="asha", counted=counted["keys"])
                assert cleared["state"] == "done"

    asyncio.run(talk())
    done = {(entry.verb, entry.who) for entry in place.audited_commands() if entry.outcome == "done"}
    who = f"{place.settings.actor.name} via an-assistant"
    assert {(action, who) for action in ("apply_backfill", "silence", "unsilence", "clear")} <= done


def test_an_answer_is_cut_to_a_size_that_a_model_can_read() -> None:
    answer = bounded({"runs": ["x" * 500] * 400, "total": 400})

    assert len(answer["runs"]) + answer["left_out"]["runs"] == 400
    assert len(answer["runs"]) * 500 < MAX_BYTES


@pytest.mark.soak
def test_a_viewer_may_read_but_not_act(place: Installation) -> None:
    async def talk() -> str:
        async with connected(place, "--allow-actions", before=("--read-only",)) as client:
            plan = {"jobs": ["counting.count"], "first": DAY, "last": DAY}
            assert "read-only" in await refusal(client, "plan_backfill", **plan)
            return await refusal(client, "pause", target="all")

    assert "read-only" in asyncio.run(talk())
    assert place.audited_commands()[0].outcome == "refused"


@pytest.mark.soak
def test_a_signal_ends_a_server_that_waits_for_its_client(place: Installation) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "opsconsole", "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | place.environ,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin as requests, process.stdout as responses:
        requests.write(INITIALIZE)
        requests.flush()
        assert b'"serverInfo"' in responses.readline()
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM
