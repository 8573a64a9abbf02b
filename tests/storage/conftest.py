"""The stores that more than one module asks."""

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from storage.mongo.connection import Document
from storage.rebalance_store import RebalanceStore


@pytest.fixture
def rebalances(database: AsyncDatabase[Document]) -> RebalanceStore:
    return RebalanceStore(database)
