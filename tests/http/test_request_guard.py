"""Which requests are allowed: secrets, host names, originating sites, addresses and connection limits."""

from __future__ import annotations

import ast
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opsconsole.authoring.extensions import Reply
from opsconsole.core.configuration import load
from opsconsole.core.errors import BadSettings
from opsconsole.core.settings import Role, Secret, Token
from opsconsole.http import server
from opsconsole.http.listener import LOCAL_NAMES, Address, BadAddress, CannotListen, listening, read_address
from opsconsole.http.request_guard import MAX_ADDRESSES, MAX_WRONG_SECRETS, Client, RequestGuard
from tests.cli.conftest import RunCli, cli as cli_fixture
from tests.http.client import HttpClient, served
from tests.http.conftest import SECRET
from tests.installation import Installation, is_at_work
from tests.waiting import PATIENCE_SECONDS, eventually

cli = cli_fixture
CORRECT = f"Bearer {SECRET}".encode()
ASHA = Client("asha", Role.VIEWER)
TOKENS = (
    Token("ben", Role.OPERATOR, Secret("another-secret-of-bens"), "$BEN"),
    Token("asha", Role.VIEWER, Secret(SECRET), "$ASHA"),
)
HTTP_PACKAGE = Path(server.__file__).parent


@pytest.fixture
def installation(place: Installation) -> Installation:
    """The installation that the `cli` fixture needs."""
    return place


def headers_with(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"localhost"), *((b"authorization", value) for value in values)]


# --- the secret ---------------------------------------------------------------------------------------------------


def test_every_path_but_healthz_requires_the_secret(guarded: HttpClient) -> None:
    anonymous = HttpClient(guarded.address)

    assert guarded.get("/packed").status == 200
    assert anonymous.get("/healthz").status == 200
    for path in ("/packed", "/readyz", "/nothing", "/healthz/"):
        response = anonymous.get(path)
        assert (response.status, response.code, response.headers["www-authenticate"]) == (401, "unauthorized", "Bearer")
    assert anonymous.request("POST", "/api/cron/run/requests.daily").status == 401
    assert anonymous.get(f"/packed?token={SECRET}&secret={SECRET}").status == 401


@pytest.mark.parametrize(
    "values",
    [
        (),
        (b"",),
        (b"Bearer",),
        (b"Bearer ",),
        (CORRECT[:-1],),
        (CORRECT + b"x",),
        (CORRECT.upper(),),
        (SECRET.encode(),),
        (b"Basic " + SECRET.encode(),),
        (b"Bearer\t" + SECRET.encode(),),
        ("Bearer gehëim".encode(),),
        ("Bearer gehëim".encode("latin-1"),),
        (b"Bearer \xff\xfe\xfd",),
        (CORRECT, CORRECT),
        (CORRECT, b"Bearer wrong"),
        (b"Bearer " + b"a" * 10_000,),
    ],
)
def test_anything_but_the_exact_secret_is_refused(values: tuple[bytes, ...]) -> None:
    refusal = RequestGuard(TOKENS, None).admit(headers_with(*values), "asha")

    assert isinstance(refusal, Reply)
    assert refusal.status == 401


@pytest.mark.parametrize("value", [CORRECT, b"bearer " + SECRET.encode(), b"BEARER  " + SECRET.encode() + b" "])
def test_the_scheme_is_case_insensitive(value: bytes) -> None:
    assert RequestGuard(TOKENS, None).admit(headers_with(value), "asha") == ASHA


def test_a_header_that_is_not_text_is_refused(guarded: HttpClient) -> None:
    headers = b"Host: localhost\r\nConnection: close\r\nAuthorization: Bearer \xff\xfe\r\n\r\n"

    response = guarded.raw(b"GET /packed HTTP/1.1\r\n" + headers)

    assert response.startswith(b"HTTP/1.1 401 ")


def test_wrong_secrets_of_an_address_are_limited_and_never_lock_out_the_right_one(
    guarded: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    guesser = HttpClient(guarded.address, "wrong")

    statuses = [guesser.get("/packed").status for _ in range(100)]

    assert statuses == [401] * MAX_WRONG_SECRETS + [429] * (100 - MAX_WRONG_SECRETS)
    blocked = guesser.get("/packed")
    assert (blocked.status, blocked.code, blocked.headers["retry-after"]) == (429, "too_many_attempts", "60")
    assert guarded.get("/packed").status == 200
    assert HttpClient(guarded.address).get("/packed").status == 401
    assert guesser.get("/healthz").status == 200
    assert caplog.text.count("10 wrong tokens from 127.0.0.1 within a minute") == 1
    assert SECRET not in caplog.text


def test_the_limit_ends_after_a_minute_and_affects_one_address() -> None:
    now = 0.0
    guard = RequestGuard(TOKENS, None, monotonic=lambda: now)

    def status_for(value: bytes, origin: str = "chen") -> int | None:
        admitted = guard.admit(headers_with(value), origin)
        return admitted.status if isinstance(admitted, Reply) else None

    for second in range(1000):
        now = second * 0.05
        status_for(b"Bearer guess")
    assert [status_for(b"Bearer guess"), status_for(b"Bearer guess", "asha")] == [429, 401]
    assert status_for(CORRECT) is None
    now = 61.0
    assert [status_for(b"Bearer guess") for _ in range(12)] == [401] * 10 + [429] * 2


def test_a_missing_secret_does_not_count_as_wrong() -> None:
    guard = RequestGuard(TOKENS, None)
    for _ in range(50):
        guard.admit(headers_with(), "asha")

    assert guard.admit(headers_with(CORRECT), "asha") == ASHA


def test_the_number_of_counted_addresses_is_limited() -> None:
    guard = RequestGuard(TOKENS, None)
    for number in range(MAX_ADDRESSES + 50):
        guard.admit(headers_with(b"Bearer guess"), f"address {number}")

    assert len(guard._attempts) == MAX_ADDRESSES


def test_secrets_are_never_compared_directly() -> None:
    paths = list(HTTP_PACKAGE.glob("*.py"))
    assert paths
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq | ast.In) for op in node.ops):
                compared = ast.unparse(node)
                assert not any(word in compared for word in ("token", "digest", "reveal")), f"{path.name}: {compared}"


# --- host names and sites ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "[::1]", "LOCALHOST"])
def test_a_loopback_address_accepts_local_host_names(client: HttpClient, host: str) -> None:
    assert client.get("/packed", Host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:80",
        "",
        ":80",
        "127.0.0.1.nip.io",
        "localhost:",
        "localhost:80:80",
        "localhost:http",
        "localhost.",
        "localhost, evil.example",
        "user@localhost",
        "localhost/evil.example",
        "::1",
        "[::1",
        "[::1]evil.example",
        "127.1",
        "2130706433",
        "a" * 10_000,
    ],
)
def test_a_loopback_address_refuses_other_host_names(client: HttpClient, host: str) -> None:
    response = client.get("/packed", Host=host)

    assert (response.status, response.code) == (403, "wrong_host")


def test_requests_from_other_sites_are_refused(place: Installation, client: HttpClient) -> None:
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        response = client.request("POST", "/api/cron/run/requests.daily", headers=headers)
        assert (response.status, response.code) == (403, "cross_site")
    assert place.service.audit.newest(limit=1) == []
    host, port = client.host_and_port
    assert client.get("/packed", Origin=f"http://{host}:{port}", Sec_Fetch_Site="same-origin").status == 200


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:8080", Address("[::1]", 8080)),
        ("unix:/run/ops.sock", Address("", 0, Path("/run/ops.sock"))),
    ],
)
def test_addresses_are_parsed(text: str, address: Address) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text", ["8080", ":8080", "localhost", "localhost:", "localhost:http", "localhost:65536", "::1:80", "unix:ops.sock"]
)
def test_an_invalid_address_is_refused_with_examples(text: str) -> None:
    with pytest.raises(BadAddress, match=r"is not an address; write it as 127\.0\.0\.1:8080"):
        read_address(text)


@pytest.mark.parametrize("text", ["0.0.0.0:0", "[::]:0"])
def test_other_machines_are_served_only_with_a_secret(text: str) -> None:
    with pytest.raises(BadSettings, match="would be open to other machines: set CRON_SECRET"), listening_on(text):
        pass
    with listening(read_address("0.0.0.0:0"), protected=True) as listener:
        assert listener.hosts is None


def test_a_loopback_address_accepts_its_own_name() -> None:
    with listening(read_address("127.0.0.2:0"), protected=False) as listener:
        assert listener.hosts == LOCAL_NAMES | {"127.0.0.2"}
        assert listener.socket.getsockname()[0] == "127.0.0.2"


def test_a_port_in_use_is_reported() -> None:
    with listening_on("127.0.0.1:0") as address:
        port = address.rpartition(":")[2]
        message = f"served on http://127.0.0.1:{port}: address already in use"
        with pytest.raises(CannotListen, match=message), listening_on(f"127.0.0.1:{port}"):
            pass


def test_an_unknown_host_is_reported() -> None:
    with pytest.raises(CannotListen, match="unknown host"), listening_on("no_such_host.invalid:80"):
        pass


def test_a_unix_socket_is_private_and_removed_at_the_end(place: Installation, tmp_path: Path) -> None:
    path = tmp_path / "ops.sock"
    with served(place, f"unix:{path}") as client, place.leading() as engine:
        eventually(lambda: is_at_work(engine), "it is leading")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert client.get("/packed", Host="whatever").status == 200
        run = client.request("POST", "/api/cron/run/requests.daily").json["run"]["id"]
        place.service.commands.wait_for_run(run, PATIENCE_SECONDS)

    assert {entry.origin for entry in place.audited_commands()} == {"unix"}
    assert not path.exists()


def test_only_the_socket_of_an_ended_process_is_replaced(tmp_path: Path) -> None:
    dead, living, file = tmp_path / "dead.sock", tmp_path / "living.sock", tmp_path / "notes.txt"
    with socket.socket(socket.AF_UNIX) as closed_socket:
        closed_socket.bind(str(dead))
    file.write_text("mine")

    with listening_on(f"unix:{dead}"), listening_on(f"unix:{living}"):
        with pytest.raises(CannotListen, match="another process is listening there"), listening_on(f"unix:{living}"):
            pass
        assert living.exists()
    with pytest.raises(CannotListen, match="the path is not a socket"), listening_on(f"unix:{file}"):
        pass
    with pytest.raises(CannotListen, match="no such file or directory"), listening_on(f"unix:{tmp_path}/no/ops.sock"):
        pass
    assert file.read_text() == "mine"


@pytest.mark.parametrize("package", ["starlette", "prometheus_client"])
def test_a_missing_extra_is_named(package: str, cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    result = cli("headless", "--http", "127.0.0.1:0")

    assert result.code == 78
    assert result.err.endswith(f"not installed ({package}): pip install 'opsconsole[http]'\n")


def test_the_secret_is_read_from_the_environment_and_never_shown(tmp_path: Path) -> None:
    found = load(folder=tmp_path, environ={"CRON_SECRET": SECRET, "OPSCONSOLE_HTTP__BIND": "[::1]:8080"}, search=False)

    assert found.http_secret == Secret(SECRET)
    assert (found.effective()["http.bind"], found.effective()["CRON_SECRET"]) == ("[::1]:8080", "***")
    assert SECRET not in f"{found!r} {found.effective()} {found.for_workers()}"
    assert load(folder=tmp_path, environ={"CRON_SECRET": ""}, search=False).http_secret is None
    for wrong in ("ge heim", "ge\nheim", "gehëim"):
        with pytest.raises(BadSettings, match="CRON_SECRET has characters") as refused:
            load(folder=tmp_path, environ={"CRON_SECRET": wrong}, search=False)
        assert wrong not in str(refused.value)


@contextmanager
def listening_on(text: str) -> Iterator[str]:
    with listening(read_address(text), protected=False) as listener:
        yield str(listener.address)
