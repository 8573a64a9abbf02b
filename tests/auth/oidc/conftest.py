"""The issuer of the tests, and what closes its server."""

from collections.abc import AsyncIterator

import pytest

from tests.support.issuer import Issuer
from tests.support.upstream_servers import opened


@pytest.fixture(scope="session")
def shared_issuer() -> Issuer:
    """An issuer that no test changes."""
    return Issuer()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    await opened.aclose()
