"""Reads where notifications are sent: `[notify.NAME]`, `[alerts]` and SENTRY_DSN.

No message repeats a part of a URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from opsconsole.core.bounds import shown
from opsconsole.core.sections import section
from opsconsole.core.settings import AlertSettings, AlertsSection, Channel, ChannelSection, Secret
from opsconsole.core.urls import BadUrl

MAX_REMINDER_HOURS = 24 * 365
LEAST_DEAD_MAN_SECONDS, MAX_DEAD_MAN_SECONDS = 10, 86_400
EXAMPLES = "such as mailto://, slack:// or https://"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]+", re.IGNORECASE)


def read_channels(given: Any, problems: list[str]) -> tuple[Channel, ...]:
    """The channels of `[notify]`, by name; invalid ones are added to `problems`."""
    found = []
    for name, values in sorted(given.items()):
        if not _NAME.fullmatch(name):
            problems.append(f"[notify.{shown(name)}] must have a name of lower-case letters, digits, - and _")
        elif not isinstance(values, dict):
            problems.append(f"notify.{name} must be a section; write [notify.{name}] with a url")
        else:
            values = section(f"notify.{name}", ChannelSection, values, problems)
            if not _ADDRESS.fullmatch(values.url):
                why = "is missing" if not values.url else "cannot be read; encode special characters"
                problems.append(f"notify.{name}.url {why}; give the Apprise URL of a service, {EXAMPLES}")
            jobs, packs = (tuple(map(str.strip, names)) for names in (values.jobs, values.packs))
            found.append(Channel(name, Secret(values.url), values.severity, jobs, packs))
    return tuple(found)


def alert_settings(given: AlertsSection, problems: list[str]) -> AlertSettings:
    """The settings of `[alerts]`; invalid ones are added to `problems`."""
    hours, seconds = given.reminder_hours, given.dead_man_seconds
    if not 0 <= hours <= MAX_REMINDER_HOURS:
        problems.append(f"alerts.reminder_hours is {hours:g}; use 0 (no reminders) to {MAX_REMINDER_HOURS:,}")
        hours = 0
    if not LEAST_DEAD_MAN_SECONDS <= seconds <= MAX_DEAD_MAN_SECONDS:
        allowed = f"{LEAST_DEAD_MAN_SECONDS} to {MAX_DEAD_MAN_SECONDS:,}"
        problems.append(f"alerts.dead_man_seconds is {seconds:g}; use {allowed}")
    url = _http_url("alerts.dead_man_url", given.dead_man_url, problems) if given.dead_man_url else None
    return AlertSettings(timedelta(hours=hours) or None, url, seconds)


def sentry_dsn(text: str, problems: list[str]) -> Secret | None:
    """The DSN of a Sentry project; None if the variable is empty."""
    if not text:
        return None
    dsn = _http_url("SENTRY_DSN", text, problems)
    if dsn is not None and not re.fullmatch(r"https?://[^/@]+@[^/@]+/(.+/)?\d+/?", text):
        problems.append("SENTRY_DSN must have a key, a host and the number of a project: https://KEY@HOST/NUMBER")
    return dsn


def sentry_warnings(dsn: Secret | None) -> Iterator[str]:
    """A sentence if there is a DSN, and the SDK is not installed."""
    if dsn is None:
        return
    from importlib.util import find_spec  # loaded only with a DSN

    if find_spec("sentry_sdk") is None:
        yield "SENTRY_DSN is set, but errors are not reported: run pip install 'opsconsole[sentry]', or unset it"


def _http_url(name: str, text: str, problems: list[str]) -> Secret | None:
    try:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _ADDRESS.fullmatch(text):
            raise BadUrl("must be a URL that starts with https:// or http://")
        if parts.port == 0:
            raise BadUrl("has a port that does not exist; ports are 1 to 65535")
    except BadUrl as error:
        problems.append(f"{name} {error}")
        return None
    except ValueError:  # of urlsplit, which repeats what it was given
        problems.append(f"{name} has a host or port that cannot be read")
        return None
    return Secret(text)
