"""Decides which requests are allowed: by host name, originating site and token, with a limit on wrong tokens."""

from __future__ import annotations

import hmac
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from opsconsole.authoring.extensions import Reply
from opsconsole.core.settings import Role, Settings, Token
from opsconsole.core.tokens import DEFAULT_NAME

log = logging.getLogger(__name__)

MAX_WRONG_SECRETS = 10
MINUTE_SECONDS = 60.0
MAX_ADDRESSES = 10_000
"""Addresses whose wrong tokens are counted. Counting does not stop a client that has more addresses."""

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Client:
    """A sender of requests: the name of its token, and its role."""

    name: str
    role: Role


ANYONE = Client(DEFAULT_NAME, Role.OPERATOR)


def tokens_of(settings: Settings) -> tuple[Token, ...]:
    """The tokens that are accepted: $CRON_SECRET, of an operator, and those of `[http.tokens]`."""
    secret = settings.http_secret
    own = () if secret is None else (Token(DEFAULT_NAME, Role.OPERATOR, secret, "$CRON_SECRET"),)
    return (*own, *settings.http_tokens)


class RequestGuard:
    """Without `tokens` every client is allowed, as an operator; with `hosts` the Host header must be one of them.

    Starlette's TrustedHostMiddleware is not used: it responds in plain text, and errors of this API are JSON.
    """

    def __init__(
        self,
        tokens: Sequence[Token],
        hosts: frozenset[str] | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.use(tokens)
        self._hosts = hosts
        self._monotonic = monotonic
        self._attempts: dict[str, deque[float]] = {}

    def use(self, tokens: Sequence[Token]) -> None:
        """Accepts these tokens from now on."""
        self._clients = [(_digest(each.secret.reveal().encode()), Client(each.name, each.role)) for each in tokens]

    def admit(self, headers: Headers, origin: str, *, public: bool = False) -> Client | Reply:
        """Who sends a request from the address `origin`; the reply to one that is not allowed. A `public` path needs no
        secret.
        """
        # Browsers send a host name; what sends none (HTTP/1.0) is no page of another site.
        has_host = any(name == b"host" for name, _ in headers)
        if self._hosts is not None and has_host and _host_name(_single(headers, b"host")) not in self._hosts:
            return Reply.error(
                403, "wrong_host", "this API serves this machine only; use a local host name such as localhost"
            )
        if _is_cross_site(headers):
            return Reply.error(403, "cross_site", "requests from web pages of other sites are not allowed")
        if public or not self._clients:
            return ANYONE
        secrets = [value for name, value in headers if name == b"authorization"]
        client = self._client(secrets[0]) if len(secrets) == 1 else None
        if client is not None:
            return client  # also from an address with many wrong ones: behind a proxy, all clients have one address
        if secrets and self._is_blocked(origin):
            return Reply.error(429, "too_many_attempts", "too many wrong tokens from this address; wait a minute")
        if secrets:
            self._count_wrong(origin)
        return Reply.error(401, "unauthorized", "send a valid token as `Authorization: Bearer TOKEN`")

    def _client(self, value: bytes) -> Client | None:
        """The client whose token a header has. Compares it with every token, so that the duration reveals nothing."""
        scheme, _, token = value.partition(b" ")
        digest = _digest(token.strip(b" "))
        found = [client for accepted, client in self._clients if hmac.compare_digest(digest, accepted)]
        return found[0] if found and scheme.lower() == b"bearer" else None

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
                "http: %s wrong tokens from %s within a minute; more are refused with the status 429",
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
