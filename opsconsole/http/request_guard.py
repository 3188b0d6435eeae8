"""Decides who may ask: under which name, from which page, with which secret, and how many wrong ones."""

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

WRONG_A_MINUTE = 10
MINUTE_SECONDS = 60.0
REMEMBERED = 10_000
"""So many addresses with wrong secrets are remembered; whoever has more of them is not stopped by counting."""

Headers = Sequence[tuple[bytes, bytes]]


class RequestGuard:
    """Without a `secret` everybody may ask; with `hosts` only under one of these names."""

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
        self._wrong: dict[str, deque[float]] = {}

    def refusal(self, headers: Headers, origin: str, *, public: bool = False) -> Reply | None:
        """What is answered to whoever may not ask from the address `origin`; None when it may. A `public` question
        needs no secret.
        """
        if self._hosts is not None and _name(_only(headers, b"host")) not in self._hosts:
            return Reply.error(403, "wrong_host", "this is served on this machine only, under its local names")
        if _is_of_another_site(headers):
            return Reply.error(403, "other_site", "pages of other sites may not ask here")
        if public or self._digest is None:
            return None
        if self._is_shut_out(origin):
            return Reply.error(429, "too_many_tries", "too many wrong secrets from this address; wait a minute")
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) == 1 and self._is_right(given[0]):
            return None
        if given:
            self._remember(origin)
        return Reply.error(401, "unauthorized", "send the secret as `Authorization: Bearer SECRET`")

    def _is_right(self, value: bytes) -> bool:
        scheme, _, token = value.partition(b" ")
        assert self._digest is not None  # noqa: S101 - nobody is asked for a secret where there is none
        return hmac.compare_digest(_digest(token.strip(b" ")), self._digest) and scheme.lower() == b"bearer"

    def _is_shut_out(self, origin: str) -> bool:
        tries = self._wrong.get(origin)
        if tries is None:
            return False
        while tries and tries[0] <= self._monotonic() - MINUTE_SECONDS:
            tries.popleft()
        if not tries:
            del self._wrong[origin]
        return len(tries) >= WRONG_A_MINUTE

    def _remember(self, origin: str) -> None:
        if origin not in self._wrong and len(self._wrong) >= REMEMBERED:
            del self._wrong[next(iter(self._wrong))]
        tries = self._wrong.setdefault(origin, deque())
        tries.append(self._monotonic())
        if len(tries) == WRONG_A_MINUTE:
            log.warning(
                "http: %s wrong secrets from %s within a minute; it is shut out until it is over",
                WRONG_A_MINUTE,
                origin,
            )


def _digest(text: bytes) -> bytes:
    return sha256(text).digest()


def _only(headers: Headers, name: bytes) -> str:
    """A header that is there once; empty when it is not."""
    found = [value for of, value in headers if of == name]
    return found[0].decode("latin-1").strip().lower() if len(found) == 1 else ""


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _is_of_another_site(headers: Headers) -> bool:
    """Whether a browser says that a page from elsewhere asks: it cannot read the answer, but it could start a run."""
    if _only(headers, b"sec-fetch-site") in ("cross-site", "same-site"):
        return True
    if not any(name == b"origin" for name, _ in headers):
        return False
    return _only(headers, b"origin").partition("://")[2] != _only(headers, b"host")
