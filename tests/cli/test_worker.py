"""What `worker` needs to start, and what `check` requires of its broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.core.errors import Exit
from tests.cli.conftest import RunCli
from tests.worker.attached import broker_server, environ

NO_REDIS = "unix:///nowhere/redis.sock"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"OPSCONSOLE_ENGINE__EXECUTOR": "processes"},
            'engine.executor is processes, and the leader executes its jobs itself; set it to "celery"',
        ),
        ({}, "the broker is unreachable: the connection was refused or closed; check celery.broker_url"),
    ],
)
def test_a_worker_refuses_to_start_without_broker_or_library(
    more: dict[str, str], sentence: str, cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ({"REDIS_URL": NO_REDIS} | environ(f"unix://{tmp_path}/none") | more).items():
        monkeypatch.setenv(name, value)

    found = cli("worker")

    assert sentence in found.err
    assert found.code in (Exit.CONFIGURATION, Exit.FAILED)


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
def test_check_requires_a_broker_that_does_not_evict(
    policy: str, cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broker_server(tmp_path / "broker") as server, server.client() as client:
        client.config_set("maxmemory-policy", policy)
        for name, value in ({"REDIS_URL": NO_REDIS} | environ(server.url)).items():
            monkeypatch.setenv(name, value)
        found = cli("check")

    assert ("run CONFIG SET maxmemory-policy noeviction there" in found.out) is (policy != "noeviction")
