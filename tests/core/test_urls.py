"""URLs of databases and of Redis: normalized or refused, without a part of a secret in any message."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from sqlalchemy.engine import make_url

from opsconsole.core.urls import BadUrl, database_url, masked_url, redis_url, sqlite_url

PASSWORDS = ["plain", "p%40ss", "a%3Ab", "sl%2Fash", "qu%3Fery", "h%23sh", "100%25", "p%C3%A4ss", "p@ss", "a:b"]
DECODED = ["plain", "p@ss", "a:b", "sl/ash", "qu?ery", "h#sh", "100%", "päss", "p@ss", "a:b"]


@pytest.mark.parametrize(("written", "decoded"), list(zip(PASSWORDS, DECODED, strict=True)))
def test_a_password_arrives_as_it_was_meant(written: str, decoded: str) -> None:
    url = make_url(database_url(f"postgresql://ops:{written}@db:5433/store"))

    assert (url.username, url.password, url.host, url.port, url.database) == ("ops", decoded, "db", 5433, "store")


@pytest.mark.parametrize(
    ("written", "normalized"),
    [
        ("postgres://db", "postgresql+psycopg://db"),
        ("postgresql://ops@[::1]:5432/x", "postgresql+psycopg://ops@[::1]:5432/x"),
        ("postgresql:///x?host=/var/run/postgresql", "postgresql+psycopg:///x?host=/var/run/postgresql"),
        ("postgresql://a:5432,b/x", "postgresql+psycopg:///x?host=a:5432&host=b:5432"),
        ("postgresql://db/x?schema=app", "postgresql+psycopg://db/x?options=-csearch_path%3Dapp"),
        ("postgresql://db/x?pgbouncer=true&sslmode=require", "postgresql+psycopg://db/x?sslmode=require"),
        (
            "postgresql://db/x?options=-cwork_mem=8MB&schema=app",
            "postgresql+psycopg://db/x?options=-cwork_mem%3D8MB%20-csearch_path%3Dapp",
        ),
        ("sqlite:////srv/a%20b.db", "sqlite:////srv/a%20b.db"),
        ("sqlite:////srv/a%3Fb%23c.db", "sqlite:////srv/a%3Fb%23c.db"),
        ("sqlite:////srv/a b#c.db", "sqlite:////srv/a%20b%23c.db"),
    ],
)
def test_a_database_url_is_normalized(written: str, normalized: str) -> None:
    assert database_url(f" {written}\n") == normalized
    assert database_url(normalized) == normalized


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "redis://cache:6379/0",
        "rediss://ops:pw@cache:6380/2?ssl_cert_reqs=required",
        "redis://:pw@cache/0",
        "redis://[::1]:6379/0",
        "unix:///run/redis.sock?db=1",
        "unix://:pw@/run/redis.sock",
    ],
)
def test_a_redis_url_stays_as_it_is(url: str) -> None:
    assert redis_url(f"{url}\n") == url


@pytest.mark.parametrize("name", ["data.db", "a b.db", "100%.db", "%41.db", "what?.db", "#1.db", "naïve.db", "a@b.db"])
def test_any_file_name_has_a_url(name: str, tmp_path: Path) -> None:
    assert make_url(sqlite_url(tmp_path / name)).database == str(tmp_path / name)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///%3Amemory%3A\n"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(BadUrl) as refused:
        database_url(url)

    assert str(refused.value) == "is an SQLite database in memory, which no other process can open; name a file instead"


CANARY = "canary7"
BAD_DATABASES = [
    CANARY,
    f"{CANARY}://db/x",
    f"mysql://ops:{CANARY}@db/x",
    f"ops:{CANARY}@db/x",
    f"postgresql:/ops:{CANARY}@db/x",
    f"postgresql://ops:{CANARY}/x@db/store",
    f"postgresql://ops:a/{CANARY}@db/store",
    f"postgresql://ops:{CANARY}?x@db/store",
    f"postgresql://ops:1?{CANARY}@db/store",
    f"postgresql://ops:{CANARY}#x@db/store",
    f"postgresql://ops:pw#{CANARY}",
    f"postgresql://ops:{CANARY}",
    f"postgresql://ops:pw@db:{CANARY}/store",
    f"postgresql://ops:pw@{CANARY}:99999/store",
    f"postgresql://ops:pw@{CANARY} x/store",
    f"postgresql://ops:pw@{CANARY}\tx/store",
    f"postgresql://ops:pw@{CANARY}!/store",
    f"postgresql://ops:pw@db/store?{CANARY}=1",
    f"postgresql://ops:pw@db/store?connection_limit={CANARY}",
    f"postgresql://ops:pw@db/store?sslmode={CANARY}",
    f"postgresql://ops:pw@db/store?target_session_attrs={CANARY}",
    f"postgresql://ops:pw@db/store?schema={CANARY};drop",
    f"postgresql://ops:pw@db/store?password=a@{CANARY}",
    f"postgresql://[{CANARY}/x",
    f"sqlite:////srv/data.db?key={CANARY}",
    f"sqlite://{CANARY}",
    "sqlite:///",
    "",
]
BAD_REDIS = [
    CANARY,
    f"memcached://{CANARY}",
    f"redis://:a/{CANARY}@cache",
    f"redis://:a#{CANARY}@cache",
    f"redis://:{CANARY}",
    f"redis://cache/{CANARY}",
    f"redis://a,{CANARY}/0",
    f"redis://cache?{CANARY}=1",
    f"redis://cache/0/{CANARY}",
    f"redis://ca che/{CANARY}",
    "unix://",
    "",
]


@pytest.mark.parametrize("text", BAD_DATABASES)
def test_a_bad_database_url_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(BadUrl) as refused:
        database_url(text)

    assert "canary" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", BAD_REDIS)
def test_a_bad_redis_url_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(BadUrl) as refused:
        redis_url(text)

    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////srv/a%40b/data.db", "sqlite:////srv/a@b/data.db"),
        ("postgresql+psycopg://db:5432/store", "postgresql+psycopg://db:5432/store"),
        ("postgresql+psycopg://ops@db/store", "postgresql+psycopg://ops@db/store"),
        ("postgresql+psycopg://ops:pw@db/s?sslmode=require", "postgresql+psycopg://ops:***@db/s?sslmode=require"),
        ("postgresql+psycopg://db/s?password=pw&user=ops", "postgresql+psycopg://db/s?password=***&user=ops"),
        ("redis://token@cache/0", "redis://***@cache/0"),
        ("redis://:pw@cache/0", "redis://***@cache/0"),
        ("redis://ops:pw@cache/0", "redis://ops:***@cache/0"),
        ("unix://:pw@/run/redis.sock?db=0", "unix://***@/run/redis.sock?db=0"),
        ("rediss://cache?ssl_keyfile_password=pw", "rediss://cache?ssl_keyfile_password=***"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert masked_url(url) == shown


@given(user=st.text(min_size=1, max_size=8), password=st.text(min_size=1, max_size=12), database=st.text(max_size=6))
def test_every_encoded_login_survives_and_no_password_is_shown(user: str, password: str, database: str) -> None:
    from urllib.parse import quote

    def encoded(text: str) -> str:
        return quote(text.encode("utf-8", "surrogatepass"), safe="")

    if any("\ud800" <= character <= "\udfff" for character in user + password + database):
        return
    written = f"postgresql://{encoded(user)}:{encoded('canary7' + password)}@db/{encoded(database)}"
    url = database_url(written)

    parsed = make_url(url)
    assert (parsed.username, parsed.password) == (user, "canary7" + password)
    assert "canary7" not in masked_url(url)
