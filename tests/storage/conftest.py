"""Fixtures of the stores that several modules use."""

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from storage.mongo.connection import Document
from storage.rebalance_store import RebalanceStore


@pytest.fixture
def rebalances(database: AsyncDatabase[Document]) -> RebalanceStore:
    return RebalanceStore(database)
