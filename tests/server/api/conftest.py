"""A server that answers, and those who call it."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from argos.server.database import Database
from argos.server.main import get_application
from argos.server.settings import LoadedConfig
from tests.server.factories import SECRET


@pytest.fixture
def app(loaded: LoadedConfig, database: Database) -> FastAPI:
    """The application on a migrated database."""
    return get_application(loaded)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Anybody: without a token."""
    with TestClient(app) as client:
        yield client


@pytest.fixture
def call_as(app: FastAPI, client: TestClient) -> Callable[[str], TestClient]:
    """Makes a client that calls with a token."""

    def call_as(token: str) -> TestClient:
        caller = TestClient(app, headers={"Authorization": f"Bearer {token}"})
        caller.portal = client.portal  # the event loop of the running server
        return caller

    return call_as


@pytest.fixture
def agent_client(call_as: Callable[[str], TestClient]) -> TestClient:
    """An agent with the shared secret."""
    return call_as(SECRET)
