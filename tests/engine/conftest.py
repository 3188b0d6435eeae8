"""What tests of the engine may ask for besides."""

from __future__ import annotations

import pytest

from tests.services import PrivatePostgres


@pytest.fixture
def postgres_url(_shared_postgres: PrivatePostgres) -> str:
    """An empty PostgreSQL database."""
    return _shared_postgres.new_database()
