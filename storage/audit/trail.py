"""Records of changes, written in the same step as the change; the audit log seals them later.

A change in a transaction adds a record to the collection ``audit_pending``. A change of a single
document puts the record into the document, in the field ``pending_entries``: both are stored or
neither is, without a transaction. No change waits for the chain, which only ``AuditLog`` writes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from bson import ObjectId, Timestamp
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from storage.audit.author import FindAuthor, find_no_author
from storage.instants import format_instant
from storage.mongo.connection import Document, read_clock, run_transaction

COLLECTION: Final = "audit_pending"
PENDING: Final = "pending_entries"
STORED_AT: Final = "stored_at"
OWN_TIMES: Final = ("finished_at", "created_at", "started_at", "proposed_at")
IS_PENDING: Final = {f"{PENDING}.entry_id": {"$exists": True}}
"""Filter for documents with records that are not sealed yet."""


class Action(StrEnum):
    """Kind of a change."""

    MODEL_CREATED = "model.create"
    MODEL_EDITED = "model.edit"
    MODEL_DELETED = "model.delete"
    REBALANCE_STORED = "rebalance.store"
    REBALANCE_DELETED = "rebalance.delete"
    RUN_BEGUN = "run.begin"
    RUN_CANCELLED = "run.cancel"
    RUN_DISCARDED = "run.discard"
    RUN_ENDED = "run.end"
    RUN_DELETED = "run.delete"
    ORDERS_SENT = "orders.send"
    ORDERS_CANCELLED = "orders.cancel"
    PROPOSAL_CREATED = "proposal.create"
    PROPOSAL_APPROVED = "proposal.approve"
    PROPOSAL_REJECTED = "proposal.reject"
    PROPOSAL_WITHDRAWN = "proposal.withdraw"
    PROPOSAL_HELD = "proposal.hold"
    PROPOSAL_RELEASED = "proposal.release"
    PROPOSAL_STALE = "proposal.stale"
    PROPOSAL_ORDERED = "proposal.order"
    PROPOSAL_OVERRIDDEN = "proposal.override"
    RULE_CREATED = "rule.create"
    RULE_EDITED = "rule.edit"
    RULE_DELETED = "rule.delete"
    RIGHT_REFUSED = "right.refuse"
    SIGNED_IN = "session.begin"
    SIGNED_OUT = "session.end"
    SIGN_IN_REFUSED = "session.refuse"
    KEY_CREATED = "key.create"
    KEY_ROTATED = "key.rotate"
    KEY_REVOKED = "key.revoke"
    AUDIT_CUT = "audit.cut"


class AuditTrail:
    """Makes and stores the records of changes."""

    def __init__(
        self, database: AsyncDatabase[Document], find_author: FindAuthor = find_no_author
    ) -> None:
        self._pending = database[COLLECTION]
        self._find_author = find_author

    def record(
        self,
        action: str,
        object_id: str,
        version: int | None = None,
        *,
        diff: Mapping[str, Any] | None = None,
        before_hash: str | None = None,
        after_hash: str | None = None,
        outcome: str = "DONE",
    ) -> Document:
        """Make the record of a change, with the author of the current call.

        The type of the object is the first part of the action.
        """
        author = self._find_author()
        return {
            "entry_id": str(ObjectId()),
            "principal": author.principal,
            "on_behalf_of": author.on_behalf_of,
            "action": action,
            "object_type": action.partition(".")[0],
            "object_id": object_id,
            "version": version,
            "before_hash": before_hash,
            "after_hash": after_hash,
            "diff": None if diff is None else to_plain(diff),
            "outcome": outcome,
            "correlation_id": author.correlation_id,
        }

    async def append(
        self, session: AsyncClientSession, at: datetime, *records: Mapping[str, Any]
    ) -> None:
        """Store records in a transaction; ``at`` is the time by the clock of the database."""
        documents = [{"at": at, **record, "_id": record["entry_id"]} for record in records]
        await self._pending.insert_many(documents, session=session)

    async def add(self, record: Document) -> None:
        """Store a record of an event that changes no other document."""
        at = await read_clock(self._pending.database)
        await self._pending.insert_one({"at": at, **record, "_id": record["entry_id"]})

    async def remove(
        self, collection: AsyncCollection[Document], key: Document, record: Document | None = None
    ) -> bool:
        """Delete a document and keep its records, together with the record of the deletion.

        Returns False without a match; then nothing is recorded.
        """
        at = await read_clock(collection.database)
        documents: list[Document] = []

        async def delete(session: AsyncClientSession) -> None:
            document = await collection.find_one_and_delete(key, session=session)
            documents[:] = [] if document is None else [document]
            if document is None:
                return
            records = [*read_pending(document), *([record] if record else [])]
            if records:
                await self.append(session, at, *records)

        await run_transaction(collection.database, delete)
        return bool(documents)


def build_insert_fields(*records: Document) -> Document:
    """Build the fields of a new document that hold these records.

    The server replaces the empty timestamp by its own time.
    """
    return {PENDING: list(records), STORED_AT: Timestamp(0, 0)}


def quote_values(fields: Mapping[str, Any]) -> Document:
    """Write values as literal expressions, because an update by a pipeline evaluates values."""
    return {name: {"$literal": value} for name, value in fields.items()}


def build_update_fields(record: Document) -> Document:
    """Build the fields for an update by a pipeline that adds a record with the current time."""
    entry = {"$mergeObjects": [{"$literal": record}, {"at": "$$NOW"}]}
    return {PENDING: {"$concatArrays": [{"$ifNull": [f"${PENDING}", []]}, [entry]]}}


def read_pending(document: Document) -> list[Document]:
    """Return the records in a document, each with its time."""
    at = _find_insertion_time(document)
    return [{"at": at, **record} for record in document.get(PENDING, ())]


def _find_insertion_time(document: Document) -> datetime | None:
    """Return the time at which a document was inserted, to the second of the database's clock.

    The milliseconds are those of the service's clock if both clocks agree on the second.
    """
    own = next((document[name] for name in OWN_TIMES if document.get(name)), None)
    insertion: Timestamp | None = document.get(STORED_AT)
    if insertion is None or not insertion.time:  # because SecantusDB leaves the timestamp empty
        return own
    second = insertion.as_datetime()
    return own if own is not None and own.replace(microsecond=0) == second else second


def to_plain(value: Any) -> Any:
    """Convert stored data to JSON: numbers that are not whole, times and ids to strings."""
    if isinstance(value, Mapping):
        return {str(name): to_plain(item) for name, item in value.items()}
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Sequence | set | frozenset):
        return [to_plain(item) for item in value]
    return str(value)
