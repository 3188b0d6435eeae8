"""The options of redis-py that may follow a URL of Redis, with what their values must be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

MAX_TIMEOUT_SECONDS = 3.0
"""A Redis that does not answer costs a batch at most this long."""
_BOOLEANS = {"true", "false", "yes", "no", "1", "0"}


def option_problem(scheme: str, options: Iterable[tuple[str, str]]) -> str | None:
    """What is wrong with the options, after the name of the setting. Repeats no value, and no unknown name."""
    for name, value in options:
        allowed = _OPTIONS.get(name)
        if allowed is None:
            return "has an option that opsconsole does not support for Redis; leave it out"
        if name.startswith("ssl_") and scheme != "rediss":
            return f"has the option {name}, which needs TLS; write rediss://, or leave it out"
        is_valid, what = allowed
        if not is_valid(value):
            return f"has the option {name}, which must be {what}"
    return None


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit()


def _is_timeout(value: str) -> bool:
    try:
        return 0 < float(value) <= MAX_TIMEOUT_SECONDS
    except ValueError:
        return False


_TIMEOUT = (_is_timeout, f"a number of seconds up to {MAX_TIMEOUT_SECONDS:g}")
_BOOLEAN = (lambda value: value.lower() in _BOOLEANS, "true or false")
_FILE = (lambda value: Path(value).is_file(), "the path of a file that exists")
_TEXT = (bool, "given, or left out")

_OPTIONS: dict[str, tuple[Callable[[str], bool], str]] = {
    "db": (_is_number, "the number of a database"),
    "protocol": (lambda value: value in ("2", "3"), "2 or 3"),
    "socket_timeout": _TIMEOUT,
    "socket_connect_timeout": _TIMEOUT,
    "socket_keepalive": _BOOLEAN,
    "health_check_interval": (_is_number, "a number of seconds"),
    "client_name": (lambda value: re.fullmatch(r"[!-~]+", value) is not None, "a word without spaces"),
    "username": _TEXT,
    "password": _TEXT,
    "ssl_cert_reqs": (lambda value: value in ("none", "optional", "required"), "none, optional or required"),
    "ssl_check_hostname": _BOOLEAN,
    "ssl_ca_certs": _FILE,
    "ssl_ca_path": (lambda value: Path(value).is_dir(), "the path of a folder that exists"),
    "ssl_certfile": _FILE,
    "ssl_keyfile": _FILE,
    "ssl_password": _TEXT,
    "ssl_ciphers": _TEXT,
    "ssl_min_version": (lambda value: value in ("771", "772"), "771 (TLS 1.2) or 772 (TLS 1.3)"),
}
"""Each supported option with its check, and the words for what it must be."""
