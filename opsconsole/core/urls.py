"""URLs of databases and of Redis, as operators write them: checked, normalized, and shown without secrets.

No message repeats a part of a URL, as any part may be a piece of a password that was not percent-encoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from opsconsole.core.redis_options import option_problem

POSTGRES = "postgresql+psycopg"
POSTGRES_SCHEMES = ("postgres", "postgresql", POSTGRES)
REDIS_SCHEMES = ("redis", "rediss", "unix")
IN_MEMORY = ("", ":memory:")
"""What SQLite has instead of the name of a file."""
ENCODE = "encode special characters of the user and the password: @ as %40, : as %3A, / as %2F, ? as %3F, # as %23"

LIBPQ_OPTIONS = re.compile(
    r"application_name|channel_binding|client_encoding|connect_timeout|dbname|gssencmode|host|hostaddr|keepalives\w*|"
    r"krbsrvname|load_balance_hosts|options|passfile|password|port|require_auth|service|ssl\w+|target_session_attrs|"
    r"tcp_user_timeout|user"
)
LIBPQ_VALUES = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
"""What libpq takes for these options; with anything else it connects to nothing."""
IGNORED_OPTIONS = ("pgbouncer", "supa")
"""Options for other clients: how opsconsole uses connections suits a pooler anyway."""
PRISMA_OPTIONS = (
    "connection_limit",
    "pool_timeout",
    "socket_timeout",
    "sslaccept",
    "sslidentity",
    "statement_cache_size",
)
_SECRET_OPTIONS = re.compile(r"pass|secret|key_?word|token", re.IGNORECASE)
_TOKEN = re.compile(r"(?=[^.@]*$)(?:(?=.*[A-Za-z])(?=.*\d).{6,}|.{24,})")
"""A part of a URL that nobody can guess: letters with digits, or very long; and neither a host nor a mail address."""
LEAST_HOST_TOKEN = 16
"""Characters of a token in the place of a host; shorter names with digits are hosts, such as cache01."""
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+(?:%[\w.]+)?\]", re.ASCII)


class BadUrl(ValueError):
    """A URL that cannot be used; the message follows the name of its setting."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """The decoded parts of a URL. `hosts` has one pair of host and port for each server."""

    scheme: str
    user: str | None
    password: str | None
    hosts: tuple[tuple[str, int | None], ...]
    path: str
    options: tuple[tuple[str, str], ...]


def sqlite_url(file: Path) -> str:
    """The URL of an SQLite file."""
    return f"sqlite:///{quote(str(file))}"


def database_url(text: str) -> str:
    """The URL of a database in the form of SQLAlchemy. Raises BadUrl."""
    text = text.strip()
    scheme, separator, rest = text.partition("://")
    if separator and scheme == "sqlite" and unquote(rest).removeprefix("/") in IN_MEMORY:
        raise BadUrl("is an SQLite database in memory, which no other process can open; name a file instead")
    if separator and scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        if "?" in rest:
            raise BadUrl("has options, but an SQLite URL takes none; write a ? in a file's name as %3F")
        return f"sqlite:///{quote(unquote(rest[1:]))}"
    if not separator or scheme not in POSTGRES_SCHEMES:
        raise BadUrl("must be a URL that starts with sqlite:/// or postgresql://")
    return _render_postgres(_parse(POSTGRES, rest))


def redis_url(text: str) -> str:
    """The URL of a Redis server. Raises BadUrl."""
    text = text.strip()
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in REDIS_SCHEMES:
        hint = "; for Sentinel, give the address of the primary, or one that follows it" if "sentinel" in scheme else ""
        raise BadUrl(f"must be a URL that starts with redis://, rediss:// or unix://{hint}")
    parts = _parse(scheme, rest)
    if len(parts.hosts) > 1:
        raise BadUrl("names several servers; name one, as a cluster is not supported")
    if problem := option_problem(scheme, parts.options):
        raise BadUrl(problem)
    if scheme != "unix" and not re.fullmatch(r"/?\d{0,5}", parts.path):
        raise BadUrl("must end with the number of a database, such as /0")
    if scheme == "unix" and not re.fullmatch(r"/[^\0]+", parts.path):
        raise BadUrl("must have the path of a socket, such as unix:///run/redis/redis.sock")
    return _render(parts)


def masked_url(url: str) -> str:
    """A normalized URL without user names of Redis, passwords and secret options."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        return unquote(url)
    authority, _, tail = rest.rpartition("@")
    location, separator, query = tail.partition("?")
    user, colon, _ = authority.partition(":")
    shown = "***@" if authority and (not colon or not user) and scheme != POSTGRES else ""
    if authority and not shown:
        shown = f"{user}:***@" if colon else f"{user}@"
    options = [(name, "***" if _SECRET_OPTIONS.search(name) else value) for name, value in parse_qsl(query)]
    return f"{scheme}://{shown}{location}{separator}{urlencode(options, safe='/*:,=')}"


def secrets_of(url: str) -> list[str]:
    """The secrets in a normalized URL, decoded. A password that is also the name of the user is none."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        return []
    user, _, _ = rest.rpartition("@")[0].partition(":")
    options = parse_qsl(rest.partition("?")[2])
    found = [unquote(password_of(url)), *(value for name, value in options if _SECRET_OPTIONS.search(name))]
    return [secret for secret in found if secret != unquote(user) or scheme != POSTGRES]


def password_of(url: str) -> str:
    """The password in a normalized URL as it was probably written; empty without one."""
    authority = url.partition("://")[2].rpartition("@")[0]
    user, colon, password = authority.partition(":")
    return password if colon else user


def masked_address(url: str) -> str:
    """A URL of which every part may be a secret: only its scheme."""
    return f"{url.partition('://')[0]}://***"


def secrets_of_address(url: str) -> list[str]:
    """What is probably secret in a URL of which every part may be one: itself, its password, and what looks like a
    token. Names of hosts, words of a path and mail addresses are no secrets: they would be removed from all texts.
    """
    before, _, query = url.partition("://")[2].partition("?")
    authority, _, path = before.partition("/")
    login, _, host = authority.rpartition("@")
    password = login.partition(":")[2]
    options = parse_qsl(query)
    found = [url, password, *(value for name, value in options if _SECRET_OPTIONS.search(name))]
    tokens = [part for part in host.split(":") if len(part) >= LEAST_HOST_TOKEN]
    pieces = [login.partition(":")[0], *tokens, *path.split("/"), *(value for _, value in options)]
    return [*filter(None, map(unquote, found)), *(unquote(piece) for piece in pieces if _TOKEN.fullmatch(piece))]


def _parse(scheme: str, rest: str) -> _Parts:
    authority, path, query = _split(rest)
    userinfo, at, location = authority.rpartition("@")
    if "@" in path or "@" in query:
        raise BadUrl(f"has an @ that cannot be read; {ENCODE}")
    user, colon, password = userinfo.partition(":")
    hosts = () if scheme == "unix" else tuple(_host(each) for each in location.split(",")) if location else ()
    if scheme == "unix":
        path = location + path
    options = tuple(parse_qsl(query, keep_blank_values=True))
    return _Parts(
        scheme,
        unquote(user) if at else None,
        unquote(password) if colon else None,
        hosts,
        unquote(path),
        options,
    )


def _split(rest: str) -> tuple[str, str, str]:
    """The authority, the path and the query of what follows `://`."""
    if "#" in rest:
        raise BadUrl(f"has a # that cannot be read; {ENCODE}")
    if any(character.isspace() or not character.isprintable() for character in rest):
        raise BadUrl("has white space or control characters; encode a blank as %20")
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    return authority, slash + path, query


def _host(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, ""
    if not _HOST.fullmatch(host) or (colon and not re.fullmatch(r"\d{1,5}", port, re.ASCII)):
        raise BadUrl(f"has a host or port that cannot be read; {ENCODE}")
    if port and not 0 < int(port) < 65_536:
        raise BadUrl("has a port that does not exist; ports are 1 to 65535")
    return host, int(port) if port else None


def _check_options(parts: _Parts, known: re.Pattern[str], service: str) -> None:
    names = [name for name, _ in parts.options]
    if prisma := sorted({name for name in names if name in PRISMA_OPTIONS}):
        raise BadUrl(f"has options that only Prisma reads: {', '.join(prisma)}; leave them out")
    if not all(known.fullmatch(name) for name in names):
        raise BadUrl(f"has an option that {service} does not have; leave it out")


def _render_postgres(parts: _Parts) -> str:
    options = [(name, value) for name, value in parts.options if name not in IGNORED_OPTIONS]
    schema = next((value for name, value in options if name == "schema"), None)
    options = [(name, value) for name, value in options if name != "schema"]
    if schema is not None:
        if not re.fullmatch(r"[A-Za-z_][\w$]{0,62}", schema):
            raise BadUrl(
                "has a schema whose name cannot be used in a search path; rename it or set search_path by role"
            )
        given = next((value for name, value in options if name == "options"), "")
        options = [(name, value) for name, value in options if name != "options"]
        exact = schema if schema == schema.lower() else f'"{schema}"'
        options.append(("options", f"{given} -csearch_path={exact}".strip()))
    parts = _Parts(POSTGRES, parts.user, parts.password, parts.hosts, parts.path, tuple(options))
    _check_options(parts, LIBPQ_OPTIONS, "the PostgreSQL client")
    for name, value in options:
        if value not in (values := LIBPQ_VALUES.get(name, (value,))):
            raise BadUrl(f"has an invalid value of {name}; use one of {', '.join(values)}")
    if len(parts.hosts) > 1:
        several = tuple(("host", f"{host}:{port or 5432}") for host, port in parts.hosts)
        parts = _Parts(POSTGRES, parts.user, parts.password, (), parts.path, several + parts.options)
    return _render(parts)


def _render(parts: _Parts) -> str:
    login = ""
    if parts.user is not None or parts.password is not None:
        login = quote(parts.user or "", safe="")
        login += f":{quote(parts.password, safe='')}@" if parts.password is not None else "@"
    hosts = ",".join(host if port is None else f"{host}:{port}" for host, port in parts.hosts)
    query = f"?{urlencode(parts.options, quote_via=quote, safe='/:,')}" if parts.options else ""
    return f"{parts.scheme}://{login}{hosts}{quote(parts.path)}{query}"
