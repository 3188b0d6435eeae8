"""Removes the secrets of this process from texts: libraries and job code repeat in messages what they were given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from opsconsole.core.urls import secrets_of_address

SHORTEST = 6
"""Characters; what is shorter is no secret worth the name, and part of ordinary words."""

_SECRET_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS)$", re.IGNORECASE)
_ADDRESS_NAME = re.compile(r"SENTRY_DSN|OPSCONSOLE_(?:NOTIFY__\w+__URL|ALERTS__DEAD_MAN_URL)")

_secrets: set[str] = set()
_pattern: re.Pattern[str] | None = None


def remember(secrets: Iterable[str]) -> None:
    """From now on, these texts are removed, also where they are percent-encoded."""
    global _pattern
    new = {
        form for each in secrets if len(each) >= SHORTEST for form in (each, quote(each, safe=""), ascii(each)[1:-1])
    }
    if new <= _secrets:
        return
    _secrets.update(new)
    _pattern = re.compile("|".join(map(re.escape, sorted(_secrets, key=len, reverse=True))))


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """The values of the environment variables that are named as secrets are, and what is secret in the URLs of
    notification channels, of the dead man's switch and of Sentry.
    """
    addresses = [value.strip() for name, value in environ.items() if _ADDRESS_NAME.fullmatch(name)]
    found = [value.strip() for name, value in environ.items() if _SECRET_NAME.search(name)]
    return [*found, *(secret for address in addresses for secret in secrets_of_address(address))]


def redacted(text: str) -> str:
    """The text with `***` for every secret that this process remembers."""
    return text if _pattern is None else _pattern.sub("***", text)
