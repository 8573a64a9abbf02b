"""The newest outcomes of portfolios, wherever the outcomes are stored.

Two requests are enough however long the history is: the newest entry of each portfolio is the last
entry in an index, and the rebalances of these entries are read without prices and options.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from optimization import BESIDE, STATUSES, Status
from storage.mongo.connection import Document
from storage.rebalances.outcome_columns import COLLECTION as OUTCOME_CHUNKS
from storage.rebalances.outcome_columns import decode_statuses
from storage.rebalances.outcomes import COLLECTION as OUTCOMES
from storage.rebalances.rebalance import COLLECTION as REBALANCES
from storage.rebalances.rebalance import OUTCOME

ID_DIGITS: Final = 24  # the id of an outcome begins with the id of its rebalance
FIELDS: Final = {"run_id": 1, "model_id": 1, "model_name": 1, "model_version": 1, "started_at": 1}


@dataclass(frozen=True, slots=True)
class LastOutcome:
    """Status of a portfolio in the newest rebalance that has its outcome."""

    portfolio_id: str
    status: Status
    rebalance_id: str
    run_id: str | None
    model_id: str
    model_name: str
    model_version: int
    started_at: datetime


async def list_last_outcomes(
    database: AsyncDatabase[Document], portfolio_ids: Sequence[str]
) -> tuple[LastOutcome, ...]:
    """Return the newest outcome of each portfolio that has one, in the order of the ids.

    The newest rebalance has the highest id, because an id begins with its time.
    """
    keys = [{"_id": portfolio_id} for portfolio_id in dict.fromkeys(portfolio_ids)]
    entries = await database.aggregate([{"$documents": keys}, *_LOOK_UPS])
    newest = {
        entry["_id"]: max(candidates)
        async for entry in entries
        if (candidates := [*_iterate_candidates(entry)])
    }
    query = {"_id": {"$in": [ObjectId(rebalance_id) for rebalance_id, _ in newest.values()]}}
    rebalances = {
        str(document["_id"]): document
        async for document in database[REBALANCES].find(query, FIELDS)
    }
    return tuple(
        _make_last_outcome(portfolio_id, status, rebalances[rebalance_id])
        for portfolio_id in dict.fromkeys(portfolio_ids)
        for rebalance_id, status in [newest.get(portfolio_id, ("", ""))]
        if rebalance_id in rebalances  # otherwise it is being removed
    )


def _look_up(collection: str, field: str, by: str, fields: Document) -> Document:
    """Look up the last entry of each portfolio in an index on ``field`` and ``by``."""
    last: list[Document] = [{"$sort": {by: -1}}, {"$limit": 1}, {"$project": fields}]
    return {
        "$lookup": {
            "from": collection,
            "localField": "_id",
            "foreignField": field,
            "let": {"portfolio_id": "$_id"},
            "pipeline": last,
            "as": collection,
        }
    }


_LOOK_UPS: Final[tuple[Document, ...]] = (
    _look_up(OUTCOMES, "portfolio_id", "_id", {"status": 1}),
    _look_up(REBALANCES, f"{OUTCOME}.portfolio_id", "_id", {"status": f"${OUTCOME}.status"}),
    _look_up(
        OUTCOME_CHUNKS,
        "ids",
        "rebalance_id",
        {"rebalance_id": 1, "status": 1, "row": {"$indexOfArray": ["$ids", "$$portfolio_id"]}},
    ),
)


def _iterate_candidates(entry: Document) -> Iterator[tuple[str, str]]:
    """Yield rebalance id and status from each collection that has the portfolio."""
    for document in (*entry[OUTCOMES], *entry[REBALANCES]):
        yield str(document["_id"])[:ID_DIGITS], document["status"]
    for document in entry[OUTCOME_CHUNKS]:
        status = decode_statuses(document)[document["row"]]
        if status != BESIDE:  # otherwise the outcome is a document of its own
            yield str(document["rebalance_id"]), STATUSES[status].value


def _make_last_outcome(portfolio_id: str, status: str, rebalance: Document) -> LastOutcome:
    run_id = rebalance.get("run_id")
    return LastOutcome(
        portfolio_id=portfolio_id,
        status=Status(status),
        rebalance_id=str(rebalance["_id"]),
        run_id=None if run_id is None else str(run_id),
        model_id=str(rebalance["model_id"]),
        model_name=rebalance["model_name"],
        model_version=rebalance["model_version"],
        started_at=rebalance["started_at"],
    )
