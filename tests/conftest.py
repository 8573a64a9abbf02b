"""The database server of all tests: a real one, in a directory that goes with the session."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from serve_app.ray_environment import FAST
from storage.database import WRITER_TIMEOUT_S, Document, connect, disconnect
from storage.embedded import start, stop
from storage.indexes import ensure_indexes

# Ray reads its environment when it is imported, and the tests of a part may do that first.
os.environ.update(FAST)


@pytest.fixture(scope="session")
def mongodb_uri() -> Iterator[str]:
    """The address of an embedded server, started once a session."""
    with tempfile.TemporaryDirectory(prefix="order-generation-") as directory:
        yield start(Path(directory), os.environ.get("MONGOD")).uri
        stop(Path(directory))


@pytest.fixture
async def database(mongodb_uri: str) -> AsyncIterator[AsyncDatabase[Document]]:
    """A new database with its indexes, dropped afterwards."""
    fresh = connect(mongodb_uri, f"test-{uuid4().hex}", WRITER_TIMEOUT_S * 1_000)
    await ensure_indexes(fresh)
    yield fresh
    await fresh.client.drop_database(fresh.name)
    await disconnect(fresh)
