"""Loads the configuration from a file and the environment, and reports all problems at once."""

from __future__ import annotations

import os
import pwd
import re
import socket
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from opsconsole.core.bounds import MAX_INTEGER, MAX_NAME, shown
from opsconsole.core.channels import alert_settings, read_channels, sentry_dsn, sentry_warnings
from opsconsole.core.errors import BadConfiguration
from opsconsole.core.homes import configuration_file, data_home
from opsconsole.core.installed_packs import DEFAULT_PACKS, extra_packs, pack_name
from opsconsole.core.keys import read_keys
from opsconsole.core.redaction import remember, secrets_in
from opsconsole.core.retention import RetentionSection
from opsconsole.core.secret_files import with_files
from opsconsole.core.sections import section
from opsconsole.core.service_urls import read_broker_url, read_database_url, read_redis_url
from opsconsole.core.settings import (
    EMBEDDED,
    Actor,
    AlertsSection,
    CacheSection,
    CelerySection,
    ConsoleSection,
    DatabaseSection,
    EngineSection,
    HttpSection,
    JobOverride,
    RedisSection,
    Secret,
    Settings,
    environment,
    masked,
)
from opsconsole.core.text import safe
from opsconsole.core.tokens import read_tokens, secret_problem, token_warnings
from opsconsole.core.trust import is_readable_by_others
from opsconsole.core.urls import password_of, secrets_of, secrets_of_address, sqlite_url

PREFIX = "OPSCONSOLE_"
NO_LONGER_NEEDED = ("SUPABASE_SERVICE_ROLE_KEY", "NEXT_PUBLIC_APP_URL")
"""Variables of the program that opsconsole replaces. They are not read: jobs use `DATABASE_URL`."""
BROWSER_SESSION = "OPSCONSOLE_BROWSER_SESSION"
"""The number and the address of the browser that shows a console: `2 127.0.0.1`."""
OTHER_VARIABLES = ("OPSCONSOLE_TRUST", "OPSCONSOLE_WORKER", BROWSER_SESSION)
"""Variables that are not settings: of an option, of processes that a worker started, and of browsers."""
LEAST_WORKER_MB = 256
"""Less memory than this is not enough to load the packs."""
EVICTION_POLICIES = (
    "noeviction",
    *(f"{keys}-{rule}" for keys in ("allkeys", "volatile") for rule in ("lru", "lfu", "random")),
    "volatile-ttl",
)
SHORTEST_SECRET = 16
"""Characters of a CRON_SECRET that no warning is given for."""
EXECUTORS = ("processes", "inline", "celery")
MAX_WORKERS = 1000
MAX_LEASE_SECONDS = 3600
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "console": ConsoleSection,
    "store": DatabaseSection,
    "data": DatabaseSection,
    "redis": RedisSection,
    "cache": CacheSection,
    "engine": EngineSection,
    "celery": CelerySection,
    "http": HttpSection,
    "alerts": AlertsSection,
    "retention": RetentionSection,
}


def load(
    config: Path | None = None,
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    search: bool = True,
) -> Settings:
    """Loads the configuration. `config` and `folder` replace the default file and data folder; without `search`, no
    file but `config` is read.

    Raises BadSettings with all problems.
    """
    problems: list[str] = []
    given = with_files(environment() if environ is None else environ, problems)
    env = {name: value.strip() for name, value in given.items()}
    remember(secrets_in(env))
    source = config or (configuration_file(env) if search else None)
    raw = _read(source, problems) if source else {}
    for name in [name for name, value in raw.items() if not isinstance(value, dict)]:
        problems.append(f"[{name}] must be a section with keys")
        del raw[name]
    _overlay(raw, env, problems)
    keys = read_keys(raw.get("console"), problems)
    http = raw.get("http", {})
    tokens = read_tokens(http.pop("tokens", {}), env, problems)
    remember(token.secret.reveal() for token in tokens)
    sections = {name: section(name, kind, raw.pop(name, {}), problems) for name, kind in SECTIONS.items()}
    alerts = alert_settings(sections["alerts"], problems)
    channels = read_channels(raw.pop("notify", {}), problems)
    dsn = sentry_dsn(env.get("SENTRY_DSN", ""), problems)
    addresses = (*(channel.url for channel in channels), alerts.dead_man_url, dsn)
    remember(secret for url in addresses if url is not None for secret in secrets_of_address(url.reveal()))
    jobs = raw.pop("jobs", {})
    packs = _packs(jobs.pop("packs", list(DEFAULT_PACKS)), problems)
    entry_points = _boolean("jobs.entry_points", jobs.pop("entry_points", True), problems)
    extra = extra_packs(packs) if entry_points else {}
    overrides = {name: section(f'jobs."{name}"', JobOverride, value, problems) for name, value in jobs.items()}
    pack_names = {*map(pack_name, packs), *extra.values()}
    for name in sorted(set(raw) - pack_names):
        valid = ", ".join(sorted({*SECTIONS, "jobs", "notify", *pack_names}))
        problems.append(f"[{name}] is not a section; the sections are {valid}")
    home = folder or data_home(env)
    engine, redis = sections["engine"], sections["redis"]
    if sections["console"].on_hangup not in ("stop", "continue"):
        problems.append(f"console.on_hangup is {shown(sections['console'].on_hangup)}; use stop or continue")
    problems += [*_engine_problems(engine), *_redis_problems(redis)]
    problems += sections["retention"].problems()
    shared = env.get("DATABASE_URL") or EMBEDDED
    store = read_database_url("store.url", sections["store"].url, shared, home / "store.db", problems)
    data = read_database_url("data.url", sections["data"].url, shared, home / "data.db", problems)
    secret = _http_secret(env, problems)
    cache = read_redis_url(redis.url if redis.url != EMBEDDED else env.get("REDIS_URL") or EMBEDDED, problems)
    broker = read_broker_url(sections["celery"].broker_url, cache, problems) if engine.executor == "celery" else None
    remember(secret for url in (store, data, cache, broker) if url is not None for secret in secrets_of(url.reveal()))
    options = {name: value for name, value in raw.items() if name in pack_names}
    if problems:
        raise BadConfiguration(problems, source, (*packs, *extra), overrides, options)
    return Settings(
        folder=home,
        source=source,
        actor=_actor(env),
        host=socket.gethostname(),
        console=msgspec.structs.replace(sections["console"], keys=keys),
        engine=engine,
        redis_limits=redis,
        http=sections["http"],
        retention=sections["retention"],
        http_secret=secret,
        store_url=store,
        data_url=data,
        redis_url=cache,
        broker_url=broker,
        embedded_store=store.reveal() == sqlite_url(home / "store.db"),
        embedded_data=data.reveal() == sqlite_url(home / "data.db"),
        packs=(*packs, *extra),
        entry_points=entry_points,
        overrides=overrides,
        options=options,
        compress_over=sections["cache"].compress_over,
        alerts=alerts,
        channels=channels,
        sentry_dsn=dsn,
        http_tokens=tokens,
        warnings=(
            *_warnings(source, secret, (store, data, cache, broker), addresses),
            *token_warnings(tokens),
            *sentry_warnings(dsn),
        ),
    )


def _engine_problems(engine: EngineSection) -> Iterator[str]:
    if engine.executor not in EXECUTORS:
        yield f"engine.executor is {shown(engine.executor)}; use processes, inline or celery"
    if not 0 <= engine.workers <= MAX_WORKERS:
        how = "use 0 (a process for each processor) or more" if engine.workers < 0 else f"use at most {MAX_WORKERS:,}"
        yield f"engine.workers is {engine.workers}; {how}"
    if engine.worker_memory_mb and not LEAST_WORKER_MB <= engine.worker_memory_mb <= MAX_INTEGER:
        least = f"use {LEAST_WORKER_MB} or more, or 0 for no limit"
        yield f"engine.worker_memory_mb is {engine.worker_memory_mb}; {least}"
    if not 0 < engine.lease_seconds <= MAX_LEASE_SECONDS:
        how = f"at most {MAX_LEASE_SECONDS:,}" if engine.lease_seconds > 0 else "more than 0"
        yield f"engine.lease_seconds is {engine.lease_seconds:g}; it must be {how}"


def _redis_problems(redis: RedisSection) -> Iterator[str]:
    if redis.policy not in EVICTION_POLICIES:
        yield f"redis.policy is {shown(redis.policy)}; use one of {', '.join(EVICTION_POLICIES)}"
    if not re.fullmatch(r"[1-9]\d{0,11}([kmg]b?)?", redis.max_memory, re.IGNORECASE):
        yield f"redis.max_memory is {shown(redis.max_memory)}; use a size such as 256mb"


def _warnings(
    source: Path | None, secret: Secret | None, urls: Iterable[Secret | None], addresses: Iterable[Secret | None]
) -> Iterator[str]:
    if source is not None and is_readable_by_others(source):
        text = source.read_text(encoding="utf-8")
        passwords = [url.reveal() for url in urls if url is not None and masked(url) != url.reveal()]
        written = [form(password_of(url)) for url in passwords for form in (str, unquote)]
        written += [url.reveal() for url in addresses if url is not None]
        if any(each in text for each in written):
            yield f"{source} has a password and other users may read it; run chmod 600 {source}"
    if secret is not None and len(secret.reveal()) < SHORTEST_SECRET:
        yield f"CRON_SECRET has fewer than {SHORTEST_SECRET} characters and can be guessed; make a longer one"


def load_embedded(folder: Path, *, name: str) -> Settings:
    """The configuration of an installation that only uses `folder`: no file, no variables, embedded services and the
    default packs.
    """
    inherited = environment()
    env = {variable: inherited[variable] for variable in ("SUDO_USER", "SSH_CONNECTION") if variable in inherited}
    env[f"{PREFIX}CONSOLE__ENVIRONMENT"] = name
    env[f"{PREFIX}JOBS__ENTRY_POINTS"] = "false"
    return load(folder=folder, environ=env, search=False)


def _read(source: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_text(encoding="utf-8-sig"))
    except OSError as error:
        problems.append(f"cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:  # also for bytes that are no UTF-8, and 5,000 digits
        problems.append(f"is not valid TOML: {error}")
    return {}


def _overlay(raw: dict[str, Any], env: Mapping[str, str], problems: list[str]) -> None:
    """Applies `OPSCONSOLE_SECTION__KEY`, `OPSCONSOLE_NOTIFY__CHANNEL__KEY`, `OPSCONSOLE_CONSOLE__KEYS__ID` and
    `OPSCONSOLE_HTTP__TOKENS__NAME__KEY` variables over the file.
    """
    for name, value in env.items():
        section, separator, key = name.removeprefix(PREFIX).lower().partition("__")
        if name.startswith(PREFIX) and separator:
            keys = raw.setdefault(section, {})
            channel, is_nested, setting = key.partition("__")
            if is_nested and (section == "notify" or (section, channel) == ("console", "keys")):
                keys, key = keys.setdefault(channel, {}), setting
            elif (section, channel) == ("http", "tokens") and is_nested:
                token, _, key = setting.partition("__")
                keys = keys.setdefault("tokens", {}).setdefault(token, {})
            if isinstance(keys, dict):
                is_list = key == "packs" or (section == "notify" and bool(is_nested) and key == "jobs")
                keys[key] = value.split(",") if is_list else value
        elif name.startswith(PREFIX) and name not in OTHER_VARIABLES:
            problems.append(f"{safe(name, 100)} is not a setting; write {PREFIX}SECTION__KEY, with two underscores")


def _boolean(name: str, given: Any, problems: list[str]) -> bool:
    try:
        return msgspec.convert(given, bool, strict=False)
    except msgspec.ValidationError:
        problems.append(f"{name} must be true or false, not {shown(given)}")
        return False


def _packs(given: Any, problems: list[str]) -> tuple[str, ...]:
    if isinstance(given, list) and given and all(isinstance(path, str) and path.strip() for path in given):
        return tuple(path.strip() for path in given)
    problems.append('jobs.packs must be a list of module names, such as ["jobs.attempts"]')
    return DEFAULT_PACKS


def _http_secret(env: Mapping[str, str], problems: list[str]) -> Secret | None:
    secret = env.get("CRON_SECRET", "")
    if problem := secret_problem(secret):
        problems.append(f"CRON_SECRET {problem}")
    return Secret(secret) if secret else None


def _actor(env: Mapping[str, str]) -> Actor:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    sudo_user = env.get("SUDO_USER")
    origin = env.get("SSH_CONNECTION", "").partition(" ")[0]
    name = f"{sudo_user} as {user}" if sudo_user and sudo_user != user else user
    if browser := env.get(BROWSER_SESSION):
        number, _, origin = browser.partition(" ")
        name = f"{name} (browser {number})"
    return Actor(safe(name, MAX_NAME), safe(origin or "local", MAX_NAME))
