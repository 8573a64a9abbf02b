"""Queries for the newest model of each portfolio, over the portfolios of many models."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from pymongo import timeout
from pymongo.asynchronous.collection import AsyncCollection

from storage.mongo.connection import WRITER_TIMEOUT_S, Document, require_object_id
from storage.mongo.sorting import DESCENDING

NEWEST_MODEL: Final = (("created_at", DESCENDING), ("_id", DESCENDING))


def build_ids_filter(model_ids: Sequence[str]) -> Document:
    """Match the models with these ids, or all models if there are no ids."""
    ids = [require_object_id("model_id", model_id) for model_id in model_ids]
    return {"_id": {"$in": ids}} if ids else {}


async def group_newest(
    models: AsyncCollection[Document],
    models_query: Document,
    portfolios_query: Document,
    count_query: Document,
) -> dict[str, str]:
    """Return the newest of some models by portfolio.

    ``count_query`` selects portfolios by the number of these models that they follow.
    """
    pipeline: list[Document] = [
        {"$match": models_query | portfolios_query},
        {"$project": {"portfolios": 1, "created_at": 1}},
        {"$sort": dict(NEWEST_MODEL)},
        {"$unwind": "$portfolios"},
        {"$match": portfolios_query},
        {"$group": {"_id": "$portfolios", "model": {"$first": "$_id"}, "models": {"$sum": 1}}},
        {"$match": count_query},
    ]
    with timeout(WRITER_TIMEOUT_S):
        groups = await models.aggregate(pipeline, allowDiskUse=True)
        return {group["_id"]: str(group["model"]) async for group in groups}


async def may_share_portfolios(models: AsyncCollection[Document], query: Document) -> bool:
    """Whether a portfolio may follow two of the models, which is rare.

    Hashes of 8 bytes are compared, because the database takes longer to group all portfolios than a
    run over a file takes to rebalance them. A collision of hashes costs only time.
    """
    keys = await models.find(query, {"_id": 1}).to_list()
    hashes = [np.zeros(0, np.int64)]
    for key in keys:
        # Models are read one at a time, because all of them take longer than a query may.
        with timeout(WRITER_TIMEOUT_S):
            model = await models.find_one(key, {"portfolios": 1})
        if model is not None:  # because the model may be deleted meanwhile
            hashes.append(np.fromiter(map(hash, model["portfolios"]), np.int64))
    values = np.concatenate(hashes)
    values.sort()
    return bool(np.any(values[1:] == values[:-1]))
