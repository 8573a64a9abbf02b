"""The model copy of docs/how-to/move-from-globeco.md, from documents of the original service."""

import asyncio
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from bson import Decimal128, ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from storage.models.model_store import ModelStore
from storage.mongo.connection import Document

pytestmark = pytest.mark.mongo

PAGE = Path(__file__).parents[2] / "docs/how-to/move-from-globeco.md"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
SECURITY, PORTFOLIO = "3ef72f691c5758e59e004b2a", "683b6d889fa492fde114a4e3"


def model_of_the_original() -> Document:
    amounts = {"target": "0.25", "high_drift": "0.02", "low_drift": "0.01"}
    position = {name: Decimal128(amount) for name, amount in amounts.items()}
    return {
        "_id": ObjectId(),
        "revision_id": None,
        "name": "Growth",
        "positions": [{"security_id": SECURITY, **position}],
        "portfolios": [PORTFOLIO],
        "last_rebalance_date": None,
        "version": 7,
        "created_at": NOON,
        "updated_at": NOON,
    }


async def test_copied_models_keep_their_ids_and_versions(
    database: AsyncDatabase[Document], mongodb_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = f"original-{uuid4().hex}"
    old = model_of_the_original()
    await database.client[original]["models"].insert_one(old)
    monkeypatch.setenv("MONGODB_URI", mongodb_uri)
    (script,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = script.replace("globeco_order_generation", original)
    script = script.replace("order-generation", database.name)

    await asyncio.to_thread(exec, script, {})
    await asyncio.to_thread(exec, script, {})  # a second time, because the copy may be repeated

    models, total = await ModelStore(database).read_page()
    assert total == 1
    assert (models[0].model_id, models[0].version) == (str(old["_id"]), 7)
    assert models[0].targets[0].weight == Decimal("0.25")
    model = await ModelStore(database).find_followed(PORTFOLIO)
    assert model.model_id == models[0].model_id
    await database.client.drop_database(original)
