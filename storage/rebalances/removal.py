"""Removal of rebalances with their outcomes; the audit log has its entry even after a crash.

The document is marked first, in the same write as the record of the removal. The outcomes are
removed next and the document last, because otherwise a crash would leave outcomes without a
rebalance. A removal that a crash interrupted is finished later.
"""

from datetime import datetime
from typing import Final

from bson import ObjectId
from pymongo import timeout
from pymongo.asynchronous.collection import AsyncCollection

from storage.audit.trail import Action, AuditTrail, build_update_fields
from storage.mongo.connection import WRITER_TIMEOUT_S, Document
from storage.proposals.proposal_store import remove_proposals
from storage.rebalances.outcome_columns import COLLECTION as OUTCOME_CHUNKS
from storage.rebalances.outcomes import COLLECTION as OUTCOMES
from storage.rebalances.outcomes import build_id_range
from storage.rebalances.rebalance import RebalanceStatus

MARK: Final = "deleting_since"


class RebalanceRemoval:
    """Removes rebalances from their collection."""

    def __init__(self, rebalances: AsyncCollection[Document], trail: AuditTrail) -> None:
        self._rebalances = rebalances
        self._outcomes = rebalances.database[OUTCOMES]
        self._chunks = rebalances.database[OUTCOME_CHUNKS]
        self._trail = trail

    async def remove(self, rebalance_id: str, version: int) -> bool:
        """Remove a rebalance of this version; False if no such rebalance is stored."""
        key: Document = {"_id": ObjectId(rebalance_id), "version": version}
        record = self._trail.record(Action.REBALANCE_DELETED, rebalance_id, version)
        mark = {MARK: "$$NOW", **build_update_fields(record)}
        result = await self._rebalances.update_one({**key, MARK: None}, [{"$set": mark}])
        if not result.matched_count and not await self._rebalances.find_one(key, {"_id": 1}):
            return False
        return await self._finish(rebalance_id)

    async def remove_parts(self, run_id: str) -> None:
        """Remove the rebalances of a run; an unfinished rebalance has no record to keep."""
        parts = {"run_id": ObjectId(run_id)}
        async for part in self._rebalances.find(parts, {"status": 1, "version": 1}):
            if part["status"] == RebalanceStatus.RUNNING.value:
                await self.delete_outcomes(str(part["_id"]))
            else:
                await self.remove(str(part["_id"]), part["version"])
        with timeout(WRITER_TIMEOUT_S):
            await self._rebalances.delete_many({**parts, "status": RebalanceStatus.RUNNING.value})

    async def finish(self, before: datetime) -> None:
        """Finish the interrupted removals that began before a moment."""
        async for document in self._rebalances.find({MARK: {"$lt": before}}, {"_id": 1}):
            await self._finish(str(document["_id"]))

    async def _finish(self, rebalance_id: str) -> bool:
        await self.delete_outcomes(rebalance_id)
        await remove_proposals(self._rebalances.database, self._trail, rebalance_id)
        return await self._trail.remove(self._rebalances, {"_id": ObjectId(rebalance_id)})

    async def delete_outcomes(self, rebalance_id: str) -> None:
        """Remove the outcomes of a rebalance, the columns last.

        Documents without columns would otherwise look like documents of an earlier release.
        """
        with timeout(WRITER_TIMEOUT_S):
            await self._outcomes.delete_many({"_id": build_id_range(rebalance_id)})
        with timeout(WRITER_TIMEOUT_S):
            await self._chunks.delete_many({"rebalance_id": ObjectId(rebalance_id)})
