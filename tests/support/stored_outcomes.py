"""Outcomes of a rebalance, read from the database without our stores."""

from typing import Any

from bson import ObjectId
from pymongo.database import Database

Json = dict[str, Any]


def read_stored_statuses(database: Database[Json], rebalance_id: str) -> list[tuple[str, str]]:
    """Read each portfolio with its status, in order, from column blocks and single documents."""
    of_rebalance = {"_id": {"$regex": f"^{rebalance_id}:"}}
    fields = {"portfolio_id": 1, "status": 1}
    statuses = [
        (row["_id"], row["portfolio_id"], row["status"])
        for row in database["outcomes"].find(of_rebalance, fields)
    ]
    for chunk in database["outcome_chunks"].find({"rebalance_id": ObjectId(rebalance_id)}):
        first, names = int(chunk["_id"][25:]), chunk["status"]["values"]
        places = memoryview(chunk["status"]["data"]).cast("b")
        ids = chunk["ids"] or [None] * len(places)  # none of portfolios that all are beside
        for at, (portfolio_id, place) in enumerate(zip(ids, places, strict=True), first):
            if place >= 0:
                statuses.append((f"{rebalance_id}:{at:07}", portfolio_id, names[place]))
    assert len({document_id for document_id, _, _ in statuses}) == len(statuses), "twice"
    return [(portfolio_id, status) for _, portfolio_id, status in sorted(statuses)]


def read_rebalance_ids(database: Database[Json]) -> set[str]:
    """Read the ids of all rebalances that have outcomes."""
    names = "outcomes", "outcome_chunks"
    return {row["_id"][:24] for name in names for row in database[name].find({}, {"_id": 1})}
