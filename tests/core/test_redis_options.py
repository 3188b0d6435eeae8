"""Options in URLs of Redis: the supported ones, and the messages about others, without a part of the URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.core.urls import BadUrl, redis_url

SECRET = "swordfish"


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache?db=3",
        "redis://cache/0?socket_timeout=0.5&socket_connect_timeout=3&health_check_interval=30&socket_keepalive=yes",
        "redis://cache/0?protocol=3&client_name=reports",
        "rediss://cache/0?ssl_cert_reqs=none&ssl_check_hostname=false&ssl_min_version=772",
        f"unix://ops:{SECRET}@/run/redis.sock?db=1",
    ],
)
def test_supported_options_stay(url: str) -> None:
    assert redis_url(url) == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis+sentinel://a:26379,b:26379/main", "give the address of the primary, or one that follows it"),
        ("redis-sentinel://a:26379/main", "give the address of the primary, or one that follows it"),
        ("redis+cluster://a,b,c", "must be a URL that starts with redis://, rediss:// or unix://"),
        ("redis://cache?db=first", "has the option db, which must be the number of a database"),
        ("redis://cache?db=", "has the option db, which must be the number of a database"),
        (
            "redis://cache/0?socket_timeout=60",
            "has the option socket_timeout, which must be a number of seconds up to 3",
        ),
        (
            "redis://cache/0?socket_timeout=nan",
            "has the option socket_timeout, which must be a number of seconds up to 3",
        ),
        ("redis://cache/0?socket_connect_timeout=0", "which must be a number of seconds up to 3"),
        ("redis://cache/0?protocol=4", "has the option protocol, which must be 2 or 3"),
        ("redis://cache/0?decode_responses=true", "has an option that opsconsole does not support for Redis"),
        (f"redis://cache/0?{SECRET}=true", "has an option that opsconsole does not support for Redis"),
        ("redis://cache/0?ssl_cert_reqs=none", "has the option ssl_cert_reqs, which needs TLS; write rediss://"),
        (f"rediss://cache/0?ssl_cert_reqs={SECRET}", "which must be none, optional or required"),
        (f"rediss://cache/0?ssl_ca_certs=/{SECRET}/ca.pem", "which must be the path of a file that exists"),
    ],
)
def test_others_are_refused_in_one_sentence(url: str, problem: str) -> None:
    with pytest.raises(BadUrl) as caught:
        redis_url(url)

    assert problem in str(caught.value)
    assert SECRET not in str(caught.value)


def test_files_have_to_exist(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()

    assert redis_url(f"rediss://cache/0?ssl_ca_certs={tmp_path}/ca.pem").endswith("ca.pem")
    with pytest.raises(BadUrl, match="has the option ssl_keyfile, which must be the path of a file that exists"):
        redis_url(f"rediss://cache/0?ssl_keyfile={tmp_path}")
