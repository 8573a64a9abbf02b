"""Sums over the outcomes of a rebalance, computed by the database."""

from collections import Counter

from bson import ObjectId
from pymongo import timeout
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from optimization import Status
from storage.mongo.connection import WRITER_TIMEOUT_S, Document
from storage.rebalances.outcome_columns import COLLECTION as OUTCOME_CHUNKS
from storage.rebalances.outcomes import COLLECTION as OUTCOMES
from storage.rebalances.outcomes import build_id_range
from storage.rebalances.rebalance import COLLECTION as REBALANCES
from storage.rebalances.rebalance import OUTCOME


async def count_by_status(database: AsyncDatabase[Document], rebalance_id: str) -> Counter[Status]:
    """Count the stored outcomes of a rebalance by status."""
    in_columns = {status.value: {"$sum": f"$counts.{status.value}"} for status in Status}
    sums = await _sum_columns(database, rebalance_id, in_columns)
    counts = Counter({status: sums.get(status.value, 0) for status in Status})
    return counts + await count_documents(database[OUTCOMES], build_id_range(rebalance_id))


async def count_documents(
    outcomes: AsyncCollection[Document], document_ids: Document
) -> Counter[Status]:
    """Count the documents with these ids by status."""
    with_ids = {"$match": {"_id": document_ids}}
    by_status = {"$group": {"_id": "$status", "count": {"$sum": 1}}}
    with timeout(WRITER_TIMEOUT_S):
        groups = await outcomes.aggregate([with_ids, by_status])
        return Counter({Status(group["_id"]): group["count"] async for group in groups})


async def count_transactions(database: AsyncDatabase[Document], rebalance_id: str) -> int:
    """Count the transactions of all portfolios of a rebalance."""
    pairs = {"$zip": {"inputs": ["$before", "$after"]}}
    is_traded = {"$ne": [{"$arrayElemAt": ["$$pair", 0]}, {"$arrayElemAt": ["$$pair", 1]}]}
    trades = {"$filter": {"input": pairs, "as": "pair", "cond": is_traded}}
    of_rebalance = {"$match": {"_id": build_id_range(rebalance_id)}}
    # The arrays are compared if there is no number, because earlier releases stored none.
    number = {"$ifNull": ["$transactions", {"$size": trades}]}
    total = {"$group": {"_id": None, "count": {"$sum": number}}}
    with timeout(WRITER_TIMEOUT_S):
        groups = await database[OUTCOMES].aggregate([of_rebalance, total])
        in_documents = sum([group["count"] async for group in groups])
    sums = await _sum_columns(database, rebalance_id, {"count": {"$sum": "$transactions"}})
    within = await database[REBALANCES].find_one(
        {"_id": ObjectId(rebalance_id)}, {f"{OUTCOME}.transactions": 1}
    )
    in_rebalance = (within or {}).get(OUTCOME, {}).get("transactions", 0)
    return in_rebalance + in_documents + sums.get("count", 0)


async def _sum_columns(
    database: AsyncDatabase[Document], rebalance_id: str, sums: Document
) -> Document:
    # The sums are over fields of the index, because a large rebalance has gigabytes of documents.
    of_rebalance = {"$match": {"rebalance_id": ObjectId(rebalance_id)}}
    with timeout(WRITER_TIMEOUT_S):
        groups = await database[OUTCOME_CHUNKS].aggregate(
            [of_rebalance, {"$group": {"_id": None, **sums}}]
        )
        documents = await groups.to_list()
    return documents[0] if documents else {}
