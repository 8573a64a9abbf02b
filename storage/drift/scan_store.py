"""DriftScanStore: the drift scans of one database; the holder of a scan's lease works on it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from optimization import BandStatus, Refusal
from storage.drift.scan import DriftScan, ScanStatus, decode_scan, encode_counts, encode_scan
from storage.errors import LeaseLostError, NotFoundError
from storage.mongo.connection import (
    Document,
    require_object_id,
    run_transaction,
    translate_failures,
)
from storage.mongo.leases import Leases, build_holder_filter
from storage.rebalances.outcomes import encode_refusal

COLLECTION: Final = "drift_scans"
ENTITY: Final = "drift scan"
RUNNING: Final = {"status": ScanStatus.RUNNING.value}


class DriftScanStore:
    """The drift scans of one database; at most one scan is RUNNING."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._scans = database[COLLECTION]
        self._leases = Leases(self._scans)

    @translate_failures
    async def add(self, scan: DriftScan, token: str, lease_s: float) -> tuple[DriftScan, bool]:
        """Store a scan whose lease the caller holds; return the scan and True.

        If the scan is stored already, or another scan is RUNNING, return the stored scan and False.
        """
        document = encode_scan(scan)

        async def insert(session: AsyncClientSession) -> None:
            await self._scans.insert_one(document, session=session)
            # In the transaction, because no other process may see the scan without a lease.
            await self._leases.acquire(document["_id"], token, lease_s, session=session)

        try:
            await run_transaction(self._scans.database, insert)
        except DuplicateKeyError:
            return await self._find_instead(scan), False
        return scan, True

    async def _find_instead(self, scan: DriftScan) -> DriftScan:
        either = {"$or": [{"_id": ObjectId(scan.scan_id)}, RUNNING]}
        document = await self._scans.find_one(either, sort=[("_id", -1)])
        # Otherwise the newest scan is returned, because the RUNNING scan may have ended meanwhile.
        document = document or await self._scans.find_one({}, sort=[("_id", -1)])
        if document is None:
            raise NotFoundError(ENTITY, scan.scan_id)
        return decode_scan(document)

    @translate_failures
    async def read(self, scan_id: str) -> DriftScan:
        """Return the scan with this id."""
        document = await self._scans.find_one({"_id": require_object_id("scan_id", scan_id)})
        if document is None:
            raise NotFoundError(ENTITY, scan_id)
        return decode_scan(document)

    @translate_failures
    async def read_page(
        self, offset: int, limit: int, statuses: Collection[ScanStatus] = ()
    ) -> tuple[tuple[DriftScan, ...], int]:
        """Return a page of scans in these states, or of all, the newest first, and their number."""
        query: Document = {}
        if statuses:
            query["status"] = {"$in": sorted(status.value for status in statuses)}
        total = await self._scans.count_documents(query)
        cursor = self._scans.find(query, sort=[("_id", -1)], skip=offset, limit=limit)
        return tuple([decode_scan(document) async for document in cursor]), total

    @translate_failures
    async def claim(self, token: str, lease_s: float) -> DriftScan | None:
        """Take over the scan that is RUNNING if its lease is free."""
        document = await self._leases.acquire_first(RUNNING, token, lease_s, {"_id": 1})
        if document is None:
            return None
        restart = {"$inc": {"takeovers": 1}, "$set": {"counts": {}}}
        scan = await self._scans.find_one_and_update(
            build_holder_filter(document["_id"], token),
            restart,
            return_document=ReturnDocument.AFTER,
        )
        return None if scan is None else decode_scan(scan)

    @translate_failures
    async def renew(self, scan_id: str, token: str, lease_s: float) -> None:
        """Renew the lease; LeaseLostError if another process may work on the scan."""
        if await self._leases.renew(ObjectId(scan_id), token, lease_s) is None:
            raise LeaseLostError(scan_id)

    @translate_failures
    async def store_number(self, scan_id: str, token: str, portfolios: int) -> None:
        """Store the number of portfolios in the book."""
        await self._write(scan_id, token, {"$set": {"number_of_portfolios": portfolios}})

    @translate_failures
    async def store_progress(
        self, scan_id: str, token: str, counts: Mapping[BandStatus, int]
    ) -> None:
        """Store the number of measured portfolios, by status."""
        await self._write(scan_id, token, {"$set": {"counts": encode_counts(counts)}})

    @translate_failures
    async def end(
        self,
        scan_id: str,
        token: str,
        finished_at: datetime,
        counts: Mapping[BandStatus, int],
        problem: Refusal | None = None,
    ) -> None:
        """End a scan, STOPPED if there is a problem, and release its lease."""
        status = ScanStatus.COMPLETED if problem is None else ScanStatus.STOPPED
        fields: Document = {
            "status": status.value,
            "finished_at": finished_at,
            "counts": encode_counts(counts),
            "problem": None if problem is None else encode_refusal(problem),
        }
        if status is ScanStatus.COMPLETED:  # because the book may have changed since it was counted
            fields["number_of_portfolios"] = sum(counts.values())
        await self._write(scan_id, token, {"$set": fields, "$unset": {"lease": ""}})

    @translate_failures
    async def list_older(self, max_scans: int) -> tuple[str, ...]:
        """Return the ids of finished scans, except the ``max_scans`` newest."""
        over = {"status": {"$ne": ScanStatus.RUNNING.value}}
        cursor = self._scans.find(over, {"_id": 1}, sort=[("_id", -1)], skip=max_scans, limit=100)
        return tuple([str(document["_id"]) async for document in cursor])

    @translate_failures
    async def forget(self, scan_id: str) -> None:
        """Remove a finished scan."""
        over = {"$ne": ScanStatus.RUNNING.value}
        await self._scans.delete_one({"_id": ObjectId(scan_id), "status": over})

    async def _write(self, scan_id: str, token: str, change: Document) -> None:
        result = await self._scans.update_one(build_holder_filter(ObjectId(scan_id), token), change)
        if result.matched_count == 0:
            raise LeaseLostError(scan_id)
