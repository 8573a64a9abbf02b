"""The audit keeper: it seals entries, removes old ones, and finishes broken-off removals."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from serve_app.audit_keeper import AuditKeeper
from serve_app.settings import read_settings
from storage.mongo.connection import Document, read_clock
from tests.support.fakes import build_resources
from tests.support.samples import make_model, make_rebalance

NOBODY: Any = None

pytestmark = pytest.mark.mongo


def keeper(database: AsyncDatabase[Document], **settings: object) -> AuditKeeper:
    return AuditKeeper(read_settings(settings), build_resources(database, NOBODY))


async def entries_after_tidying(
    database: AsyncDatabase[Document], days: int, caplog: pytest.LogCaptureFixture
) -> list[int]:
    """Store three models, of which two are ten days old in the log; tidy and list what is left."""
    models = build_resources(database, NOBODY).models
    for number in range(3):
        await models.add(make_model(f"Model {number}"))
    caretaker = keeper(database, audit_retention_days=days)
    await caretaker.seal()
    old = {"$set": {"sealed_at": await read_clock(database) - timedelta(days=10)}}
    await database["audit"].update_many({"_id": {"$lte": 2}}, old)
    with caplog.at_level(logging.INFO, "serve_app.audit_keeper"):
        await caretaker.tidy()
        await caretaker.tidy()
    return sorted(await database["audit"].distinct("_id"))


@pytest.mark.parametrize(("days", "left"), [(0, [1, 2, 3]), (30, [1, 2, 3]), (5, [3, 4])])
async def test_entries_are_removed_after_their_days_alone(
    database: AsyncDatabase[Document],
    caplog: pytest.LogCaptureFixture,
    days: int,
    left: list[int],
) -> None:
    assert await entries_after_tidying(database, days, caplog) == left
    last = await database["audit"].find_one({"_id": left[-1]})
    assert last is not None
    noted = [record.getMessage() for record in caplog.records]
    assert noted == [f"audit log: entry {left[-1]} has the hash {last['hash']}"]


async def test_a_removal_of_a_rebalance_that_broke_off_is_finished(
    database: AsyncDatabase[Document],
) -> None:
    rebalances = build_resources(database, NOBODY).rebalances
    broken, under_way, other = [await rebalances.open(make_rebalance(1)) for _ in range(3)]
    now = await read_clock(database)
    for part, minutes in ((broken, 10), (under_way, 1)):
        since = {"$set": {"deleting_since": now - timedelta(minutes=minutes)}}
        await database["rebalances"].update_one({"_id": ObjectId(part.rebalance_id)}, since)

    await keeper(database).tidy()

    ids = {str(rebalance_id) for rebalance_id in await database["rebalances"].distinct("_id")}
    assert ids == {under_way.rebalance_id, other.rebalance_id}
