"""Fixtures of the stores that several modules use."""

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from storage.audit_log import AuditLog
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document
from storage.rebalances.rebalance_store import RebalanceStore
from storage.runs.run_store import RunStore
from tests.support.audit import anna


@pytest.fixture
def log(database: AsyncDatabase[Document]) -> AuditLog:
    return AuditLog(database)


@pytest.fixture
def models(database: AsyncDatabase[Document]) -> ModelStore:
    return ModelStore(database, find_author=anna)


@pytest.fixture
def rebalances(database: AsyncDatabase[Document]) -> RebalanceStore:
    return RebalanceStore(database, anna)


@pytest.fixture
def runs(database: AsyncDatabase[Document]) -> RunStore:
    return RunStore(database, anna)
