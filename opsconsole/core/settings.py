"""The configuration: one file and the environment, made into one frozen value, or into a list of all that is wrong."""

from __future__ import annotations

import os
import pwd
import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from opsconsole.core.errors import BadSettings

if TYPE_CHECKING:
    from importlib.metadata import Distribution

FILE = "opsconsole.toml"
PREFIX = "OPSCONSOLE_"
EMBEDDED = "embedded"
"""What a URL says when the console brings the service along."""


class Secret:
    """A text that shows itself as `***` wherever it is printed; `reveal()` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; for the library call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def masked(url: Secret) -> str:
    """A URL as it may be shown: scheme, host and name, never a password."""
    # Up to the last @: a password may hold the other ones, and slashes, unquoted.
    shown = re.sub(r"(?<=://)([^:/?]*):.*@", r"\1:***@", url.reveal())
    return re.sub(r"(?i)([?&][^=&]*pass[^=&]*=)[^&]*", r"\1***", shown)


class ConsoleSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[console]`: what this installation is called on its top line, and what a leading console does when its terminal
    is gone: `stop`, or `continue` to schedule without a screen.
    """

    environment: str = ""
    on_hangup: str = "stop"


class DatabaseSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[store]`, `[data]`: where a database is; `embedded` for an SQLite file in the data folder."""

    url: str = EMBEDDED


class RedisSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[redis]`: where the cache is; the limits are the embedded server's."""

    url: str = EMBEDDED
    max_memory: str = "256mb"
    policy: str = "volatile-lru"


class EngineSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[engine]`: how batches are carried out, and how long a silent leader keeps its lease."""

    executor: str = "processes"
    workers: int = 0
    lease_seconds: float = 10.0

    @property
    def worker_count(self) -> int:
        """`workers`, or a process for each processor up to four."""
        return self.workers or min(4, os.cpu_count() or 1)


class HttpSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[http]`: where `headless` answers other programs, as HOST:PORT or unix:/path; nowhere when it is empty."""

    bind: str = ""


class JobOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`[jobs."pack.job"]`: what may be changed of a job without touching its code. Times in seconds. `max_age`,
    `longest` and `critical_below` are those of its limits.
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
    max_age: float | None = None
    longest: float | None = None
    critical_below: float | None = None


class Role(StrEnum):
    """What an actor may do: an operator everything, a viewer nothing but look."""

    OPERATOR = "operator"
    VIEWER = "viewer"


@dataclass(frozen=True)
class Actor:
    """Who is at the keyboard: the OS user, with the user behind sudo, and the address an SSH session comes from."""

    name: str
    origin: str
    role: Role = Role.OPERATOR


@dataclass(frozen=True)
class Settings:
    """The whole configuration, valid. `folder` is the private data folder; `source` the file that was read."""

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
    embedded_store: bool
    embedded_data: bool
    packs: tuple[str, ...]
    entry_points: bool
    overrides: Mapping[str, JobOverride]
    options: Mapping[str, Mapping[str, Any]]

    def wiring(self) -> dict[str, Any]:
        """What a worker process needs, as JSON; it goes over a private pipe, never over a command line."""
        return {
            "data_url": self.data_url.reveal(),
            "redis_url": self.redis_url.reveal() if self.redis_url else None,
            "packs": list(self.packs),
            "overrides": self.overrides,
            "options": self.options,
        }

    def effective(self) -> dict[str, str]:
        """The settings in force, secrets masked, one `section.key` each."""
        redis = masked(self.redis_url) if self.redis_url else EMBEDDED
        return {
            "file": str(self.source) if self.source else "none",
            "folder": str(self.folder),
            "console.environment": self.console.environment or "-",
            "console.on_hangup": self.console.on_hangup,
            "store.url": masked(self.store_url),
            "data.url": masked(self.data_url),
            "redis.url": redis,
            "engine.executor": self.engine.executor,
            "engine.workers": str(self.engine.worker_count),
            "engine.lease_seconds": f"{self.engine.lease_seconds:g}",
            "http.bind": self.http.bind or "-",
            "CRON_SECRET": str(self.http_secret or "-"),
            "jobs.packs": ", ".join(self.packs),
            "jobs.entry_points": str(self.entry_points).lower(),
        }


DEFAULT_PACKS = ("jobs.attempts", "jobs.exams", "jobs.game", "jobs.practice", "jobs.reporting")
ENTRY_POINTS = "opsconsole.packs"
"""The entry point group in which installed distributions name their packs."""
_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "console": ConsoleSection,
    "store": DatabaseSection,
    "data": DatabaseSection,
    "redis": RedisSection,
    "engine": EngineSection,
    "http": HttpSection,
}


def load(
    config: Path | None = None,
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    search: bool = True,
) -> Settings:
    """Reads the configuration. `config` names the file and `folder` the data folder, in place of the usual ones;
    without `search` there is no file but `config`.

    Raises BadSettings with every problem at once.
    """
    env = os.environ if environ is None else environ
    problems: list[str] = []
    source = config or (_find(env) if search else None)
    raw = _read(source, problems) if source else {}
    for name in [name for name, value in raw.items() if not isinstance(value, dict)]:
        problems.append(f"[{name}] must be a section with keys")
        del raw[name]
    _overlay(raw, env)
    sections = {name: section(name, kind, raw.pop(name, {}), problems) for name, kind in _SECTIONS.items()}
    jobs = raw.pop("jobs", {})
    packs = _packs(jobs.pop("packs", list(DEFAULT_PACKS)), problems)
    entry_points = _claim("jobs.entry_points", jobs.pop("entry_points", True), problems)
    beside = _beside(packs) if entry_points else {}
    overrides = {name: section(f'jobs."{name}"', JobOverride, value, problems) for name, value in jobs.items()}
    pack_names = {*map(_pack_name, packs), *beside.values()}
    for name in sorted(set(raw) - pack_names):
        known = ", ".join(sorted({*_SECTIONS, "jobs", *pack_names}))
        problems.append(f"[{name}] is not a section; the sections are {known}")
    home = folder or Path(env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "opsconsole"
    engine, redis = sections["engine"], sections["redis"]
    if sections["console"].on_hangup not in ("stop", "continue"):
        problems.append(f"console.on_hangup is {sections['console'].on_hangup!r}; use stop or continue")
    if engine.executor not in ("processes", "inline"):
        problems.append(f"engine.executor is {engine.executor!r}; use processes or inline")
    if engine.workers < 0:
        problems.append(f"engine.workers is {engine.workers}; use 0 (a process for each processor) or more")
    if not engine.lease_seconds > 0:
        problems.append(f"engine.lease_seconds is {engine.lease_seconds:g}; it must be more than 0")
    shared = env.get("DATABASE_URL") or EMBEDDED
    store = _database_url("store.url", sections["store"].url, shared, home / "store.db", problems)
    data = _database_url("data.url", sections["data"].url, shared, home / "data.db", problems)
    secret = _http_secret(env, problems)
    redis_url = _redis_url(redis.url if redis.url != EMBEDDED else env.get("REDIS_URL") or EMBEDDED, problems)
    if problems:
        raise BadSettings([f"{source}: {line}" if source else line for line in problems])
    return Settings(
        folder=home,
        source=source,
        actor=_actor(env),
        host=socket.gethostname(),
        console=sections["console"],
        engine=engine,
        redis_limits=redis,
        http=sections["http"],
        http_secret=secret,
        store_url=store,
        data_url=data,
        redis_url=redis_url,
        embedded_store=store.reveal() == f"sqlite:///{home / 'store.db'}",
        embedded_data=data.reveal() == f"sqlite:///{home / 'data.db'}",
        packs=(*packs, *beside),
        entry_points=entry_points,
        overrides=overrides,
        options={name: value for name, value in raw.items() if name in pack_names},
    )


def load_embedded(folder: Path, *, environment: str) -> Settings:
    """The configuration of an installation that lives in `folder` alone: no file, no variables, all embedded, and no
    packs but our own.
    """
    env = {name: os.environ[name] for name in ("SUDO_USER", "SSH_CONNECTION") if name in os.environ}
    env[f"{PREFIX}CONSOLE__ENVIRONMENT"] = environment
    env[f"{PREFIX}JOBS__ENTRY_POINTS"] = "false"
    return load(folder=folder, environ=env, search=False)


def data_home() -> Path:
    """The folder under which each installation of this user has its own."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "opsconsole"


def private_folder(folder: Path) -> None:
    """Creates the data folder for this user alone, and makes files written from now on private to them."""
    os.umask(0o077)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def failpoint() -> str:
    """Where a test wants this process to fail, as opsconsole.core.failpoints reads it; empty but in such a test."""
    return os.environ.get("FAILPOINT", "")


def is_set(variable: str) -> bool:
    """Whether the environment has a variable that a library reads itself, such as the key of a service."""
    return bool(os.environ.get(variable))


def set_for_workers(**variables: str) -> None:
    """Sets variables of the environment, for libraries in this process and in those that it starts."""
    os.environ.update(variables)


def terminal() -> str:
    """What the environment calls the terminal; empty when it names none."""
    return os.environ.get("TERM", "")


_IN_WORDS = {"int": "a whole number", "float": "a number", "str": "a text"}


def _find(env: Mapping[str, str]) -> Path | None:
    beside = Path(FILE)
    configured = Path(env.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "opsconsole" / FILE
    return next((path for path in (beside, configured) if path.is_file()), None)


def _read(source: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"cannot be read: {error.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"is not valid TOML: {error}")
    return {}


def _overlay(raw: dict[str, Any], env: Mapping[str, str]) -> None:
    """Lays `OPSCONSOLE_SECTION__KEY` over what the file says."""
    for name, value in env.items():
        section, two, key = name.removeprefix(PREFIX).lower().partition("__")
        if name.startswith(PREFIX) and two:
            raw.setdefault(section, {})[key] = value.split(",") if key == "packs" else value


def section(name: str, kind: type[msgspec.Struct], given: Any, problems: list[str]) -> Any:
    """A section of the configuration as `kind`; what is wrong with it is added to `problems`, and left out."""
    if not isinstance(given, dict):
        problems.append(f"[{name}] must be a section with keys")
        return kind()
    types = get_type_hints(kind)
    good: dict[str, Any] = {}
    for key, value in given.items():
        if key not in types:
            problems.append(f"{name}.{key} is not a setting; [{name}] has {', '.join(types)}")
            continue
        try:
            good[key] = msgspec.convert(value, types[key], strict=False)
        except msgspec.ValidationError:
            wanted = next((words for kind_of, words in _IN_WORDS.items() if kind_of in str(types[key])), "a text")
            problems.append(f"{name}.{key}: {wanted} is needed, not {value!r}")
    return kind(**good)


@dataclass(frozen=True)
class Installed:
    """A pack that an installed distribution brings: its `path` is a module, or `module:attribute`."""

    name: str
    path: str
    distribution: str


def installed() -> list[Installed]:
    """The packs that distributions bring, by name. Nothing of them is imported."""
    from importlib.metadata import entry_points  # 30 ms that `--help` need not spend

    found = entry_points(group=ENTRY_POINTS)
    # What may stand in brackets behind the path asks for extras, which is the installer's matter.
    packs = (Installed(e.name, e.value.partition("[")[0].strip(), _distribution(e.dist)) for e in found)
    return sorted(packs, key=lambda pack: (pack.name, pack.path))


def _distribution(dist: Distribution | None) -> str:
    return f"{dist.name} {dist.version}" if dist else "a distribution without a name"


def _beside(packs: tuple[str, ...]) -> dict[str, str]:
    """The installed packs that the configured ones leave: their paths, each with its name."""
    names = {_pack_name(path) for path in packs}
    return {pack.path: pack.name for pack in installed() if pack.path not in packs and pack.name not in names}


def _pack_name(path: str) -> str:
    return path.partition(":")[0].rpartition(".")[2]


def _claim(name: str, given: Any, problems: list[str]) -> bool:
    try:
        return msgspec.convert(given, bool, strict=False)
    except msgspec.ValidationError:
        problems.append(f"{name}: true or false is needed, not {given!r}")
        return False


def _packs(given: Any, problems: list[str]) -> tuple[str, ...]:
    if isinstance(given, list) and given and all(isinstance(path, str) for path in given):
        return tuple(path.strip() for path in given)
    problems.append('jobs.packs must be a list of module names, such as ["jobs.attempts"]')
    return DEFAULT_PACKS


def _database_url(name: str, own: str, shared: str, file: Path, problems: list[str]) -> Secret:
    url = own if own != EMBEDDED else shared
    if url == EMBEDDED:
        return Secret(f"sqlite:///{file}")
    scheme, found, rest = url.partition("://")
    if found and scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        return Secret(f"postgresql+psycopg://{rest}")
    if found and scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return Secret(url)
    problems.append(f"{name}: a URL that starts with sqlite:/// or postgresql:// is needed, not {_kind_of(url)}")
    return Secret("sqlite:///")


def _redis_url(url: str, problems: list[str]) -> Secret | None:
    if url == EMBEDDED:
        return None
    scheme = url.partition("://")[0]
    if scheme not in ("redis", "rediss", "unix"):
        known = "redis://, rediss:// or unix://"
        problems.append(f"redis.url: a URL that starts with {known} is needed, not {_kind_of(url)}")
    return Secret(url)


def _http_secret(env: Mapping[str, str], problems: list[str]) -> Secret | None:
    secret = env.get("CRON_SECRET", "")
    if not all("!" <= letter <= "~" for letter in secret):
        problems.append("CRON_SECRET has letters that no HTTP header can carry; use printable ASCII without spaces")
    return Secret(secret) if secret else None


def _kind_of(url: str) -> str:
    scheme, found, _ = url.partition("://")
    return repr(scheme) if found else "one without ://"


def _actor(env: Mapping[str, str]) -> Actor:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    behind = env.get("SUDO_USER")
    origin = env.get("SSH_CONNECTION", "").partition(" ")[0]
    return Actor(f"{behind} as {user}" if behind and behind != user else user, origin or "local")
