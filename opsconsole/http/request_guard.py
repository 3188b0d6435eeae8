"""Decides which requests are allowed: by host name, originating site and secret, with a limit on wrong secrets."""

from __future__ import annotations

import hmac
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from hashlib import sha256

from opsconsole.authoring.extensions import Reply
from opsconsole.core.settings import Secret

log = logging.getLogger(__name__)

MAX_WRONG_SECRETS = 10
MINUTE_SECONDS = 60.0
MAX_ADDRESSES = 10_000
"""Addresses whose wrong secrets are counted. Counting does not stop a client that has more addresses."""

Headers = Sequence[tuple[bytes, bytes]]


class RequestGuard:
    """Without a `secret` every client is allowed; with `hosts` the Host header must be one of them.

    Starlette's TrustedHostMiddleware is not used: it responds in plain text, and errors of this API are JSON.
    """

    def __init__(
        self,
        secret: Secret | None,
        hosts: frozenset[str] | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._digest = _digest(secret.reveal().encode()) if secret is not None else None
        self._hosts = hosts
        self._monotonic = monotonic
        self._attempts: dict[str, deque[float]] = {}

    def refusal(self, headers: Headers, origin: str, *, public: bool = False) -> Reply | None:
        """The reply to a request from the address `origin` that is not allowed; None when it is. A `public` path needs
        no secret.
        """
        # Browsers send a host name; what sends none (HTTP/1.0) is no page of another site.
        has_host = any(name == b"host" for name, _ in headers)
        if self._hosts is not None and has_host and _host_name(_single(headers, b"host")) not in self._hosts:
            return Reply.error(
                403, "wrong_host", "this API serves this machine only; use a local host name such as localhost"
            )
        if _is_cross_site(headers):
            return Reply.error(403, "cross_site", "requests from web pages of other sites are not allowed")
        if public or self._digest is None:
            return None
        secrets = [value for name, value in headers if name == b"authorization"]
        if len(secrets) == 1 and self._is_correct(secrets[0]):
            return None  # also from an address with many wrong ones: behind a proxy, all clients have one address
        if secrets and self._is_blocked(origin):
            return Reply.error(429, "too_many_attempts", "too many wrong secrets from this address; wait a minute")
        if secrets:
            self._count_wrong(origin)
        return Reply.error(401, "unauthorized", "send the secret as `Authorization: Bearer SECRET`")

    def _is_correct(self, value: bytes) -> bool:
        scheme, _, token = value.partition(b" ")
        assert self._digest is not None  # noqa: S101 - only called when a secret is configured
        return hmac.compare_digest(_digest(token.strip(b" ")), self._digest) and scheme.lower() == b"bearer"

    def _is_blocked(self, origin: str) -> bool:
        attempts = self._attempts.get(origin)
        if attempts is None:
            return False
        while attempts and attempts[0] <= self._monotonic() - MINUTE_SECONDS:
            attempts.popleft()
        if not attempts:
            del self._attempts[origin]
        return len(attempts) >= MAX_WRONG_SECRETS

    def _count_wrong(self, origin: str) -> None:
        if origin not in self._attempts and len(self._attempts) >= MAX_ADDRESSES:
            del self._attempts[next(iter(self._attempts))]
        attempts = self._attempts.setdefault(origin, deque())
        attempts.append(self._monotonic())
        if len(attempts) == MAX_WRONG_SECRETS:
            log.warning(
                "http: %s wrong secrets from %s within a minute; more are refused with the status 429",
                MAX_WRONG_SECRETS,
                origin,
            )


def _digest(text: bytes) -> bytes:
    return sha256(text).digest()


def _single(headers: Headers, name: bytes) -> str:
    """The value of a header that occurs once; empty otherwise."""
    values = [value for header, value in headers if header == name]
    return values[0].decode("latin-1").strip().lower() if len(values) == 1 else ""


def _host_name(host: str) -> str:
    """The name in a Host header, without the port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _is_cross_site(headers: Headers) -> bool:
    """Whether a browser sent this for a page of another site: it could not read the response, but could start a run."""
    if _single(headers, b"sec-fetch-site") in ("cross-site", "same-site"):
        return True
    if not any(name == b"origin" for name, _ in headers):
        return False
    return _single(headers, b"origin").partition("://")[2] != _single(headers, b"host")
