"""Fixtures for all tests: databases, a Redis server, and an installation on them."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
import redis
from hypothesis import settings as hypothesis_settings

from opsconsole.core.secret_files import VARIABLES
from opsconsole.embedded.redis import EmbeddedRedis
from tests import sharing, templates
from tests.faults.fork_server import CONSOLE, ForkServer
from tests.installation import Installation
from tests.private_server import running
from tests.services import PrivatePostgres

hypothesis_settings.register_profile("default", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis_settings.load_profile("default")
sharing.share()

Installing = Callable[..., Installation]

_STARTED = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--budget`: the soak tests run in random order until the time is spent."""
    parser.addoption("--budget", type=float, metavar="SECONDS", help="skip the tests that have not started by then")


def pytest_configure(config: pytest.Config) -> None:
    """Records when the session started, and lets the processes that tests start receive every signal."""
    config.stash[_STARTED] = time.monotonic()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        # In the background, and under nohup, they are ignored, which every process would inherit; a handler is not.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Imports a share of the test files first when several processes collect all of them.

    The asserts of a file are rewritten and compiled where it is first imported, and cached: each process does its part
    of that work and reads what the others have done, where all would do the whole of it at the same time.
    """
    worker: dict[str, str] | None = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    tests = Path(__file__).parent
    files = sorted(
        file.relative_to(tests.parent)
        for file in tests.rglob("test_*.py")
        if not file.is_relative_to(tests / "outside")
    )
    first, step = int(worker["workerid"].removeprefix("gw")), int(worker["workercount"])
    for file in files[first % step :: step]:
        with suppress(Exception, pytest.skip.Exception):  # the collection reports it
            import_module(".".join(file.with_suffix("").parts))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Spares the garbage collector the modules and tests, which live until the end."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves to the soak part what is marked for it on PostgreSQL, before `-m` selects."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if item.get_closest_marker("postgresql_in_soak") and parameters.get("database_url") == "postgresql":
            item.add_marker(pytest.mark.soak)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many processes `-n auto` starts: three for each core, as many tests wait for other processes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 3 * cores


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips the test if the budget is spent."""
    budget: float | None = item.config.getoption("--budget")
    if budget is not None and time.monotonic() - item.config.stash[_STARTED] > budget:
        pytest.skip(f"the budget of {budget:g} s is spent")


@pytest.fixture(autouse=True)
def _private_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hides the configuration of the user who runs the tests, and protects it; a test leaves no variable behind."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("OPSCONSOLE_", "XDG_")) or name.endswith("_URL")]:
        monkeypatch.delenv(name)
    for name in (*VARIABLES, *(f"{variable}_FILE" for variable in VARIABLES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield
    monkeypatch.undo()
    for name in os.environ.keys() - before.keys():  # set by the demo, for libraries
        del os.environ[name]


@pytest.fixture(scope="session")
def _shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    server.ensure()
    yield server.url
    server.stop()


@pytest.fixture
def redis_url(_shared_redis: str) -> str:
    """An empty Redis server, shared with other tests: do not stop it."""
    with redis.Redis.from_url(_shared_redis) as client:
        client.flushall()
    return _shared_redis


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis server that only this test uses, and may stop and start."""
    server = EmbeddedRedis(tmp_path / "redis")
    server.ensure()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _shared_postgres() -> Iterator[PrivatePostgres]:
    with running(PrivatePostgres()) as server:
        yield server


@pytest.fixture
def postgres_server(_shared_postgres: PrivatePostgres) -> PrivatePostgres:
    """A PostgreSQL server, shared with other tests: do not stop it."""
    return _shared_postgres


@pytest.fixture(scope="session")
def _postgres_template(_shared_postgres: PrivatePostgres) -> str:
    url = _shared_postgres.new_database()
    templates.fill(url)
    return url


@pytest.fixture
def postgres_url(_shared_postgres: PrivatePostgres, _postgres_template: str) -> Iterator[str]:
    """A migrated PostgreSQL database."""
    url = _shared_postgres.new_database(_postgres_template)
    yield url
    _shared_postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database with the tables of the packs that come with opsconsole, once on each kind."""
    if request.param == "sqlite":
        return templates.copy_sqlite(tmp_path / "database.db")
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, once on each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'database.db'}"
        return
    server: PrivatePostgres = request.getfixturevalue("_shared_postgres")
    url = server.new_database()
    yield url
    server.drop_database(url)


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Starts processes of the program quickly."""
    with ForkServer(tmp_path_factory.mktemp("fork_server") / "errors.log", imports=CONSOLE) as server:
        yield server


@pytest.fixture
def installing(tmp_path: Path) -> Iterator[Installing]:
    """Makes installations, and closes them after the test."""
    made: list[Installation] = []

    def install(**how: object) -> Installation:
        made.append(Installation(tmp_path / f"folder{len(made)}", **how))  # type: ignore[arg-type]
        return made[-1]

    yield install
    for installation in made:
        installation.close()
