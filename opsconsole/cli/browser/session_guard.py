"""Admits browsers that opened an address with a token, until their session ends."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

SESSION_SECONDS = 12 * 3600
MAX_SESSIONS = 100
"""Browsers that may be signed in at once; a further one ends the session of the one that signed in first."""
WEBSOCKET = "/ws"
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""The page's own scripts are inline. No other origin may load or embed the page, or receive its address."""

SIGNED_IN = '<!DOCTYPE html><meta http-equiv="refresh" content="0; url=/"><title>opsconsole</title>'


class SessionGuard:
    """Lets requests pass that name this server's own `origin`, such as `http://127.0.0.1:8000`, and have a session.

    A session begins with a token, which works once. `issued` is called with the address of the next one.
    """

    def __init__(self, origin: str, *, issued: Callable[[str], None]) -> None:
        self._origin, self._issued = origin, issued
        self._host = origin.partition("://")[2]
        # Cookies are shared by all ports of a host.
        self._cookie = f"opsconsole_{self._host.rpartition(':')[2] if ':' in self._host else 'session'}"
        self._sessions: dict[bytes, float] = {}
        self._token = b""
        self.issue()

    def issue(self) -> None:
        """Makes a token, which replaces the one before."""
        token = secrets.token_urlsafe(32)
        self._token = _digest(token)
        self._issued(f"{self._origin}/?token={token}")

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The response of `handler`, or a refusal: for another host, another page, or without a session."""
        if request.headers.getall("Host", []) != [self._host]:
            return _refusal(403, f"open {self._origin}")
        if (request.path == WEBSOCKET or "Origin" in request.headers) and not self._is_own_page(request):
            return _refusal(403, "requests from pages of other sites are not allowed")
        if request.path == "/" and "token" in request.query:
            return self._begin(request)
        if not self._has_session(request):
            return _refusal(401, "open the address that `opsconsole serve` has printed; each works once")
        return await handler(request)

    def _is_own_page(self, request: web.Request) -> bool:
        return request.headers.getall("Origin", []) == [self._origin]

    def _begin(self, request: web.Request) -> web.StreamResponse:
        """Begins a session for a token, with a page that opens the address without it. It is not a redirect: if a page
        of another site had the link, the browser would not send the cookie with the redirected request.
        """
        if not hmac.compare_digest(_digest(request.query["token"]), self._token):
            return _refusal(
                401,
                "this address is wrong or was already used; open the newest one that `opsconsole serve` has printed",
            )
        self.issue()
        session = secrets.token_urlsafe(32)
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[_digest(session)] = time.monotonic() + SESSION_SECONDS
        response = web.Response(text=SIGNED_IN, content_type="text/html")
        response.set_cookie(
            self._cookie,
            session,
            max_age=SESSION_SECONDS,
            httponly=True,
            secure=self._origin.startswith("https:"),
            samesite="Strict",
        )
        return response

    def _has_session(self, request: web.Request) -> bool:
        given, now = _digest(request.cookies.get(self._cookie, "")), time.monotonic()
        found = False
        for session, ends in self._sessions.items():
            found |= hmac.compare_digest(session, given) and now < ends
        return found


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Adds the headers that protect the page to a response."""
    response.headers.update(SECURITY_HEADERS)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _refusal(status: int, sentence: str) -> web.Response:
    return web.Response(status=status, text=f"{sentence}\n")
