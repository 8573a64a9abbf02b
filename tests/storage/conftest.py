"""The stores that more than one module asks."""

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from storage.database import Document
from storage.rebalances import Rebalances


@pytest.fixture
def rebalances(database: AsyncDatabase[Document]) -> Rebalances:
    return Rebalances(database)
