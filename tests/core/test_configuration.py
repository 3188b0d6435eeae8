"""The configuration: a file, environment variables over it, and all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.core.configuration import load
from opsconsole.core.errors import BadSettings
from opsconsole.core.installed_packs import DEFAULT_PACKS
from opsconsole.core.settings import Secret, Settings, masked

SECRET = "hunter2"


def read(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    file = tmp_path / "opsconsole.toml"
    file.write_text(text)
    return load(file, folder=tmp_path, environ=environ)


def problems(tmp_path: Path, text: str = "", **environ: str) -> list[str]:
    with pytest.raises(BadSettings) as refused:
        read(tmp_path, text, **environ)
    return [line.removeprefix(f"{tmp_path / 'opsconsole.toml'}: ") for line in refused.value.problems]


def test_everything_is_embedded_by_default(tmp_path: Path) -> None:
    found = load(folder=tmp_path, environ={}, search=False)

    assert found.store_url == Secret(f"sqlite:///{tmp_path / 'store.db'}")
    assert found.data_url == Secret(f"sqlite:///{tmp_path / 'data.db'}")
    assert found.redis_url is None
    assert found.embedded_store
    assert found.packs == DEFAULT_PACKS
    assert (found.engine.executor, found.engine.lease_seconds) == ("processes", 10.0)
    assert 1 <= found.engine.worker_count <= 4


def test_the_file_overrides_the_defaults(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        [console]
        environment = "staging"
        [store]
        url = "postgres://ops@db/store"
        [engine]
        workers = 3
        [jobs]
        packs = ["jobs.attempts", "tests.packs.counting"]
        [jobs."counting.count"]
        batch = 7
        timeout = 90
        [counting]
        paper = "A4"
        """,
    )

    assert found.console.environment == "staging"
    assert found.store_url == Secret("postgresql+psycopg://ops@db/store")
    assert not found.embedded_store
    assert found.engine.worker_count == 3
    assert found.packs == ("jobs.attempts", "tests.packs.counting")
    assert (found.overrides["counting.count"].batch, found.overrides["counting.count"].timeout) == (7, 90.0)
    assert found.options == {"counting": {"paper": "A4"}}


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '[engine]\nworkers = 3\nexecutor = "processes"\n[redis]\nurl = "redis://file/0"\n',
        OPSCONSOLE_ENGINE__WORKERS="2",
        OPSCONSOLE_ENGINE__LEASE_SECONDS="0.5",
        OPSCONSOLE_JOBS__PACKS="jobs.attempts,tests.packs.counting",
        OPSCONSOLE_REDIS__URL="redis://environment/0",
    )

    assert (found.engine.workers, found.engine.executor, found.engine.lease_seconds) == (2, "processes", 0.5)
    assert found.packs == ("jobs.attempts", "tests.packs.counting")
    assert found.redis_url == Secret("redis://environment/0")


def test_common_variables_name_the_services_and_our_own_override_them(tmp_path: Path) -> None:
    usual = {"DATABASE_URL": "postgresql://ops@db/all", "REDIS_URL": "redis://cache:6379/1"}

    both = read(tmp_path, **usual)
    apart = read(tmp_path, OPSCONSOLE_DATA__URL="sqlite:////srv/data.db", **usual)

    assert both.store_url == both.data_url == Secret("postgresql+psycopg://ops@db/all")
    assert both.redis_url == Secret("redis://cache:6379/1")
    assert apart.store_url == Secret("postgresql+psycopg://ops@db/all")
    assert apart.data_url == Secret("sqlite:////srv/data.db")


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        [engine]
        executor = "threads"
        workers = -1
        worker_memory_mb = 16
        lease_seconds = 0
        speed = 9
        [store]
        url = "mysql://ops@db/store"
        [redis]
        url = "memcached://cache"
        [console]
        environment = ["a", "b"]
        [jobs]
        packs = "jobs.attempts"
        [jobs."attempts.cache_day"]
        batch = "many"
        colour = "red"
        [enigne]
        workers = 2
        """,
    )

    lines = "\n".join(found)
    for part in (
        "engine.executor is 'threads'; use processes, inline or celery",
        "engine.workers is -1; use 0",
        "engine.worker_memory_mb is 16; use 256 or more, or 0 for no limit",
        "engine.lease_seconds is 0; it must be more than 0",
        "engine.speed is not a setting; [engine] has executor, workers, worker_memory_mb, lease_seconds",
        "store.url must be a URL that starts with sqlite:/// or postgresql://",
        "redis.url must be a URL that starts with redis://, rediss:// or unix://",
        "console.environment must be a string, not",
        "jobs.packs must be a list of module names",
        'jobs."attempts.cache_day".batch must be a whole number',
        'jobs."attempts.cache_day".colour is not a setting',
        "[enigne] is not a section; the sections are alerts, attempts, cache, celery, console, data, engine, ",
    ):
        assert part in lines, lines
    assert len(found) == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("engine = 3", "[engine] must be a section with keys"),
        ("jobs = 3", "[jobs] must be a section with keys"),
        ("attempts = 3", "[attempts] must be a section with keys"),
        ('[jobs]\n"attempts.cache_day" = 3', '[jobs."attempts.cache_day"] must be a section with keys'),
        ("[engine", "is not valid TOML"),
        ("[engine]\nlease_seconds = nan", "engine.lease_seconds must be finite, not nan"),
        ("[engine]\nlease_seconds = inf", "engine.lease_seconds must be finite, not inf"),
        ("[engine]\nlease_seconds = 1e300", "engine.lease_seconds is 1e+300; it must be at most 3,600"),
        pytest.param("[engine]\nworkers = 1" + 5000 * "0", "is not valid TOML", id="5,000 digits"),
        pytest.param("a = " + 10_000 * "[", "is not valid TOML", id="10,000 brackets"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert any(message in line for line in problems(tmp_path, text))
    assert (
        any(message in line for line in problems(tmp_path, text, OPSCONSOLE_ENGINE__WORKERS="2"))
        or text == "engine = 3"
    )


@pytest.mark.parametrize("workers", ["9223372036854775807", "-9223372036854775809", "1" + 30 * "0"])
def test_a_number_that_is_too_large_is_refused(tmp_path: Path, workers: str) -> None:
    (line,) = problems(tmp_path, f"[engine]\nworkers = {workers}")

    assert "engine.workers " in line


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"nowhere\.toml: cannot be read: No such file"):
        load(tmp_path / "nowhere.toml", folder=tmp_path, environ={})


@pytest.mark.parametrize(
    ("given", "normalized"),
    [
        ("postgres://a@b/c", "postgresql+psycopg://a@b/c"),
        ("postgresql://a@b/c?sslmode=require", "postgresql+psycopg://a@b/c?sslmode=require"),
        (" postgresql+psycopg://a@b/c\n", "postgresql+psycopg://a@b/c"),
        ("sqlite:////srv/data.db\n", "sqlite:////srv/data.db"),
    ],
)
def test_database_urls_are_normalized(tmp_path: Path, given: str, normalized: str) -> None:
    assert read(tmp_path, OPSCONSOLE_DATA__URL=given).data_url == Secret(normalized)


def test_no_password_is_shown(tmp_path: Path) -> None:
    store = f"postgresql://ops:{SECRET}@db/store?sslpassword={SECRET}"
    cache = f"rediss://:{SECRET}@cache/1"
    found = read(tmp_path, OPSCONSOLE_STORE__URL=store, DATABASE_URL=store, REDIS_URL=cache)

    assert found.redis_url == Secret(cache)
    for shown in (repr(found), str(found), repr(found.effective()), masked(found.store_url), f"{found.data_url}"):
        assert SECRET not in shown
    assert found.effective()["store.url"] == "postgresql+psycopg://ops:***@db/store?sslpassword=***"


@pytest.mark.parametrize(
    "url", [f"ops:{SECRET}@db/store", f"{SECRET}", f"postgres:{SECRET}@db", f"mysql://ops:{SECRET}@db"]
)
def test_no_password_is_in_a_problem(tmp_path: Path, url: str) -> None:
    found = problems(tmp_path, OPSCONSOLE_STORE__URL=url, REDIS_URL=url)

    assert len(found) == 2
    assert SECRET not in "\n".join(found)


@pytest.mark.parametrize("given", [[f"postgresql://ops:{SECRET}@db/x"], {"is": SECRET}, 5])
def test_a_url_of_another_type_is_not_shown(tmp_path: Path, given: object) -> None:
    problem = f"store.url must be a string, not a {type(given).__name__}"

    assert problems(tmp_path, f"[store]\nurl = {toml(given)}\n") == [problem]


def toml(value: object) -> str:
    return f'{{is = "{value["is"]}"}}' if isinstance(value, dict) else repr(value)


def test_a_readable_file_with_a_password_and_a_short_secret_are_warnings(tmp_path: Path) -> None:
    text = '[store]\nurl = "postgresql://ops:p%40ss@db/x"\n'
    found = read(tmp_path, text, CRON_SECRET="short")
    (tmp_path / "opsconsole.toml").chmod(0o644)
    readable = read(tmp_path, text, CRON_SECRET="a" * 16)
    without = read(tmp_path, '[store]\nurl = "postgresql://ops@db/x"\n', DATABASE_URL="postgresql://ops:pw@db/x")

    assert any(line.startswith("CRON_SECRET has fewer than 16 characters") for line in found.warnings)
    assert [line for line in readable.warnings if "p%40ss" in line or "CRON_SECRET" in line] == []
    assert "has a password and other users may read it; run chmod 600" in readable.warnings[0]
    assert without.warnings == ()


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeff[engine]\nworkers = 3\n").engine.workers == 3


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)

    with pytest.raises(BadSettings, match="this user has no home folder; set XDG_DATA_HOME"):
        load(environ={})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[redis]\npolicy = "lru"\n', "redis.policy is 'lru'; use one of noeviction, allkeys-lru"),
        ('[redis]\nmax_memory = "lots"\n', "redis.max_memory is 'lots'; use a size such as 256mb"),
        ('[redis]\nmax_memory = "0"\n', "redis.max_memory is '0'"),
        ('[redis]\nmax_memory = "256mb --maxclients 1"\n', "redis.max_memory is '256mb --maxclients 1'"),
    ],
)
def test_limits_of_the_embedded_redis_are_checked(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = problems(tmp_path, text)

    assert found.startswith(problem)


def test_a_secret_is_never_printed() -> None:
    secret = Secret(SECRET)

    assert f"{secret} {secret!r} {[secret]}".count(SECRET) == 0
    assert secret.reveal() == SECRET


def test_the_actor_has_the_sudo_user_and_the_address_of_ssh_or_a_browser(tmp_path: Path) -> None:
    here = read(tmp_path).actor
    there = read(tmp_path, SUDO_USER="asha", SSH_CONNECTION="10.1.2.3 50022 10.0.0.1 22").actor

    in_browser = read(tmp_path, OPSCONSOLE_BROWSER_SESSION="2 10.1.2.3").actor

    assert here.origin == "local"
    assert there.name == f"asha as {here.name}"
    assert there.origin == "10.1.2.3"
    assert (in_browser.name, in_browser.origin) == (f"{here.name} (browser 2)", "10.1.2.3")


def test_the_settings_of_workers(tmp_path: Path) -> None:
    found = read(tmp_path, '[attempts]\npaper = "A4"\n', DATABASE_URL="postgresql://o:p@db/x", REDIS_URL="redis://:p@c")

    assert found.for_workers() == {
        "data_url": "postgresql+psycopg://o:p@db/x",
        "redis_url": "redis://:p@c",
        "packs": list(DEFAULT_PACKS),
        "overrides": {},
        "compress_over": None,
        "options": {"attempts": {"paper": "A4"}},
        "memory_mb": 4096,
    }
