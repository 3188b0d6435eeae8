"""`cancel`, with another leader and without."""

from __future__ import annotations

from opsconsole.authoring.run import RunState
from tests.cli.conftest import RunCli
from tests.cli.seeds import HOUR, NOON, queued, ran
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually


def test_another_leader_cancels_an_active_run(cli: RunCli, installation: Installation) -> None:
    counting.put(installation.data, {f"slow{n:03}": "dawdles" for n in range(200)}, score=20)
    with installation.leading():
        run = installation.begin("counting.count")
        eventually(lambda: installation.service.queries.run(run).counts.ok > 0, "the run has started")

        result = cli("cancel", str(run), "--wait", "--note", "wrong day")

    ended = installation.service.queries.run(run)
    assert result.code == 0
    assert f"run {run} counting.count" in result.out
    assert ended.state is RunState.CANCELLED
    assert ended.error is not None
    assert ended.error.endswith("wrong day")
    assert ended.counts.planned == ended.counts.ok + ended.counts.not_reached


def test_a_queued_run_is_cancelled_without_another_leader(cli: RunCli, installation: Installation) -> None:
    run = queued(installation, "counting.count", NOON)

    result = cli("cancel", str(run), "--force", "--json").json

    assert (result["id"], result["message"]) == (run, f"run {run} of counting.count ends now")
    with installation.leading():
        ended = installation.service.commands.wait_for_run(run, PATIENCE_SECONDS)
    assert ended is not None
    assert (ended.state, ended.started_at) == (RunState.CANCELLED, None)


def test_it_asks_for_confirmation_on_a_terminal(cli: RunCli, installation: Installation) -> None:
    run = queued(installation, "counting.count", NOON)

    result = cli("cancel", str(run), answers="n")

    assert (result.code, result.out) == (1, "")
    assert (
        f"Cancel run {run} of counting.count for 2026-01-19T12:00:00Z when its batches in flight are done?"
        in result.err
    )
    assert "not confirmed; nothing was changed" in result.err
    assert installation.service.queries.run(run).stop is None
    assert cli("cancel", str(run), answers="y").code == 0
    assert installation.service.queries.run(run).stop is not None


def test_an_ended_run_cannot_be_cancelled(cli: RunCli, installation: Installation) -> None:
    run = ran(installation, "counting.count", NOON - HOUR, scheduled=False)

    ended, unknown = cli("cancel", str(run)), cli("cancel", "99")

    assert (ended.code, ended.err) == (4, f"opsconsole: run {run} has already ended as succeeded\n")
    assert (unknown.code, unknown.err) == (2, "opsconsole: run 99 does not exist; `opsconsole runs` lists the newest\n")


def test_runs_that_match_are_counted_and_cancelled_together(cli: RunCli, installation: Installation) -> None:
    runs = [queued(installation, name, NOON) for name in ("counting.count", "counting.gross", "clockwork.hourly")]

    both = cli("cancel", str(runs[0]), f"#{runs[2]}", "--dry-run", "--json").json
    listed = cli("cancel", "counting", "--dry-run")
    unconfirmed = cli("cancel", "counting")
    result = cli("cancel", "counting", "--note", "wrong day", "--yes", "--json")

    assert {run["id"] for run in both} == {runs[0], runs[2]}
    assert "would cancel 2 runs" in listed.out
    assert unconfirmed.code == 2
    assert "Cancel 2 runs?" in unconfirmed.err
    assert result.json["message"] == "2 runs end when their batches in flight are done"
    stops = [installation.service.queries.run(run).stop for run in runs]
    assert [stop is not None and stop.note == "wrong day" for stop in stops] == [True, True, False]
    assert cli("cancel", "counting", "--yes").code == 4
