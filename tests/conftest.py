"""The database server of all tests: a real server, in a directory that goes with the session."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from shutil import disk_usage
from uuid import uuid4

import pytest
from hypothesis import settings
from pymongo.asynchronous.database import AsyncDatabase

from serve_app.launch.ray_environment import FAST
from storage.embedded.server import start, stop
from storage.mongo.connection import WRITER_TIMEOUT_S, Document, connect, disconnect
from storage.schema import ensure_indexes

pytest_plugins = ["tests.support.application", "tests.support.oidc_provider"]

MEMORY = Path("/dev/shm")
ROOM = 8 * 2**30  # bytes; the object stores of Ray are there, too

# Ray reads its environment when it is imported, and the tests of a part may do that first.
os.environ.update(FAST)

# Without a deadline for an example, because a busy machine would fail a test that is right.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the running service last.

    Their Ray cluster lives as long as the session and holds the port of the job agent, so that the
    demonstration which tests/packaging starts could not take a job beside it.
    """
    items.sort(key=lambda item: "end_to_end" in item.path.parts)


@pytest.fixture(scope="session")
def mongodb_uri() -> Iterator[str]:
    """The address of an embedded server, started once a session."""
    with tempfile.TemporaryDirectory(prefix="order-generation-", dir=_in_memory()) as directory:
        yield start(Path(directory), os.environ.get("MONGOD")).uri
        stop(Path(directory))


def _in_memory() -> Path | None:
    """Directory in memory, which halves the time to make a database; None if it lacks room."""
    return MEMORY if MEMORY.is_dir() and disk_usage(MEMORY).free > ROOM else None


@pytest.fixture
async def database(mongodb_uri: str) -> AsyncIterator[AsyncDatabase[Document]]:
    """A new database with its indexes, dropped afterwards."""
    fresh = connect(mongodb_uri, f"test-{uuid4().hex}", WRITER_TIMEOUT_S * 1_000)
    await ensure_indexes(fresh)
    yield fresh
    await fresh.client.drop_database(fresh.name)
    await disconnect(fresh)
