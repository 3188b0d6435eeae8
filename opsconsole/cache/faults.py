"""What an error of Redis means: one table from errors to a sentence for people and to what a run does about it."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import redis

from opsconsole.core.errors import NotPermitted, Unavailable
from opsconsole.core.text import safe


class Effect(StrEnum):
    """What an error means for a run."""

    ITEM = "item"  # this command was refused, others may succeed
    WAIT = "wait"  # it may pass: the circuit breaker waits
    END = "end"  # it stays so until somebody changes something: the run ends with this cause


@dataclass(frozen=True, slots=True)
class Fault:
    """A cause in words that are safe to show, and its effect. `command` is one that the Redis user may not run."""

    reason: str
    effect: Effect
    command: str | None = None


STRANGE = (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError, MemoryError)
"""redis-py raises these when the answers are not what Redis answers."""
ERRORS = (redis.RedisError, OSError, *STRANGE)
"""Everything that a call of redis-py may raise."""

NOT_REDIS = "its answers are not those of a Redis server"
CLUSTER = "it is a Redis Cluster, which is not supported; use a server without cluster mode, or a proxy that hides it"
SENTINEL = "it is a Sentinel, which holds no data; give the address of the primary, or one that follows it"
CLOSED = "the connection was refused or closed"
SILENT = "no answer in time"
AFTER_HANDSHAKE = "closed after the TLS handshake"
MAY_REQUIRE_CERTIFICATE = "it closed the connection after the TLS handshake; it may require another client certificate"

_ROWS: tuple[tuple[type[Exception], str, Fault], ...] = (
    (redis.OutOfMemoryError, "", Fault("Redis refused the write: out of memory", Effect.ITEM)),
    (
        redis.AuthenticationError,
        "called without any password",
        Fault("it has no password, but the URL has", Effect.END),
    ),
    (redis.AuthenticationError, "no password is set", Fault("it has no password, but the URL has", Effect.END)),
    (redis.AuthenticationError, "Authentication required", Fault("it requires a password", Effect.END)),
    (redis.AuthenticationError, "", Fault("it refused the user name or password", Effect.END)),
    (redis.BusyLoadingError, "", Fault("it is still loading its data", Effect.WAIT)),
    (redis.ReadOnlyError, "", Fault("it is a read-only replica", Effect.WAIT)),
    (redis.exceptions.MasterDownError, "", Fault("it is a replica without a primary", Effect.WAIT)),
    (redis.exceptions.AskError, "", Fault(CLUSTER, Effect.END)),
    (redis.exceptions.ClusterCrossSlotError, "", Fault(CLUSTER, Effect.END)),
    (redis.exceptions.TryAgainError, "", Fault(CLUSTER, Effect.END)),
    (redis.exceptions.ClusterDownError, "", Fault(CLUSTER, Effect.END)),
    (redis.ResponseError, "not allowed in cluster mode", Fault(CLUSTER, Effect.END)),
    (redis.ResponseError, "DB index is out of range", Fault("it has no database with this number", Effect.END)),
    (redis.ResponseError, "invalid DB index", Fault("it has no database with this number", Effect.END)),
    (redis.ResponseError, "MISCONF", Fault("it refuses writes because it cannot save them to disk", Effect.END)),
    (redis.ResponseError, "NOREPLICAS", Fault("it refuses writes because it has too few replicas", Effect.WAIT)),
    (redis.ResponseError, "BUSY ", Fault("it is busy with a script", Effect.WAIT)),
    (redis.ResponseError, "max number of clients", Fault("it has no connection left for another client", Effect.WAIT)),
    (
        redis.ConnectionError,
        "max number of clients",
        Fault("it has no connection left for another client", Effect.WAIT),
    ),
    (redis.MaxConnectionsError, "", Fault("this process has too many connections to it", Effect.WAIT)),
    (redis.ResponseError, "DENIED", Fault("it accepts local connections only (protected mode)", Effect.END)),
    (redis.InvalidResponse, 'got "\\x15"', Fault("it expects TLS; write rediss:// in the URL", Effect.END)),
    (redis.InvalidResponse, "", Fault(NOT_REDIS, Effect.WAIT)),
    (TimeoutError, "handshake", Fault("no answer to the TLS handshake; it may not use TLS on this port", Effect.WAIT)),
    (redis.ConnectionError, AFTER_HANDSHAKE, Fault(MAY_REQUIRE_CERTIFICATE, Effect.WAIT)),
    (redis.TimeoutError, "", Fault(SILENT, Effect.WAIT)),
    (TimeoutError, "", Fault(SILENT, Effect.WAIT)),
    (socket.gaierror, "", Fault("its host name cannot be resolved", Effect.WAIT)),
    (PermissionError, "", Fault("this user may not open its socket", Effect.WAIT)),
    (redis.ConnectionError, "", Fault(CLOSED, Effect.WAIT)),
    (OSError, "", Fault(CLOSED, Effect.WAIT)),
    *((kind, "", Fault(NOT_REDIS, Effect.WAIT)) for kind in STRANGE),
)
"""Error class, a part of its message, and what they mean: the first row that fits."""

_TLS: dict[str, str] = {
    "WRONG_VERSION_NUMBER": "it does not use TLS on this port; write redis:// in the URL",
    "RECORD_LAYER_FAILURE": "it does not use TLS on this port; write redis:// in the URL",
    "PACKET_LENGTH_TOO_LONG": "it does not use TLS on this port; write redis:// in the URL",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it requires a client certificate; give ssl_certfile and ssl_keyfile",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the TLS handshake failed; it may require a client certificate, or other ciphers",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust the client certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it refused the client certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the client certificate has expired",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it supports no TLS version that this side does",
    "UNSUPPORTED_PROTOCOL": "it supports no TLS version that this side does",
    "KEY_VALUES_MISMATCH": "ssl_keyfile does not belong to ssl_certfile",
}
_CERTIFICATE: dict[int, str] = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is not trusted (self-signed); give its CA as ssl_ca_certs",
    19: "its certificate is not trusted (unknown CA); give the CA as ssl_ca_certs",
    20: "its certificate is not trusted (unknown CA); give the CA as ssl_ca_certs",
    21: "its certificate is not trusted (unknown CA); give the CA as ssl_ca_certs",
    23: "its certificate was revoked",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}
"""OpenSSL's codes of what is wrong with a certificate."""

_PIPELINED = re.compile(r"Command # \d+ \(.*\) of pipeline caused error: ", re.DOTALL)  # repeats what was written
_ARGUMENTS = re.compile(r",? with args beginning with:.*", re.DOTALL)  # may repeat a password
_DENIED = re.compile(r"run the '([^']+)' command")
_UNKNOWN = re.compile(r"unknown command\W+([\w|]+)")


def fault(error: BaseException) -> Fault:
    """The meaning of an error that redis-py raised, or of one that it returned for a command."""
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, ssl.SSLError) and not isinstance(each, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return _tls_fault(each)
    found = [fault for each in chain if (fault := _fault(each)) is not None]
    specific = [fault for fault in found if fault.reason not in (CLOSED, SILENT)]
    refused = Fault(f"Redis refused the command: {safe(_message(error), 180)}", Effect.ITEM)
    return next(iter(specific or found), refused)


def unavailable(error: BaseException) -> Unavailable:
    """The error to raise for one of redis-py's."""
    found = fault(error)
    if found.command is not None:
        return NotPermitted(found.command)
    return Unavailable("redis", found.reason, permanent=found.effect is Effect.END)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what caused it as far as redis-py only wraps that in errors of its own."""
    while error is not None:
        yield error
        if type(error) not in (redis.ConnectionError, redis.TimeoutError, redis.InvalidResponse, redis.WatchError):
            return
        error = error.__cause__ or error.__context__


def _fault(error: BaseException) -> Fault | None:
    message = _message(error)
    if isinstance(error, redis.exceptions.NoPermissionError):
        command = _DENIED.search(message)
        if command is None:
            return Fault("the Redis user may not access these keys", Effect.END)
        name = safe(command.group(1), 40).replace("|", " ").upper()
        return Fault(NotPermitted(name).reason, Effect.END, name)
    if isinstance(error, redis.ResponseError) and (unknown := _UNKNOWN.search(message)):
        return Fault(f"it does not know the command {safe(unknown.group(1), 40).upper()}", Effect.END)
    for kind, part, found in _ROWS:
        if isinstance(error, kind) and part in message:
            return found
    return None


def _tls_fault(error: ssl.SSLError) -> Fault:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _CERTIFICATE.get(error.verify_code, f"its certificate is not valid: {safe(error.verify_message, 100)}")
        return Fault(reason, Effect.END)
    token = error.reason or ""
    return Fault(_TLS.get(token, f"TLS failed: {safe(token.lower().replace('_', ' '), 80)}"), Effect.END)


def _message(error: BaseException) -> str:
    return _ARGUMENTS.sub("", _PIPELINED.sub("", str(error)))
