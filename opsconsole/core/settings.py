"""The settings of an installation, as frozen values, and the process environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import msgspec

from opsconsole.core.retention import DEFAULTS, RetentionSection
from opsconsole.core.secret_files import with_files
from opsconsole.core.urls import masked_address, masked_url

EMBEDDED = "embedded"
"""The URL of a service that runs in this process."""


class Secret:
    """A text that prints as `***`; only `reveal()` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the library call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def masked(url: Secret) -> str:
    """A URL without its password."""
    return masked_url(url.reveal())


class ConsoleSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[console]`: the name of this installation, and whether a leading console stops (`stop`) or continues without a
    screen (`continue`) when its terminal closes. `keys` are those that replace the default keys, by their ids.
    """

    environment: str = ""
    on_hangup: str = "stop"
    keys: dict[str, str] = {}


class DatabaseSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[store]` and `[data]`: the URL of a database; `embedded` is an SQLite file in the data folder."""

    url: str = EMBEDDED


class RedisSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[redis]`: the URL of the cache; the limits apply to the embedded server."""

    url: str = EMBEDDED
    max_memory: str = "256mb"
    policy: str = "volatile-lru"


CompressOver = int | dict[str, int] | None
"""The bytes over which values are compressed: of all cache families, or by family."""


class CacheSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[cache]`: values of more bytes than `compress_over` are compressed."""

    compress_over: CompressOver = None


class EngineSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[engine]`: how batches run, and how long a leader that does not renew its lease keeps it. `worker_memory_mb` is
    what a worker process may allocate; 0 for any amount.
    """

    executor: str = "processes"
    workers: int = 0
    worker_memory_mb: int = 4096
    lease_seconds: float = 10.0

    @property
    def worker_count(self) -> int:
        """`workers`, or one for each processor, up to four."""
        return self.workers or min(4, os.cpu_count() or 1)


class CelerySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[celery]`: the URL of the broker for batches, a Redis database that nothing else uses."""

    broker_url: str = ""


class HttpSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[http]`: the address of the HTTP API, HOST:PORT or unix:/path; empty to turn it off."""

    bind: str = ""


class AlertsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[alerts]`: the hours between two reminders of an alert that nobody has acknowledged (0 for none), and the URL
    that is called every `dead_man_seconds` while all is well.
    """

    reminder_hours: float = 4.0
    dead_man_url: str = ""
    dead_man_seconds: float = 60.0


class ChannelSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[notify.NAME]`: an Apprise URL, the least severity that is sent to it, and the jobs and packs that it is for."""

    url: str = ""
    severity: Literal["warning", "critical"] = "warning"
    jobs: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()


class JobOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`[jobs."pack.job"]`: settings that override those in a job's code. Durations are in seconds. Those from `max_age`
    to `slow_run` override its limits, and false turns a rule off; `tag` is what its log lines begin with.
    """

    cron: str | None = None
    tz: str | None = None
    batch: int | None = None
    batch_timeout: float | None = None
    timeout: float | None = None
    workers: int | None = None
    parallel: int | None = None
    priority: int | None = None
    after_wait: float | None = None
    jitter: float | None = None
    overlap: Literal["skip", "queue", "queue_all", "replace"] | None = None
    max_age: float | None = None
    longest: float | None = None
    start_within: float | None = None
    warn_below: float | None = None
    critical_below: float | None = None
    failing_windows: int | None = None
    pause_after: int | bool | None = None
    low_work: float | bool | None = None
    slow_run: float | bool | None = None
    tag: str | None = None


class Role(StrEnum):
    """What an actor may do: operators everything, viewers only read."""

    OPERATOR = "operator"
    VIEWER = "viewer"


@dataclass(frozen=True)
class Actor:
    """The user of this process: the OS user, with the user who ran sudo, and the client address of an SSH session."""

    name: str
    origin: str
    role: Role = Role.OPERATOR


@dataclass(frozen=True)
class Token:
    """A secret that allows requests. `name` is the actor in the audit trail, `source` the file or variable."""

    name: str
    role: Role
    secret: Secret
    source: str

    def __str__(self) -> str:
        return f"{self.role}, from {self.source}"


@dataclass(frozen=True)
class Channel:
    """Where notifications are sent: an Apprise URL. It gets those of `severity` or worse; with `jobs` or `packs`, only
    those about them.
    """

    name: str
    url: Secret
    severity: Literal["warning", "critical"] = "warning"
    jobs: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()


@dataclass(frozen=True)
class AlertSettings:
    """When reminders are sent, None for never, and the URL of a dead man's switch with the time between two calls."""

    reminder: timedelta | None = timedelta(hours=4)
    dead_man_url: Secret | None = None
    dead_man_seconds: float = 60.0


@dataclass(frozen=True)
class Settings:
    """The whole configuration, validated. `folder` is the private data folder, `source` the configuration file;
    `warnings` are what works and should be changed all the same.
    """

    folder: Path
    source: Path | None
    actor: Actor
    host: str
    console: ConsoleSection
    engine: EngineSection
    redis_limits: RedisSection
    http: HttpSection
    http_secret: Secret | None
    store_url: Secret
    data_url: Secret
    redis_url: Secret | None
    broker_url: Secret | None
    embedded_store: bool
    embedded_data: bool
    packs: tuple[str, ...]
    entry_points: bool
    overrides: Mapping[str, JobOverride]
    options: Mapping[str, Mapping[str, Any]]
    compress_over: CompressOver = None
    alerts: AlertSettings = AlertSettings()
    channels: tuple[Channel, ...] = ()
    sentry_dsn: Secret | None = None
    retention: RetentionSection = DEFAULTS
    warnings: tuple[str, ...] = ()
    http_tokens: tuple[Token, ...] = ()

    def for_workers(self) -> dict[str, Any]:
        """What a worker process needs, as JSON. It is sent through a private pipe, never on a command line."""
        return {
            "data_url": self.data_url.reveal(),
            "redis_url": self.redis_url.reveal() if self.redis_url else None,
            "packs": list(self.packs),
            "overrides": self.overrides,
            "options": self.options,
            "compress_over": self.compress_over,
            "memory_mb": self.engine.worker_memory_mb,
        }

    def effective(self) -> dict[str, str]:
        """The effective settings by `section.key`, with secrets masked."""
        redis = masked(self.redis_url) if self.redis_url else EMBEDDED
        return {
            "file": str(self.source) if self.source else "none",
            "folder": str(self.folder),
            "console.environment": self.console.environment or "-",
            "console.on_hangup": self.console.on_hangup,
            **{f"console.keys.{action}": keys for action, keys in sorted(self.console.keys.items())},
            "store.url": masked(self.store_url),
            "data.url": masked(self.data_url),
            "redis.url": redis,
            "engine.executor": self.engine.executor,
            "engine.workers": str(self.engine.worker_count),
            "engine.worker_memory_mb": str(self.engine.worker_memory_mb),
            "engine.lease_seconds": f"{self.engine.lease_seconds:g}",
            **({"celery.broker_url": masked(self.broker_url)} if self.broker_url else {}),
            "http.bind": self.http.bind or "-",
            **{f"http.tokens.{token.name}": str(token) for token in self.http_tokens},
            **self._notifications(),
            "retention": str(self.retention),
            "CRON_SECRET": str(self.http_secret or "-"),
            "jobs.packs": ", ".join(self.packs),
            "jobs.entry_points": str(self.entry_points).lower(),
        }

    def _notifications(self) -> dict[str, str]:
        hours = self.alerts.reminder / timedelta(hours=1) if self.alerts.reminder else 0
        found = {
            "alerts.reminder_hours": f"{hours:g}",
            "alerts.dead_man_url": masked_address(self.alerts.dead_man_url.reveal())
            if self.alerts.dead_man_url
            else "-",
            "alerts.dead_man_seconds": f"{self.alerts.dead_man_seconds:g}",
        }
        for channel in self.channels:
            found[f"notify.{channel.name}.url"] = masked_address(channel.url.reveal())
            found[f"notify.{channel.name}.severity"] = channel.severity
            found |= {f"notify.{channel.name}.jobs": ", ".join(channel.jobs)} if channel.jobs else {}
            found |= {f"notify.{channel.name}.packs": ", ".join(channel.packs)} if channel.packs else {}
        return found | {"SENTRY_DSN": str(self.sentry_dsn or "-")}


def environment() -> Mapping[str, str]:
    """The environment variables of this process."""
    return os.environ


def failpoint() -> str:
    """The fail point that a test sets for this process, see opsconsole.core.failpoints; empty otherwise."""
    return os.environ.get("FAILPOINT", "")


def secret(variable: str) -> str | None:
    """The value of an environment variable for a library, such as an API key, or the content of the file that
    `{variable}_FILE` names, without surrounding white space; None when both are missing or empty.
    """
    return with_files(os.environ, []).get(variable, "").strip() or None


def set_for_workers(**variables: str) -> None:
    """Sets environment variables for libraries in this process and in its workers."""
    os.environ.update(variables)


def terminal() -> str:
    """The terminal type; empty if the environment does not name one."""
    return os.environ.get("TERM", "")


def character_locale() -> str:
    """The locale of characters; empty if the environment does not name one. With `LC_ALL=C` Python writes UTF-8 in
    spite of it.
    """
    return next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := os.environ.get(name))), "")
