"""The function of the storage page that reads a column of outcomes, as the page has it."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.asynchronous.database import AsyncDatabase

from optimization import ScaledColumn
from storage.mongo.connection import Document
from storage.rebalances.rebalance_store import RebalanceStore
from tests.support.samples import make_answers, make_id, make_outcome, make_rebalance

pytestmark = pytest.mark.mongo

DOCUMENTED = Path(__file__).parents[3] / "docs/reference/storage.md"


async def test_the_documented_function_reads_a_column_with_the_driver_and_numpy_alone(
    rebalances: RebalanceStore, database: AsyncDatabase[Document], mongodb_uri: str
) -> None:
    rebalance = await rebalances.open(replace(make_rebalance(600), run_id=str(ObjectId())))
    large = ScaledColumn(np.array([10**20 + at for at in range(600)], dtype=np.object_), 2)
    one = replace(
        make_answers(rebalance, range(600), {2: make_outcome(rebalance, 2)}), cash_before=large
    )
    await rebalances.record_block(rebalance.rebalance_id, range(600), one)
    text = DOCUMENTED.read_text().partition("```python\n")[2].partition("```")[0]
    scope: dict[str, Any] = {}
    exec(text, scope)

    def read(name: str) -> list[tuple[str, Any]]:
        with MongoClient[Document](mongodb_uri) as client:
            parts = scope["read_column"](client[database.name], rebalance.rebalance_id, name)
            return [row for ids, values in parts for row in zip(ids, values, strict=True)]

    rows = await asyncio.to_thread(read, "after")
    expected = [row for row in range(600) if row != 2]
    assert [portfolio_id for portfolio_id, _ in rows] == [make_id("P", at) for at in expected]
    assert [shares.tolist() for _, shares in rows] == [
        one.after.units[at].tolist() for at in expected
    ]
    amounts = await asyncio.to_thread(read, "cash_before")
    assert [amount for _, amount in amounts] == [large.value(at) for at in expected]
    values = await asyncio.to_thread(read, "market_value")
    assert [value for _, value in values] == [one.market_value.units[at] / 100 for at in expected]
