"""Who is let in: with which secret, under which name, from which page, through which kind of door, and how many."""

from __future__ import annotations

import ast
import logging
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from opsconsole.core.errors import BadSettings
from opsconsole.core.settings import Secret, load
from opsconsole.http import server
from opsconsole.http.listener import LOCAL_NAMES, Address, BadAddress, CannotListen, listening, read_address
from opsconsole.http.request_guard import REMEMBERED, WRONG_A_MINUTE, RequestGuard
from tests.cli.conftest import Typing, typing as typing_fixture
from tests.http.client import Wire, served
from tests.http.conftest import SECRET
from tests.installation import Installation
from tests.waiting import PATIENCE_SECONDS, eventually

typing = typing_fixture
RIGHT = f"Bearer {SECRET}".encode()
HTTP_ROOM = Path(server.__file__).parent


def bearing(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"localhost"), *((b"authorization", value) for value in values)]


# --- the secret ---------------------------------------------------------------------------------------------------


def test_whoever_knows_the_secret_is_answered_and_health_needs_none(guarded: Wire) -> None:
    stranger = Wire(guarded.address)

    assert guarded.get("/packed").status == 200
    assert stranger.get("/healthz").status == 200
    for path in ("/packed", "/readyz", "/nothing", "/healthz/"):
        heard = stranger.get(path)
        assert (heard.status, heard.code, heard.headers["www-authenticate"]) == (401, "unauthorized", "Bearer")
    assert stranger.ask("POST", "/api/cron/run/asking.daily").status == 401
    assert stranger.get(f"/packed?token={SECRET}&secret={SECRET}").status == 401


@pytest.mark.parametrize(
    "values",
    [
        (),
        (b"",),
        (b"Bearer",),
        (b"Bearer ",),
        (RIGHT[:-1],),
        (RIGHT + b"x",),
        (RIGHT.upper(),),
        (SECRET.encode(),),
        (b"Basic " + SECRET.encode(),),
        (b"Bearer\t" + SECRET.encode(),),
        ("Bearer gehëim".encode(),),
        ("Bearer gehëim".encode("latin-1"),),
        (b"Bearer \xff\xfe\xfd",),
        (RIGHT, RIGHT),
        (RIGHT, b"Bearer wrong"),
        (b"Bearer " + b"a" * 10_000,),
    ],
)
def test_nothing_but_the_secret_itself_opens(values: tuple[bytes, ...]) -> None:
    refusal = RequestGuard(Secret(SECRET), None).refusal(bearing(*values), "asha")

    assert refusal is not None
    assert refusal.status == 401


@pytest.mark.parametrize("value", [RIGHT, b"bearer " + SECRET.encode(), b"BEARER  " + SECRET.encode() + b" "])
def test_the_scheme_may_be_written_in_any_case(value: bytes) -> None:
    assert RequestGuard(Secret(SECRET), None).refusal(bearing(value), "asha") is None


def test_a_header_that_is_no_text_is_wrong_and_no_accident(guarded: Wire) -> None:
    heard = guarded.raw(b"GET /packed HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n\r\n")

    assert heard.startswith(b"HTTP/1.1 401 ")


def test_a_thousand_tries_are_ten(guarded: Wire, caplog: pytest.LogCaptureFixture) -> None:
    guesser = Wire(guarded.address, "wrong")

    statuses = [guesser.get("/packed").status for _ in range(100)]

    assert statuses == [401] * WRONG_A_MINUTE + [429] * (100 - WRONG_A_MINUTE)
    shut_out = guarded.get("/packed")
    assert (shut_out.status, shut_out.code, shut_out.headers["retry-after"]) == (429, "too_many_tries", "60")
    assert guesser.get("/healthz").status == 200
    assert caplog.text.count("10 wrong secrets from 127.0.0.1 within a minute") == 1
    assert SECRET not in caplog.text


def test_after_a_minute_there_are_ten_more_and_others_are_let_in_all_the_time() -> None:
    now = 0.0
    keeper = RequestGuard(Secret(SECRET), None, monotonic=lambda: now)

    def told(value: bytes, origin: str = "chen") -> int | None:
        refusal = keeper.refusal(bearing(value), origin)
        return refusal.status if refusal else None

    for second in range(1000):
        now = second * 0.05
        told(b"Bearer guess")
    assert (told(RIGHT), told(RIGHT, "asha")) == (429, None)
    now = 61.0
    assert [told(b"Bearer guess") for _ in range(12)] == [401] * 10 + [429] * 2
    now = 122.0
    assert told(RIGHT) is None


def test_whoever_forgot_the_secret_has_not_guessed() -> None:
    keeper = RequestGuard(Secret(SECRET), None)
    for _ in range(50):
        keeper.refusal(bearing(), "asha")

    assert keeper.refusal(bearing(RIGHT), "asha") is None


def test_no_crowd_of_addresses_fills_the_memory() -> None:
    keeper = RequestGuard(Secret(SECRET), None)
    for number in range(REMEMBERED + 50):
        keeper.refusal(bearing(b"Bearer guess"), f"address {number}")

    assert len(keeper._wrong) == REMEMBERED


def test_secrets_are_compared_by_digest_alone() -> None:
    for path in HTTP_ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq | ast.In) for op in node.ops):
                compared = ast.unparse(node)
                assert not any(word in compared for word in ("token", "digest", "reveal")), f"{path.name}: {compared}"


# --- the name and the page ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "[::1]", "LOCALHOST"])
def test_a_local_door_is_known_by_local_names(wire: Wire, host: str) -> None:
    assert wire.get("/packed", Host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "evil.example:80", "", "127.0.0.1.nip.io"])
def test_a_name_that_was_made_to_lead_here_is_not_answered(wire: Wire, host: str) -> None:
    heard = wire.get("/packed", Host=host)

    assert (heard.status, heard.code) == (403, "wrong_host")


def test_a_page_of_another_site_starts_nothing(place: Installation, wire: Wire) -> None:
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        heard = wire.ask("POST", "/api/cron/run/asking.daily", headers=headers)
        assert (heard.status, heard.code) == (403, "other_site")
    assert place.service.queries.audit_entries(limit=1) == []
    host, port = wire.place
    assert wire.get("/packed", Origin=f"http://{host}:{port}", Sec_Fetch_Site="same-origin").status == 200


# --- where --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:8080", Address("[::1]", 8080)),
        ("unix:/run/ops.sock", Address("", 0, Path("/run/ops.sock"))),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text", ["8080", ":8080", "localhost", "localhost:", "localhost:http", "localhost:65536", "::1:80", "unix:ops.sock"]
)
def test_what_is_no_address_is_refused_with_examples(text: str) -> None:
    with pytest.raises(BadAddress, match=r"is no address; write it as 127\.0\.0\.1:8080"):
        read_address(text)


@pytest.mark.parametrize("text", ["0.0.0.0:0", "[::]:0"])
def test_other_machines_are_answered_only_with_a_secret(text: str) -> None:
    with pytest.raises(BadSettings, match="would be open to other machines: set CRON_SECRET"), open_door(text):
        pass
    with listening(read_address("0.0.0.0:0"), protected=True) as door:
        assert door.hosts is None


def test_a_local_door_has_its_own_name_as_well() -> None:
    with listening(read_address("127.0.0.2:0"), protected=False) as door:
        assert door.hosts == LOCAL_NAMES | {"127.0.0.2"}
        assert door.socket.getsockname()[0] == "127.0.0.2"


def test_a_port_that_is_taken_is_told_in_one_sentence() -> None:
    with open_door("127.0.0.1:0") as address:
        port = address.rpartition(":")[2]
        told = f"served on http://127.0.0.1:{port}: address already in use"
        with pytest.raises(CannotListen, match=told), open_door(f"127.0.0.1:{port}"):
            pass


def test_a_host_that_nobody_knows() -> None:
    with pytest.raises(CannotListen, match="the host is not known"), open_door("no_such_host.invalid:80"):
        pass


def test_a_unix_socket_is_for_its_owner_alone_and_goes_with_the_process(place: Installation, tmp_path: Path) -> None:
    path = tmp_path / "ops.sock"
    with served(place, f"unix:{path}") as wire, place.leading() as engine:
        eventually(lambda: engine.is_leading, "it leads")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert wire.get("/packed", Host="whatever").status == 200
        run = wire.ask("POST", "/api/cron/run/asking.daily").json["run"]["id"]
        place.service.commands.wait_for_run(run, PATIENCE_SECONDS)

    assert {entry.origin for entry in place.service.queries.audit_entries(limit=9)} == {"unix"}
    assert not path.exists()


def test_the_socket_of_a_dead_process_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    dead, living, file = tmp_path / "dead.sock", tmp_path / "living.sock", tmp_path / "notes.txt"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(dead))
    file.write_text("mine")

    with open_door(f"unix:{dead}"), open_door(f"unix:{living}"):
        with pytest.raises(CannotListen, match="another process does that"), open_door(f"unix:{living}"):
            pass
        assert living.exists()
    with pytest.raises(CannotListen, match="something else is there"), open_door(f"unix:{file}"):
        pass
    with pytest.raises(CannotListen, match="no such file or directory"), open_door(f"unix:{tmp_path}/no/ops.sock"):
        pass
    assert file.read_text() == "mine"


def test_without_the_extra_it_is_told_what_to_install(typing: Typing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)

    told = typing("headless", "--http", "127.0.0.1:0")

    assert told.code == 78
    assert told.err.endswith("which are not installed: pip install 'opsconsole[http]'\n")


def test_the_secret_is_configured_and_never_shown(tmp_path: Path) -> None:
    found = load(folder=tmp_path, environ={"CRON_SECRET": SECRET, "OPSCONSOLE_HTTP__BIND": "[::1]:8080"}, search=False)

    assert found.http_secret == Secret(SECRET)
    assert (found.effective()["http.bind"], found.effective()["CRON_SECRET"]) == ("[::1]:8080", "***")
    assert SECRET not in f"{found!r} {found.effective()} {found.wiring()}"
    assert load(folder=tmp_path, environ={"CRON_SECRET": ""}, search=False).http_secret is None
    for wrong in ("ge heim", "geheim\n", "gehëim"):
        with pytest.raises(BadSettings, match="CRON_SECRET has letters") as refused:
            load(folder=tmp_path, environ={"CRON_SECRET": wrong}, search=False)
        assert wrong not in str(refused.value)


# --- how many -----------------------------------------------------------------------------------------------------


def test_a_crowd_that_only_connects_takes_a_limited_number_of_places(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 5)
    with ExitStack() as crowd:
        for _ in range(5):
            crowd.enter_context(socket.create_connection(wire.place, timeout=10))
        with pytest.raises((ConnectionError, OSError)):
            wire.get("/healthz")

    eventually(lambda: answers(wire), "those who went made room")


def test_whoever_connects_and_says_nothing_is_sent_away(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "FIRST_REQUEST_SECONDS", 0.1)

    assert wire.raw(b"") == b""
    assert wire.raw(b"GET /healthz HTTP/1.1\r\nHost: loc") == b""
    assert wire.get("/dawdled/0.3").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(wire: Wire, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert wire.raw(sent).startswith(b"HTTP/1.1 400 ")
    assert wire.get("/healthz").status == 200
    assert caplog.records == []


def test_a_web_socket_is_answered_as_any_question(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    asked = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n"

    assert wire.raw(asked).startswith(b"HTTP/1.1 200 ")
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


def answers(wire: Wire) -> bool:
    try:
        return wire.get("/healthz").status == 200
    except OSError:
        return False


@contextmanager
def open_door(text: str) -> Iterator[str]:
    with listening(read_address(text), protected=False) as door:
        yield str(door.address)
