"""Outboxes of the audit log: the documents in which records wait to be sealed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pymongo import ASCENDING, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from storage.access import api_key_store
from storage.audit import trail as audit_trail
from storage.audit.trail import IS_PENDING, OWN_TIMES, PENDING, STORED_AT, read_pending
from storage.mongo.connection import Document
from storage.orders import submission_store
from storage.proposals import proposal_store
from storage.rebalances import rebalance
from storage.rules import rule_store
from storage.runs import run_store

OUTBOXES: Final = (
    rebalance.COLLECTION,
    run_store.COLLECTION,
    submission_store.COLLECTION,
    api_key_store.COLLECTION,
    proposal_store.COLLECTION,
    rule_store.COLLECTION,
)
"""Collections whose documents hold the records of their own changes."""


@dataclass(frozen=True, slots=True)
class WaitingRecords:
    """Records that wait in one document of a collection."""

    collection: str
    key: object
    records: Sequence[Document]


class Outboxes:
    """The outboxes of one database: ``audit_pending``, and the documents that changed."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._database = database

    async def find_waiting(self, limit: int) -> list[WaitingRecords]:
        """Find records, the oldest of each collection first."""
        name = audit_trail.COLLECTION
        records = self._database[name].find(sort=[("_id", ASCENDING)], limit=limit)
        places = [WaitingRecords(name, record.pop("_id"), [record]) async for record in records]
        fields = dict.fromkeys((PENDING, STORED_AT, *OWN_TIMES), 1)
        oldest = [(f"{PENDING}.entry_id", ASCENDING)]
        for name in OUTBOXES:
            if len(places) < limit:
                room = limit - len(places)
                documents = self._database[name].find(IS_PENDING, fields, sort=oldest, limit=room)
                places += [
                    WaitingRecords(name, document["_id"], read_pending(document))
                    async for document in documents
                ]
        return places

    async def clear(self, places: Sequence[WaitingRecords]) -> None:
        """Remove sealed records from their documents, unless more were added meanwhile."""
        for name in OUTBOXES:
            changes = [_build_clear_update(place) for place in places if place.collection == name]
            if changes:
                await self._database[name].bulk_write(changes, ordered=False)


def _build_clear_update(place: WaitingRecords) -> UpdateOne:
    # The first record and the number show that none was added, because records are only appended.
    first, number = place.records[0]["entry_id"], len(place.records)
    same = {"_id": place.key, f"{PENDING}.0.entry_id": first, PENDING: {"$size": number}}
    return UpdateOne(same, {"$unset": {PENDING: ""}})
