"""Pages are tested on SQLite; what differs between databases lies in the queries."""

import pytest


@pytest.fixture
def migrated_url(migrated_sqlite_url: str) -> str:
    """The URL of a fresh database that has the schema."""
    return migrated_sqlite_url
