"""Sealing of records into the chain, reading the chain, and cutting off its beginning."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from storage.audit.author import Author
from storage.audit.chain import Link
from storage.audit_log import AuditFilter, AuditLog
from storage.audit_outboxes import Outboxes, WaitingRecords
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document, read_clock
from storage.rebalances.rebalance import RebalanceStatus
from storage.rebalances.rebalance_store import RebalanceStore
from storage.runs.run_store import RunStore
from tests.support.audit import EVERYTHING, RUN_ID, add_ten_entries, new_run, seal_and_list
from tests.support.samples import NOON, make_model, make_outcomes, make_rebalance

pytestmark = pytest.mark.mongo
Database = AsyncDatabase[Document]


class DyingBefore(Outboxes):
    """Outboxes whose sealer dies when it has read the records."""

    async def find_waiting(self, limit: int) -> list[WaitingRecords]:
        await super().find_waiting(limit)
        raise asyncio.CancelledError


class DyingAfter(Outboxes):
    """Outboxes whose sealer dies when the records are in the chain."""

    async def clear(self, places: Sequence[WaitingRecords]) -> None:
        raise asyncio.CancelledError(places)


class ChangedMeanwhile(Outboxes):
    """Outboxes with a change between the sealing and the clearing, at the first sealing only."""

    def __init__(self, database: Database, change: Callable[[], Awaitable[object]]) -> None:
        super().__init__(database)
        self._changes = [change]

    async def clear(self, places: Sequence[WaitingRecords]) -> None:
        while self._changes:
            await self._changes.pop()()
        await super().clear(places)


@pytest.mark.parametrize("outboxes", [DyingBefore, DyingAfter])
async def test_a_sealer_that_dies_before_or_after_the_chain_loses_and_repeats_nothing(
    models: ModelStore,
    rebalances: RebalanceStore,
    database: Database,
    outboxes: type[Outboxes],
) -> None:
    whole = replace(make_rebalance(1), status=RebalanceStatus.COMPLETED, finished_at=NOON)
    await rebalances.store(whole, make_outcomes(whole))
    await models.add(make_model())
    with pytest.raises(asyncio.CancelledError):
        await AuditLog(database, outboxes(database)).seal()

    entries = await seal_and_list(AuditLog(database))

    assert sorted(entry["action"] for entry in entries) == ["model.create", "rebalance.store"]
    assert await database["audit_pending"].count_documents({}) == 0
    assert await database["rebalances"].count_documents({"pending_entries": {"$ne": None}}) == 0


async def test_a_record_that_is_added_while_another_is_sealed_is_not_lost(
    runs: RunStore, database: Database
) -> None:
    await runs.add(new_run(), "token", 60)
    log = AuditLog(database, ChangedMeanwhile(database, lambda: runs.cancel(RUN_ID)))
    await log.seal()

    assert [entry["action"] for entry in await seal_and_list(log)] == ["run.begin", "run.cancel"]


async def test_records_that_come_one_by_one_meanwhile_are_sealed_together_the_next_time(
    models: ModelStore, database: Database
) -> None:
    await models.add(make_model("Model 0"))

    async def add_two() -> None:
        for number in range(2):
            await models.add(make_model(f"Meanwhile {number}"))

    log = AuditLog(database, ChangedMeanwhile(database, add_two))

    assert await log.seal() == 1
    assert await log.seal() == 2


async def test_many_sealers_at_once_make_one_chain(models: ModelStore, database: Database) -> None:
    sealers = [AuditLog(database) for _ in range(4)]

    async def change(number: int) -> None:
        await models.add(make_model(f"Model {number}"))
        await asyncio.gather(*(sealer.seal(batch_size=3) for sealer in sealers))

    await asyncio.gather(*map(change, range(12)))

    entries = await seal_and_list(sealers[0])
    assert [entry["seq"] for entry in entries] == list(range(1, 13))


async def test_the_log_is_cut_behind_an_entry_that_keeps_the_hash(
    models: ModelStore, log: AuditLog, database: Database
) -> None:
    await add_ten_entries(models, log)
    seventh = await database["audit"].find_one({"_id": 7})
    assert seventh is not None
    old = {"$set": {"sealed_at": NOON}}
    await database["audit"].update_many({"_id": {"$lte": 7}}, old)
    assert await log.cut(NOON) == 0

    assert await log.cut(NOON + timedelta(days=1)) == 7

    assert (await log.read_head()).cut == Link(7, seventh["hash"])
    entries = await seal_and_list(log)
    assert [entry["seq"] for entry in entries] == [8, 9, 10, 11]
    assert entries[-1]["diff"] == {"through": 7, "hash": seventh["hash"]}
    assert await log.cut(NOON + timedelta(days=1)) == 0
    await database["audit"].delete_one({"_id": 8})
    assert [fault.seq for fault in await log.verify()] == [8]
    await database["audit"].delete_one({"_id": 11})
    assert await log.verify() != ()


async def test_a_cut_that_broke_off_is_verified_and_finished(
    models: ModelStore, log: AuditLog, database: Database
) -> None:
    await add_ten_entries(models, log)
    await database["audit"].update_many({"_id": {"$lte": 7}}, {"$set": {"sealed_at": NOON}})
    kept = await database["audit"].find({"_id": {"$lte": 7}}).to_list()
    await log.cut(NOON + timedelta(days=1))
    await database["audit"].insert_many(kept[2:5])

    assert await log.verify() == ()
    assert await log.cut(NOON + timedelta(days=1)) == 3
    assert (await log.read_head()).last.seq == 11


async def test_entries_are_filtered_and_listed_page_by_page(
    models: ModelStore, log: AuditLog, database: Database
) -> None:
    first = await models.add(make_model())
    other = ModelStore(database, find_author=lambda: Author("bob"))
    await other.replace(first)
    await other.add(make_model("Income"))
    await log.seal()
    model_id = str(first.model_id)

    async def found(**wanted: Any) -> list[str]:
        entries, total = await log.read_page(AuditFilter(**wanted), 0, 10)
        assert total == len(entries)
        return [entry["action"] for entry in entries]

    assert await found(object_id=model_id) == ["model.edit", "model.create"]
    assert await found(principal="anna") == ["model.create"]
    assert await found(action="model.create", principal="bob") == ["model.create"]
    assert await found(object_type="run") == []
    assert await found(since=await read_clock(database) + timedelta(minutes=1)) == []
    page, total = await log.read_page(EVERYTHING, 1, 1)
    assert ([entry["seq"] for entry in page], total) == ([2], 3)
    beyond = await log.list_beyond(EVERYTHING, 1, 10)
    assert [entry["seq"] for entry in beyond] == [2, 3]
