"""Verification of a chain that somebody changed in the database."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from storage.audit.chain import START, Fault, hash_entry
from storage.audit_log import AuditLog, encode_entry
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document
from tests.support.audit import add_ten_entries
from tests.support.samples import NOON

pytestmark = pytest.mark.mongo
Database = AsyncDatabase[Document]


def update(seq: int, change: Document) -> Callable[[Database], Awaitable[Any]]:
    return lambda database: database["audit"].update_one({"_id": seq}, {"$set": change})


def delete(*seqs: int) -> Callable[[Database], Awaitable[Any]]:
    return lambda database: database["audit"].delete_many({"_id": {"$in": seqs}})


def insert(seq: float) -> Callable[[Database], Awaitable[Any]]:
    async def inserting(database: Database) -> None:
        fifth = await database["audit"].find_one({"_id": 5})
        assert fifth is not None
        forged = {**fifth, "_id": seq, "entry_id": str(ObjectId())}
        await database["audit"].insert_one(forged, bypass_document_validation=True)

    return inserting


@pytest.mark.parametrize(
    ("tamper", "seqs", "reason"),
    [
        (update(5, {"principal": "bob"}), [5], "edited"),
        (update(5, {"diff": {"a": 1}}), [5], "edited"),
        (update(5, {"extra": 1}), [5], "edited"),
        (update(5, {"at": NOON}), [5], "edited"),
        (update(1, {"previous_hash": "1" * 64}), [1], "edited"),
        (update(10, {"principal": "bob"}), [10], "edited"),
        (delete(5), [5], "missing"),
        (delete(1), [1], "missing"),
        (delete(10), [10], "missing"),
        (delete(4, 5, 6), [4], "missing, with all up to 6"),
        (delete(*range(1, 11)), [1], "missing, with all up to 10"),
        (insert(5.5), [5.5], "inserted"),
        (insert(0), [0], "inserted"),
        (insert(11), [11, 11], "inserted"),
    ],
)
async def test_an_entry_that_is_edited_deleted_or_inserted_is_found_and_named(
    models: ModelStore,
    log: AuditLog,
    database: Database,
    tamper: Callable[[Database], Awaitable[Any]],
    seqs: list[float],
    reason: str,
) -> None:
    await add_ten_entries(models, log)

    await tamper(database)

    faults = await log.verify()
    assert [fault.seq for fault in faults] == seqs
    assert all(isinstance(fault, Fault) for fault in faults)
    assert reason in str(faults[-1])


async def test_an_entry_that_is_edited_together_with_its_hash_is_found_by_the_next(
    models: ModelStore, log: AuditLog, database: Database
) -> None:
    await add_ten_entries(models, log)
    await rehash_from(database, 5, last=5)

    (fault,) = await log.verify()

    assert str(fault).startswith("entry 5 (")
    assert "entry 6 was sealed after an entry of another hash" in fault.reason


async def rehash_from(database: Database, seq: int, last: int) -> None:
    """Change an entry, and let the hashes from it up to the last one agree again."""
    entry = await database["audit"].find_one({"_id": seq})
    assert entry is not None
    entry["principal"] = "bob"
    for at in range(seq, last + 1):
        entry["hash"] = hash_entry(encode_entry(entry))
        await database["audit"].replace_one({"_id": at}, entry)
        following = await database["audit"].find_one({"_id": at + 1})
        if following is not None:
            following["previous_hash"] = entry["hash"]
            entry = following


async def test_a_chain_that_was_written_anew_is_found_by_a_hash_that_was_noted(
    models: ModelStore, log: AuditLog, database: Database
) -> None:
    await add_ten_entries(models, log)
    noted = (await log.read_head()).last
    await rehash_from(database, 5, last=10)
    last = await database["audit"].find_one({"_id": 10})
    assert last is not None
    await database["audit_heads"].update_one({}, {"$set": {"hash": last["hash"]}})

    assert await log.verify() == ()
    assert [fault.seq for fault in await log.verify([noted])] == [10]


async def test_an_empty_log_is_whole(log: AuditLog) -> None:
    assert await log.seal() == 0
    assert await log.verify() == ()
    assert (await log.read_head()).last == START
