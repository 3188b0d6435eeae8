"""Debian's Redis: TLS of its own, real Sentinels that move the primary, a cluster, the documented user."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from jobs.attempts.cached_day import DAY_ATTEMPTS
from opsconsole.authoring.run import RunState
from opsconsole.cache.client import Cache
from opsconsole.cache.inspection import ServerKind, inspect
from opsconsole.core.errors import Unavailable
from tests.cache.test_acl import PASSWORD, documented_rule
from tests.conftest import Installing
from tests.faults.test_redis import DAY, JOB, installed
from tests.redis_servers import Certificates, RedisServer, missing, proxy, server
from tests.services import free_port
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.soak
QUORUM = 2


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Debian's server: the package redis-tools has it as redis-check-rdb, and what it does depends on its name."""
    found = shutil.which("redis-check-rdb")
    if found is None:
        missing("redis-tools")
    link = tmp_path / "redis-server"
    link.symlink_to(Path(str(found)).resolve())
    return link


def test_tls_of_the_server_itself(program: Path, tmp_path: Path) -> None:
    made = Certificates(tmp_path / "certificates")
    (certificate, key), (own, own_key) = made.issue("server"), made.issue("client")
    secured = free_port()
    options = ("--tls-port", str(secured), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
               "--tls-ca-cert-file", str(made.ca[0]), "--tls-auth-clients", "yes")  # fmt: skip
    with server(tmp_path / "redis", *options, program=program):
        url = f"rediss://127.0.0.1:{secured}/0?ssl_ca_certs={made.ca[0]}"
        reasons = []
        for tried in (url, f"redis://127.0.0.1:{secured}/0"):
            with closing(Cache(tried)) as cache, pytest.raises(Unavailable) as caught:
                cache.unlink(["a"])
            reasons.append(caught.value.reason)
        with closing(Cache(f"{url}&ssl_certfile={own}&ssl_keyfile={own_key}")) as cache:
            assert cache.replace(DAY_ATTEMPTS, {"asha": b"[]"}, by="user", date=DAY) == {}

    assert "client certificate" in reasons[0]
    assert reasons[1] in ("it expects TLS; write rediss:// in the URL", "the connection was refused or closed")


def test_the_documented_user_on_debians_redis(program: Path, tmp_path: Path) -> None:
    with server(tmp_path, program=program) as real:
        real.call(*documented_rule())
        url = real.url.replace("redis://", f"redis://opsconsole:{PASSWORD}@")
        with closing(Cache(url)) as cache:
            assert cache.replace(DAY_ATTEMPTS, {"asha": b"[]"}, by="user", date=DAY) == {}
            assert cache.statistics()[0].denied == ()
            assert cache.clear([DAY_ATTEMPTS], user="asha").total == 1
        assert inspect(url).kind is ServerKind.STANDALONE


@contextmanager
def sentinels(folder: Path, program: Path, primary: RedisServer) -> Iterator[list[RedisServer]]:
    """Three Sentinels that watch a primary."""
    lines = (
        f"sentinel monitor main 127.0.0.1 {primary.port} {QUORUM}",
        "sentinel down-after-milliseconds main 500",
        "sentinel failover-timeout main 5000",
    )
    with ExitStack() as stack:
        made = [
            stack.enter_context(server(folder / f"sentinel{n}", program=program, sentinel="\n".join(lines)))
            for n in range(3)
        ]
        eventually(
            lambda: all(_told(each, "num-other-sentinels") == len(made) - 1 for each in made),
            "the Sentinels know each other",
        )
        yield made


def _told(sentinel: RedisServer, field: str) -> int:
    """A figure of the primary that a Sentinel watches."""
    reply = sentinel.call("SENTINEL", "MASTER", "main")
    return int(dict(zip(reply[::2], reply[1::2], strict=True))[field.encode()])


def test_a_run_succeeds_after_real_sentinels_moved_the_primary(
    program: Path, installing: Installing, tmp_path: Path
) -> None:
    with (
        server(tmp_path / "first", program=program) as first,
        server(tmp_path / "second", "--replicaof", f"127.0.0.1 {first.port}", program=program) as second,
        sentinels(tmp_path, program, first) as watching,
        proxy(first.port) as between,
    ):
        assert inspect(watching[0].url).kind is ServerKind.SENTINEL
        place = installed(installing, f"redis://127.0.0.1:{between.port}/0", 500)
        before = place.run(JOB, DAY)
        first.kill()
        eventually(lambda: _told(watching[0], "port") == second.port, "the Sentinels have moved the primary")
        between.target = second.port
        between.cut()
        after = place.retry(before.id, everything=True)
        assert place.service.commands.wait_for_run(after.id, PATIENCE_SECONDS) is not None

    assert (before.state, after.state, after.counts.ok) == (RunState.SUCCEEDED, RunState.SUCCEEDED, 500)
