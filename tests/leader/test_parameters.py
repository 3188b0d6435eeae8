"""Parameters of a run by hand: recorded with it, given to its workers, and kept by its retries."""

from __future__ import annotations

import pytest

from opsconsole.authoring.parameters import BadParameter
from opsconsole.authoring.run import RunState
from tests.conftest import Installing


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_parameters_reach_the_job_and_its_retries(installing: Installing, executor: str) -> None:
    environ = {"OPSCONSOLE_ENGINE__EXECUTOR": executor, "OPSCONSOLE_ENGINE__WORKERS": "1"}
    place = installing(
        database_url=None, redis_url="unix:///nowhere/redis.sock", packs="tests.packs.dials", environ=environ
    )
    commands, queries = place.service.commands, place.service.queries
    given = {"limit": "3", "mode": "strict", "since": "2026-01-19"}

    assert queries.preview("dials.read", params={"limit": "5"}).items == 5
    with pytest.raises(BadParameter, match="must be gentle or strict"):
        commands.trigger("dials.read", params={"mode": "rough"})
    with place.leading():
        run = place.ended_run(commands.trigger("dials.read", params=given))
        again = place.ended_run(commands.retry(run.id))
        plain = place.run("dials.read")

    assert run.params == again.params == {"limit": 3, "mode": "strict", "since": "2026-01-19"}
    assert (run.counts.failed, again.counts.failed) == (3, 3)
    assert any("dial0 strict 2026-01-19 bar" in each.line for each in queries.log(again.id))
    assert (plain.state, plain.counts.ok, plain.params) == (RunState.SUCCEEDED, 2, {})
