"""Connections that are silent, secured or followed by a successor: real servers behind real proxies."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from jobs.attempts.cached_day import DAY_ATTEMPTS
from opsconsole.cache import swap_ranking
from opsconsole.cache.client import Cache
from opsconsole.core.errors import Unavailable
from tests.redis_servers import Certificates, Proxy, RedisServer, proxy, server
from tests.services import free_port
from tests.waiting import eventually

DATE = "2026-01-19"
CLOSED = "it closed the connection after the TLS handshake; it may require another client certificate"


def write(cache: Cache) -> None:
    assert cache.replace(DAY_ATTEMPTS, {"asha": b"[]"}, by="user", date=DATE) == {}


def why_not(url: str) -> tuple[str, bool]:
    """Why nothing can be written at a URL, and whether that stays so."""
    with closing(Cache(url)) as cache, pytest.raises(Unavailable) as caught:
        write(cache)
    return caught.value.reason, caught.value.permanent


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that the tests of this module share."""
    with server(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA for the tests of this module."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


# --- silence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("was_connected", [True, False])
def test_a_connection_that_swallows_everything_is_given_up_and_recovers(was_connected: bool, real: RedisServer) -> None:
    with proxy(real.port) as between, closing(Cache(f"redis://127.0.0.1:{between.port}/0")) as cache:
        if was_connected:
            write(cache)
        between.silent = True
        reasons = set()
        for _ in range(3):
            with pytest.raises(Unavailable) as caught:
                write(cache)
            reasons.add(caught.value.reason)
        between.silent = False
        write(cache)

    assert reasons == {"no answer in time"}


def test_silence_while_a_ranking_is_swapped_is_reported_once(real: RedisServer) -> None:
    with proxy(real.port) as between, closing(Cache(f"redis://127.0.0.1:{between.port}/0")) as cache:

        def entries() -> Iterator[tuple[str, float, str | None]]:
            between.silent = True
            yield "asha", 1.0, "Asha"

        with pytest.raises(Unavailable, match="no answer in time"):
            swap_ranking(cache, "leaderboard:b", "leaderboard:b:names", entries)
        between.silent = False
        assert swap_ranking(cache, "leaderboard:b", "leaderboard:b:names", lambda: [("asha", 1.0, "Asha")]) == 1


def test_timeouts_in_the_url_apply(real: RedisServer) -> None:
    with proxy(real.port) as between:
        between.silent = True
        with closing(Cache(f"redis://127.0.0.1:{between.port}/0?socket_timeout=0.05")) as cache:
            started = time.monotonic()
            for _ in range(10):
                with pytest.raises(Unavailable, match="no answer in time"):
                    cache.unlink(["a"])
            took = time.monotonic() - started

        assert took >= 0.5, "each waited for its own timeout"


# --- a fail-over behind one address -------------------------------------------------------------------------------


def test_a_server_that_became_a_replica_is_left_for_its_successor(real: RedisServer, tmp_path: Path) -> None:
    with (
        server(tmp_path) as successor,
        proxy(real.port) as between,
        closing(Cache(f"redis://127.0.0.1:{between.port}/0")) as cache,
        real.client() as former,
    ):
        write(cache)
        between.target = successor.port  # connections that exist stay where they are
        former.replicaof("127.0.0.1", free_port())
        try:
            with pytest.raises(Unavailable, match="it is a read-only replica"):
                write(cache)
            write(cache)
        finally:
            former.replicaof("NO", "ONE")

        with successor.client() as client:
            assert client.exists(DAY_ATTEMPTS.key(user="asha", date=DATE))


# --- TLS ----------------------------------------------------------------------------------------------------------


def tls(real: RedisServer, files: tuple[Path, Path], *, client_ca: Path | None = None) -> Proxy:
    """The server behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return Proxy(real.port, context=context)


def test_tls_with_the_ca_in_the_url_works(real: RedisServer, certificates: Certificates) -> None:
    with closing(tls(real, certificates.issue("server"))) as secured:
        for options in (f"ssl_ca_certs={certificates.ca[0]}", "ssl_cert_reqs=none"):
            with closing(Cache(f"rediss://127.0.0.1:{secured.port}/0?{options}")) as cache:
                write(cache)
                assert cache.statistics()[0].denied == ()


@pytest.mark.parametrize(
    ("name", "how", "options", "reason"),
    [
        ("unknown", {}, "", "its certificate is not trusted (unknown CA); give the CA as ssl_ca_certs"),
        ("expired", {"days": -1}, "ca", "its certificate has expired"),
        ("other_host", {"host": "DNS:cache.example"}, "ca", "its certificate is for another address"),
    ],
)
def test_certificates_that_are_not_accepted_say_why(
    name: str, how: dict[str, int | str], options: str, reason: str, real: RedisServer, certificates: Certificates
) -> None:
    query = f"?ssl_ca_certs={certificates.ca[0]}" if options else ""
    with closing(tls(real, certificates.issue(name, **how))) as secured:  # type: ignore[arg-type]
        assert why_not(f"rediss://:swordfish@127.0.0.1:{secured.port}/0{query}") == (reason, True)


def test_a_certificate_for_another_host_name_is_named(real: RedisServer, certificates: Certificates) -> None:
    with closing(tls(real, certificates.issue("other_name", host="DNS:cache.example"))) as secured:
        url = f"rediss://localhost:{secured.port}/0?ssl_ca_certs={certificates.ca[0]}"

        assert why_not(url) == ("its certificate is for another host name", True)
        with closing(Cache(f"{url}&ssl_check_hostname=false")) as cache:
            write(cache)


def test_client_certificates(real: RedisServer, certificates: Certificates) -> None:
    (certificate, key), (_, other_key) = certificates.issue("client"), certificates.issue("another")
    stranger = Certificates(certificates.folder / "stranger")
    foreign, foreign_key = stranger.issue("foreign")
    with closing(tls(real, certificates.issue("strict"), client_ca=certificates.ca[0])) as secured:
        url = f"rediss://127.0.0.1:{secured.port}/0?ssl_ca_certs={certificates.ca[0]}"

        with closing(Cache(f"{url}&ssl_certfile={certificate}&ssl_keyfile={key}")) as cache:
            write(cache)
        for _ in range(3):  # the server reports it, unless it closes before that is read
            assert why_not(url)[0] in ("it requires a client certificate; give ssl_certfile and ssl_keyfile", CLOSED)
        assert why_not(f"{url}&ssl_certfile={certificate}&ssl_keyfile={other_key}") == (
            "ssl_keyfile does not belong to ssl_certfile",
            True,
        )
        assert why_not(f"{url}&ssl_certfile={foreign}&ssl_keyfile={foreign_key}")[0] in (
            "it does not trust the client certificate",
            CLOSED,
        )


def test_tls_on_one_side_only_says_which(real: RedisServer, certificates: Certificates) -> None:
    assert why_not(f"rediss://127.0.0.1:{real.port}/0")[0] in (
        "it does not use TLS on this port; write redis:// in the URL",
        "no answer to the TLS handshake; it may not use TLS on this port",  # it waits for the end of a line
    )
    with closing(tls(real, certificates.issue("plain"))) as secured:
        assert why_not(f"redis://127.0.0.1:{secured.port}/0")[0] in (
            "it expects TLS; write rediss:// in the URL",
            "the connection was refused or closed",
        )


# --- who may connect ----------------------------------------------------------------------------------------------


def test_users_and_passwords_say_which_is_wrong(real: RedisServer) -> None:
    address = f"127.0.0.1:{real.port}/0"
    with real.client() as owner:
        owner.acl_setuser("ops", enabled=True, passwords=["+swordfish"], keys=["*"], commands=["+@all"])
        found = {
            why_not(f"redis://ops:wrong@{address}"),
            why_not(f"redis://nobody:swordfish@{address}"),
            why_not(f"redis://ops:swordfish@{address.replace('/0', '/99')}"),
            why_not(f"redis://:swordfish@{address}"),
        }
        with closing(Cache(f"redis://ops:swordfish@{address}")) as cache:
            write(cache)
        owner.config_set("requirepass", "sesame")
        without_password = why_not(f"redis://{address}")
        with redis.Redis(port=real.port, password="sesame", protocol=2) as again:
            again.config_set("requirepass", "")
            again.acl_deluser("ops")

    assert found == {
        ("it refused the user name or password", True),
        ("it has no database with this number", True),
        ("it has no password, but the URL has", True),
    }
    assert without_password == ("it requires a password", True)


def test_addresses_that_lead_nowhere_say_so(tmp_path: Path) -> None:
    assert why_not(f"redis://127.0.0.1:{free_port()}/0") == ("the connection was refused or closed", False)
    assert why_not("redis://nowhere.invalid:6379/0") == ("its host name cannot be resolved", False)
    assert why_not(f"unix://{tmp_path}/nothing.sock") == ("the connection was refused or closed", False)


def test_a_full_server_and_one_without_room_for_clients(real: RedisServer) -> None:
    with real.client() as owner, closing(Cache(real.url)) as cache:
        owner.config_set("maxclients", 1)
        try:
            eventually(lambda: int(owner.info("clients")["connected_clients"]) == 1, "the others have left")
            assert why_not(real.url) == ("it has no connection left for another client", False)
        finally:
            owner.config_set("maxclients", 1000)
        owner.config_set("maxmemory", 1)
        try:
            refused = cache.replace(DAY_ATTEMPTS, {"asha": b"[]", "ben": None}, by="user", date=DATE)
        finally:
            owner.config_set("maxmemory", 0)

    assert refused == {"asha": "Redis refused the write: out of memory"}
