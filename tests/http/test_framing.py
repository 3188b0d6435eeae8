"""How requests are read: what is ambiguous or not HTTP is refused, also after a valid request on the connection."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import pytest

from opsconsole.http.connection import MAX_HEAD_BYTES
from opsconsole.http.requests import MAX_BODY_BYTES
from tests.http.bad_clients import fails_to_send
from tests.http.client import HttpClient
from tests.waiting import eventually

HOST = b"Host: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
MEGABYTE = b" " * 1024 * 1024

INVALID = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "nonsense": b"nonsense\r\n\r\n",
    "http_0_9": b"GET /healthz\r\n\r\n",
    "http_2_preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http_3": b"GET /healthz HTTP/3.0\r\n" + HOST + b"\r\n",
    "http_1_2": b"GET /healthz HTTP/1.2\r\n" + HOST + b"\r\n",
    "no_host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two_hosts": b"GET /healthz HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "two_spaces": b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "space_in_target": b"GET /health z HTTP/1.1\r\n" + HOST + b"\r\n",
    "both_lengths": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both_lengths_reversed": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two_lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n[1,2]",
    "two_lengths_in_one": POST + b"Content-Length: 5, 6\r\n\r\n[1,2]",
    "negative_length": POST + b"Content-Length: -1\r\n\r\n",
    "signed_length": POST + b"Content-Length: +5\r\n\r\n[1,2]",
    "hexadecimal_length": POST + b"Content-Length: 0x5\r\n\r\n[1,2]",
    "endless_length": POST + b"Content-Length: " + b"9" * 100 + b"\r\n\r\n",
    "two_encodings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown_encoding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "hidden_encoding": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked_1_0": b"POST /echo HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded": GET[:-2] + b"X-Long: a\r\n b\r\n\r\n",
    "folded_with_tab": GET[:-2] + b"X-Long: a\r\n\tb\r\n\r\n",
    "folded_length": POST + b"Content-Length:\r\n 5\r\n\r\n[1,2]",
    "folded_first": b"GET /healthz HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n",
    "line_feeds": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "one_line_feed": b"GET /healthz HTTP/1.1\r\nX: a\n" + HOST + b"\r\n",
    "last_line_feed": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\n",
    "carriage_return": GET[:-2] + b"X: a\rY: b\r\n\r\n",
    "carriage_return_in_target": b"GET /healthz\r HTTP/1.1\r\n" + HOST + b"\r\n",
    "nul": GET[:-2] + b"X: a\0b\r\n\r\n",
    "nul_in_name": GET[:-2] + b"X\0: a\r\n\r\n",
    "space_before_colon": GET[:-2] + b"X : a\r\n\r\n",
    "no_colon": GET[:-2] + b"X\r\n\r\n",
    "no_name": GET[:-2] + b": a\r\n\r\n",
    "huge_header": GET[:-2] + b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
    "huge_url": b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "huge_method": b"A" * (MAX_HEAD_BYTES + 1),
    "many_headers": GET[:-2] + b"a: b\r\n" * (MAX_HEAD_BYTES // 6) + b"\r\n",
    "endless_head": GET[:-2] + b"a: b\r\n" * 50_000,
    "head_with_length": b"HEAD /healthz HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
}
BAD_CHUNKS = {
    "letters": b"zz\r\n",
    "negative": b"-5\r\nhello\r\n",
    "prefixed": b"0x5\r\nhello\r\n",
    "empty": b"\r\n",
    "huge": b"F" * 30 + b"\r\n",
    "too_short": b"5\r\nhello, world\r\n",
    "line_feed": b"5\nhello\n0\r\n\r\n",
    "after_a_good_one": b"5\r\nhello\r\nzz\r\n",
    "bad_trailer": b"0\r\nno colon\r\n\r\n",
    "endless_extension": b"5;" + b"a" * 100_000,
}


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record for record in caplog.get_records("call") if record.levelno > logging.INFO] == []


@pytest.mark.parametrize("sent", INVALID.values(), ids=INVALID)
def test_an_invalid_request_is_refused_and_the_connection_closed(client: HttpClient, sent: bytes) -> None:
    first, later = client.raw(sent), client.raw(GET + sent + LAST)

    assert is_refusal(first)
    assert later.startswith(b"HTTP/1.1 200 ")
    assert is_refusal(later[later.index(b"HTTP/1.1 400") :])
    assert client.get("/healthz").status == 200


@pytest.mark.parametrize("path", [b"/echo", b"/nothing", b"/packed"])
@pytest.mark.parametrize("chunk", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
def test_a_bad_chunk_is_refused_also_where_no_body_is_read(client: HttpClient, path: bytes, chunk: bytes) -> None:
    answer = client.raw(CHUNKED.replace(b"/echo", path) + chunk)

    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 "))
    assert answer.count(b"HTTP/1.1 ") == 1
    assert client.get("/healthz").status == 200


def test_a_bad_chunk_after_the_response_has_begun_closes_the_connection(client: HttpClient) -> None:
    with client.connect() as connection:
        connection.sendall(CHUNKED.replace(b"/echo", b"/nothing") + b"5\r\nhello\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        connection.sendall(b"zz\r\n")
        assert b"HTTP/1.1" not in received(connection)


def test_a_request_of_http_1_0_needs_no_host(client: HttpClient) -> None:
    assert client.raw(b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert client.raw(b"GET /packed HTTP/1.0\r\nHost: evil.example\r\n\r\n").startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "target", [b"*", b"//healthz", b"http://evil.example/healthz", b"localhost:80", b"/%0d%0aX:%20y"]
)
def test_an_unusual_target_is_not_found(client: HttpClient, target: bytes) -> None:
    for method in (b"GET", b"OPTIONS", b"CONNECT"):
        answer = client.raw(method + b" " + target + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b"\r\nX: y" not in answer


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"TLS/1.0"])
def test_an_upgrade_gets_a_plain_response(client: HttpClient, protocol: bytes) -> None:
    upgrade = b"Connection: upgrade, close\r\nUpgrade: " + protocol + b"\r\n\r\n"

    assert client.raw(GET[:-2] + upgrade).startswith(b"HTTP/1.1 200 ")


def test_requests_sent_at_once_are_answered_in_order(client: HttpClient) -> None:
    with client.connect() as connection:
        connection.sendall(GET * 50 + POST + b"Content-Length: 5\r\n\r\n[1,2]" + LAST)
        answer = received(connection)

    assert answer.count(b"HTTP/1.1 200 ") == 52
    assert answer.index(b'"body":[1,2]') > answer.rindex(b"HTTP/1.1 200 ", 0, answer.index(b"[1,2]"))


def test_a_client_that_has_sent_everything_still_gets_its_responses(client: HttpClient) -> None:
    with client.connect() as connection:
        connection.sendall(GET.replace(b"/healthz", b"/slow/0.1") * 2)
        connection.shutdown(socket.SHUT_WR)

        assert received(connection).count(b"HTTP/1.1 200 ") == 2


def test_a_client_that_ends_in_the_middle_of_a_request_is_closed(client: HttpClient) -> None:
    for sent in (b"", b"GET /heal", GET[:-2], POST + b"Content-Length: 5\r\n\r\n[1", CHUNKED + b"5\r\nhe"):
        with client.connect() as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)

            assert received(connection) == b""


# --- bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [b"/echo", b"/nothing", b"/packed"])
@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_client_that_sends_ten_megabytes_gets_the_response(
    client: HttpClient, path: bytes, last: bytes, version: bytes
) -> None:
    head = b"POST " + path + b" HTTP/" + version + b"\r\n" + HOST + last
    with client.connect() as connection:
        connection.sendall(head + b"Content-Length: 10485760\r\n\r\n" + MEGABYTE * 10)
        assert connection.recv(65536).startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 "))
        if version == b"1.1" and not last:
            connection.sendall(LAST)
            assert b"HTTP/1.1 200 " in received(connection)


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"])
def test_ten_megabytes_without_a_length_are_too_large(client: HttpClient, last: bytes) -> None:
    with client.connect() as connection:
        connection.sendall(POST + last + b"Transfer-Encoding: chunked\r\n\r\n")
        connection.sendall((b"100000\r\n" + MEGABYTE + b"\r\n") * 10 + b"0\r\n\r\n")

        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_an_endless_body_is_cut(client: HttpClient) -> None:
    chunk = b"100000\r\n" + MEGABYTE + b"\r\n"
    with client.connect() as connection:
        connection.sendall(CHUNKED)
        eventually(lambda: fails_to_send(connection, chunk), "the connection is closed")


def test_a_body_that_is_too_large_is_not_asked_for(client: HttpClient) -> None:
    for length, status in ((MAX_BODY_BYTES + 1, b"413 "), (5, b"100 ")):
        with client.connect() as connection:
            connection.sendall(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)
            assert connection.recv(65536).startswith(b"HTTP/1.1 " + status)
            if status == b"100 ":
                connection.sendall(b"[1,2]")
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    found = b""
    while more := connection.recv(65536):
        found += more
    return found


def is_refusal(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    return (
        head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        and b"\r\nconnection: close" in head
        and body == b'{"success":false,"error":{"code":"bad_request","message":"this is not a valid HTTP request"}}'
    )
