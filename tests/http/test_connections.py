"""Connections that hold the server up: limits of number and time for every request, shutdown, and random bytes."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from opsconsole.http import commanding, connection as connections, threads
from tests.http.bad_clients import (
    BIG,
    GET,
    STALLED,
    fails_to_send,
    half_head_later,
    idle,
    is_closed,
    not_reading,
    send_at_random,
    stalled,
)
from tests.http.client import HttpClient, served
from tests.http.conftest import SECRET, Starting
from tests.installation import Installation, is_at_work
from tests.waiting import PATIENCE_SECONDS, eventually

Stalling = Callable[[socket.socket], None]
every_kind = pytest.mark.parametrize("kind", STALLED.values(), ids=STALLED)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of connections that may be open."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 5)
    return 5


# --- number ---------------------------------------------------------------------------------------------------------


@every_kind
def test_stalled_connections_do_not_keep_others_out(client: HttpClient, few: int, kind: Stalling) -> None:
    with stalled(client.connect, few * 3, kind) as opened:
        for _ in range(few):
            assert client.get("/healthz").status == 200
        eventually(lambda: sum(not is_closed(each) for each in opened) <= few, "the oldest are closed")


def test_readyz_answers_while_two_hundred_bad_connections_are_open(place: Installation, client: HttpClient) -> None:
    with place.leading() as engine, stalled(client.connect, 200, *STALLED.values()):
        eventually(lambda: is_at_work(engine), "it is leading")
        for _ in range(20):
            assert client.get("/readyz").status == 200


def test_the_right_secret_is_served_while_bad_connections_are_open(guarded: HttpClient, few: int) -> None:
    with stalled(guarded.connect, few * 3, *STALLED.values()):
        assert guarded.get("/packed").status == 200


def test_the_limits_hold_on_a_unix_socket(place: Installation, few: int, tmp_path: Path) -> None:
    with (
        served(place, f"unix:{tmp_path / 'ops.sock'}") as client,
        stalled(client.connect, few * 3, *STALLED.values()) as opened,
    ):
        assert client.get("/packed").status == 200
        eventually(lambda: sum(not is_closed(each) for each in opened) <= few, "the oldest are closed")


def test_a_request_in_progress_is_not_closed_for_others(client: HttpClient, few: int) -> None:
    with ThreadPoolExecutor(1) as clients:
        slow = clients.submit(client.get, "/slow/1.5")
        with stalled(client.connect, few * 4, *STALLED.values()):
            assert slow.result().status == 200


def test_an_address_with_many_connections_displaces_its_own(client: HttpClient, few: int) -> None:
    with stalled(client.connect, 2, idle) as ours:
        theirs = [
            socket.create_connection(client.host_and_port, source_address=("127.0.0.2", 0)) for _ in range(few * 4)
        ]
        try:
            eventually(lambda: sum(map(is_closed, theirs)) >= few * 4 - 3, "theirs are closed")
            assert not any(map(is_closed, ours))
        finally:
            for each in theirs:
                each.close()


def test_responses_that_are_not_read_take_limited_memory(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_UNREAD_BYTES", 5_000_000)
    with stalled(client.connect, 20, not_reading) as opened:
        eventually(lambda: len(connections_of(client)) <= 10, "connections are closed")
        assert client.get("/big/1000000").status == 200
        assert sum(map(is_closed, opened)) >= 10


# --- time -----------------------------------------------------------------------------------------------------------


@every_kind
def test_a_stalled_connection_is_closed_after_a_while(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch, kind: Stalling
) -> None:
    monkeypatch.setattr(connections, "CLIENT_SECONDS", 0.2)
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.2)
    with stalled(client.connect, 1, kind) as opened:
        eventually(lambda: not connections_of(client), "the connection is closed")
        eventually(lambda: is_closed(opened[0]), "the client has read the end")


def test_bytes_that_arrive_one_by_one_do_not_prolong_the_time(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CLIENT_SECONDS", 0.3)
    for first in (b"", GET):
        with client.connect() as connection:
            connection.sendall(first + GET[:-2])
            eventually(lambda: fails_to_send(connection, b"X"), "the connection is closed")


def test_a_handler_may_take_longer_than_a_client(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CLIENT_SECONDS", 0.1)

    assert client.get("/slow/0.5").status == 200


def test_a_slow_reader_gets_the_whole_response(client: HttpClient) -> None:
    with client.connect() as connection:
        connection.sendall(BIG.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        received = 0
        while more := connection.recv(65536):
            received += len(more)
            threading.Event().wait(0.001)

    assert received > 1_000_000


def test_an_idle_connection_is_kept_longer_than_a_slow_one_and_clients_can_read_for_how_long(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CLIENT_SECONDS", 0.1)
    with closing(client.connection()) as kept, stalled(client.connect, 1, half_head_later) as (slow,):
        kept.request("GET", "/healthz")
        first = kept.getresponse()
        first.read()
        opened = kept.sock
        eventually(lambda: is_closed(slow), "the slow one is closed")
        threading.Event().wait(0.2)
        kept.request("GET", "/healthz")
        assert kept.getresponse().read() == b'{"success":true}'
        assert kept.sock is opened

    assert first.headers["keep-alive"] == "timeout=60"
    assert connections.ANNOUNCED_SECONDS < connections.IDLE_SECONDS


def test_the_last_response_of_a_server_announces_the_end_of_the_connection(place: Installation) -> None:
    with ThreadPoolExecutor(1) as clients:
        with served(place) as client:
            before = calls()
            last = clients.submit(client.get, "/slow/1.5")
            eventually(lambda: not calls() <= before, "it is being served")
        headers = last.result().headers

    assert headers["connection"] == "close"


def test_a_connection_serves_several_requests(client: HttpClient) -> None:
    with closing(client.connection()) as connection:
        connection.connect()
        opened = connection.sock
        for _ in range(5):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b'{"success":true}'
        assert connection.sock is opened


# --- handlers that hang ---------------------------------------------------------------------------------------------


def test_a_handler_that_hangs_blocks_neither_others_nor_the_end(
    place: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "CALL_SECONDS", 0.2)
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(threads, "MAX_STUCK", 0)
    with served(place) as client, ThreadPoolExecutor(7) as clients:
        hanging = [clients.submit(client.get, "/slow/30") for _ in range(7)]
        replies = sorted((request.result().status, request.result().code) for request in hanging)
        health, busy = client.get("/readyz"), client.get("/packed")

    assert replies == [(503, "busy")] * 2 + [(504, "timeout")] * 5
    assert health.json["store"] == "ok"
    assert (busy.status, busy.code, busy.headers["retry-after"]) == (503, "busy", "5")
    assert caplog.text.count("http: GET /slow/30 has not answered in time") == 5


def test_threads_that_hang_are_replaced_up_to_a_number(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "CALL_SECONDS", 0.2)
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(threads, "MAX_STUCK", 3)
    with served(place) as client:
        codes = [client.get("/slow/30").code for _ in range(8)]
        busy = client.get("/packed")

    assert codes == ["timeout"] * 8, "five places, and three that were replaced"
    assert (busy.status, busy.code) == (503, "busy")


def test_a_thread_is_free_again_when_its_call_ends(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "CALL_SECONDS", 0.1)
    with served(place) as client:
        for _ in range(6):
            assert client.get("/slow/0.3").status == 504
        assert client.get("/packed").status == 200


def test_requests_that_wait_for_a_leader_are_limited(
    place: Installation, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commanding, "MAX_WAITING", 2)
    with ThreadPoolExecutor(6) as clients:
        starting = [clients.submit(client.request, "POST", "/api/cron/run/requests.daily") for _ in range(6)]
        codes = {request.result().code for request in starting}

    assert codes == {"busy", "no_leader"}
    assert client.get("/readyz").code == "not_ready"


def test_clients_that_disconnect_early_leave_nothing_behind(
    client: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(12):
        with client.connect() as connection:
            connection.sendall(GET.replace(b"/healthz", b"/slow/0.1") + BIG)

    assert client.get("/slow/0").status == 200
    eventually(lambda: not connections_of(client), "the connections are closed")
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


# --- the end of the process -----------------------------------------------------------------------------------------


def test_a_process_ends_while_clients_hang(place: Installation, headless: Starting) -> None:
    process = headless(place, "--http", "127.0.0.1:0", CRON_SECRET=SECRET)
    client = process.client()
    hanging = b"GET /slow/3600 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n" % SECRET.encode()
    with (
        stalled(client.connect, 100, *STALLED.values()),
        stalled(client.connect, 10, lambda connection: connection.sendall(hanging)),
    ):
        assert client.get("/healthz").status == 200  # sent last: the others have arrived as well
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(timeout=PATIENCE_SECONDS) == 128 + signal.SIGTERM

    log = process.log.read_text()
    assert log.count("GET /slow/3600 was cut off by the end of this process") == 10
    assert "Traceback" not in log
    assert "xception" not in log


# --- random bytes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_random_bytes_leave_the_server_as_it_was(
    client: HttpClient, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get("/healthz").status == 200
    files = open_files()

    send_at_random(client.connect, count, seed=12)

    assert client.get("/healthz").status == 200
    eventually(lambda: open_files() <= files, "no file is left open")
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def calls() -> set[threading.Thread]:
    """The threads in which handlers are called."""
    return {each for each in threading.enumerate() if each.name == "http-call"}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def connections_of(client: HttpClient) -> list[str]:
    """The established connections on the server's side, in the kernel's notation."""
    port = f":{client.host_and_port[1]:04X}"
    lines = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return [fields[2] for fields in lines if fields[1].endswith(port) and fields[3] == "01"]
