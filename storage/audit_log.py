"""Audit log in MongoDB: sealed entries, which are only ever added, and the sealing of records.

Records wait where their changes put them (``audit.trail``). Sealing gives the records the next
places in one chain. A crash in between loses no record and seals no record twice, because the id of
a record makes its entry unique. One transaction writes the entries and the head of the chain and
removes the records from ``audit_pending``; it also keeps two sealers apart.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import timeout
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from storage.audit import trail as audit_trail
from storage.audit.chain import (
    CUT,
    FIRST_PREVIOUS_HASH,
    START,
    ChainVerifier,
    Entry,
    Fault,
    Link,
    hash_entry,
    read_cut,
)
from storage.audit.trail import (
    Action,
    AuditTrail,
)
from storage.audit_outboxes import Outboxes, WaitingRecords
from storage.instants import format_instant
from storage.mongo.connection import (
    WRITER_TIMEOUT_S,
    Document,
    read_clock,
    run_transaction,
    translate_failures,
)
from storage.mongo.sorting import ASCENDING, DESCENDING

COLLECTION: Final = "audit"
HEADS: Final = "audit_heads"
HEAD: Final = "head"
BATCH_SIZE: Final = 500  # records in a transaction
TIMES: Final = ("at", "sealed_at")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Entries to list; None matches all. ``since`` is the earliest time of the change."""

    object_type: str | None = None
    object_id: str | None = None
    principal: str | None = None
    action: str | None = None
    since: datetime | None = None

    def build_query(self) -> Document:
        """Return the filter of the database."""
        fields = {
            "object_type": self.object_type,
            "object_id": self.object_id,
            "principal": self.principal,
            "action": self.action,
        }
        query: Document = {name: value for name, value in fields.items() if value is not None}
        return query if self.since is None else {**query, "at": {"$gte": self.since}}


@dataclass(frozen=True, slots=True)
class AuditHead:
    """End of the chain, and its beginning: the last entry that was removed."""

    last: Link
    sealed_at: datetime | None
    cut: Link = START


class AuditLog:
    """The audit log of one database."""

    def __init__(self, database: AsyncDatabase[Document], outboxes: Outboxes | None = None) -> None:
        self._database = database
        self._outboxes = outboxes or Outboxes(database)
        self._entries = database[COLLECTION]
        self._heads = database[HEADS]
        self._pending = database[audit_trail.COLLECTION]
        self._trail = AuditTrail(database)

    @translate_failures
    async def seal(self, batch_size: int = BATCH_SIZE) -> int:
        """Seal the waiting records; return the number of new entries."""
        number, is_full = 0, True
        with timeout(WRITER_TIMEOUT_S):
            # Only a full batch is followed by another in the same call, because otherwise records
            # that arrive one by one would take a transaction each.
            while is_full and (places := await self._outboxes.find_waiting(batch_size)):
                number += await self._seal(places)
                await self._outboxes.clear(places)
                is_full = len(places) >= batch_size
        return number

    @translate_failures
    async def read_head(self) -> AuditHead:
        """Return both ends of the chain."""
        head = await self._heads.find_one({"_id": HEAD}) or _make_head()
        newest_cut = await self._entries.find_one({"action": CUT}, sort=[("_id", DESCENDING)])
        cut = START if newest_cut is None else read_cut(newest_cut)
        return AuditHead(Link(head["seq"], head["hash"]), head.get("sealed_at"), cut)

    @translate_failures
    async def read_page(
        self, criteria: AuditFilter, offset: int, limit: int, direction: int = DESCENDING
    ) -> tuple[tuple[Entry, ...], int]:
        """Return a page of entries as JSON, by default the newest first, and their number."""
        query = criteria.build_query()
        total = await self._entries.count_documents(query)
        order = [("_id", direction)]
        cursor = self._entries.find(query, sort=order, skip=offset, limit=limit)
        return tuple([encode_entry(document) async for document in cursor]), total

    @translate_failures
    async def list_beyond(
        self, criteria: AuditFilter, seq: int | None, limit: int, direction: int = ASCENDING
    ) -> tuple[Entry, ...]:
        """Return the next entries beyond a place of the chain, in either direction."""
        query = criteria.build_query()
        if seq is not None:
            query["_id"] = {"$gt" if direction == ASCENDING else "$lt": seq}
        cursor = self._entries.find(query, sort=[("_id", direction)], limit=limit)
        return tuple([encode_entry(document) async for document in cursor])

    @translate_failures
    async def verify(self, expected: Sequence[Link] = ()) -> tuple[Fault, ...]:
        """Verify the whole chain, also against links noted earlier."""
        head = await self.read_head()
        verifier = ChainVerifier(head.cut)
        faults: list[Fault] = []
        async for entry in self._iterate_entries():
            faults += verifier.add(entry, (*expected, head.last))
        faults += verifier.end((await self.read_head()).last)
        return tuple(faults)

    @translate_failures
    async def cut(self, before: datetime) -> int:
        """Remove the entries that were sealed before a moment; return their number.

        An entry with the hash of the last one is sealed first, because otherwise the rest of the
        chain could not be verified. A repeated call finishes a removal that a crash interrupted.
        """
        old = {"sealed_at": {"$lt": before}}
        last = await self._entries.find_one(old, sort=[("sealed_at", -1), ("_id", -1)])
        if last is None:
            return 0
        link = Link(last["_id"], last["hash"])
        if (await self.read_head()).cut.seq < link.seq:
            await self._record_cut(link)
            await self.seal()
        through = min(link.seq, (await self.read_head()).cut.seq)
        with timeout(WRITER_TIMEOUT_S):
            removal = await self._entries.delete_many({"_id": {"$lte": through}})
        return removal.deleted_count

    async def _record_cut(self, link: Link) -> None:
        diff = {"through": link.seq, "hash": link.hash}
        record = self._trail.record(Action.AUDIT_CUT, "audit", diff=diff)
        at = await read_clock(self._database)
        await self._pending.insert_one({**record, "_id": record["entry_id"], "at": at})

    async def _iterate_entries(self) -> AsyncIterator[Entry]:
        async for document in self._entries.find(sort=[("_id", ASCENDING)]):
            yield encode_entry(document)

    async def _seal(self, places: Iterable[WaitingRecords]) -> int:
        """Add an entry for each of these records to the chain, unless the chain has the entry."""
        records = [record for place in places for record in place.records]
        records.sort(key=lambda record: (record["at"], record["entry_id"]))
        ids = [record["entry_id"] for record in records]
        delete = {"_id": {"$in": ids}}
        await self._ensure_head()
        now = await read_clock(self._database)
        entries: list[Document] = []

        async def seal(session: AsyncClientSession) -> None:
            # The head is written first, because two sealers must not build on the same head.
            head = await self._heads.find_one_and_update(
                {"_id": HEAD}, {"$inc": {"seals": 1}}, session=session
            )
            assert head is not None
            same = {"entry_id": {"$in": ids}}
            present = await self._entries.distinct("entry_id", same, session=session)
            new = [record for record in records if record["entry_id"] not in present]
            entries[:] = list(_chain(head, new, now))
            if entries:
                await self._entries.insert_many(entries, session=session)
                last = {name: entries[-1][name] for name in ("hash", "sealed_at")}
                change = {"$set": {**last, "seq": entries[-1]["_id"]}}
                await self._heads.update_one({"_id": HEAD}, change, session=session)
            await self._pending.delete_many(delete, session=session)

        await run_transaction(self._database, seal)
        return len(entries)

    async def _ensure_head(self) -> None:
        if await self._heads.find_one({"_id": HEAD}, {"_id": 1}) is None:
            try:
                await self._heads.insert_one(_make_head())
            except DuplicateKeyError:
                return  # because another sealer has inserted it


def encode_entry(document: Mapping[str, Any]) -> Entry:
    """Convert an entry to JSON, as it is hashed."""
    fields = {name: value for name, value in document.items() if name != "_id"}
    times = {name: format_instant(document[name]) for name in TIMES}
    return {"seq": document["_id"], **fields, **times}


def _chain(head: Document, records: Iterable[Document], now: datetime) -> Iterable[Document]:
    """Yield the entries of records after the head, each with the hash of the previous entry."""
    previous = head["hash"]
    # The time never goes back, because clocks differ and the log is cut by this time.
    sealed_at = max(now, head.get("sealed_at") or now)
    for seq, record in enumerate(records, head["seq"] + 1):
        entry = {"_id": seq, **record, "sealed_at": sealed_at, "previous_hash": previous}
        previous = hash_entry(encode_entry(entry))
        yield {**entry, "hash": previous}


def _make_head() -> Document:
    return {"_id": HEAD, "seq": 0, "hash": FIRST_PREVIOUS_HASH}
