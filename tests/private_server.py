"""A PostgreSQL server of a test's own, or the reason why there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from tests.services import NoPostgres, PrivatePostgres

Server = TypeVar("Server", bound=PrivatePostgres)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Runs the server for the length of the block. Without PostgreSQL on this machine the test is skipped, but in CI it
    fails.
    """
    try:
        server.start()
    except NoPostgres as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.stop()
