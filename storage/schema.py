"""Indexes with the queries they serve, and validators against a broken writer."""

from collections.abc import Mapping
from typing import Any, Final

import stamina
from pymongo import IndexModel, timeout
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, OperationFailure

from optimization import Status
from storage import (
    api_key_store,
    audit_schema,
    chunk_store,
    idempotency_store,
    model_store,
    order_store,
    outcome_columns,
    outcomes,
    portfolio_claim_store,
    proposal_schema,
    rebalance,
    rebalance_removal,
    run_store,
    submission_store,
)
from storage.mongo import leases
from storage.mongo.connection import WRITER_TIMEOUT_S, Document, translate_failures
from storage.order import OrderState

NAMESPACE_NOT_FOUND: Final = 26
NAMESPACE_EXISTS: Final = 48
INDEX_BUILD_IN_PROGRESS: Final = 12587
INDEX_DIFFERS: Final = 86
DAY_S: Final = 24 * 60 * 60
FORMER_RUNS: Final = "book_runs"
FORMER_NAMES: Final[Mapping[str, str]] = {
    FORMER_RUNS: run_store.COLLECTION,
    "results": outcomes.COLLECTION,
    "hand_overs": submission_store.COLLECTION,
}
"""Collections by the names that they had before 0.1.0."""

INDEXES: Final[Mapping[str, tuple[IndexModel, ...]]] = {
    model_store.COLLECTION: (
        # one model a name; models sorted by name
        IndexModel([("name", 1)], name="name", unique=True),
        # the newest model that a portfolio follows
        IndexModel([("portfolios", 1), ("created_at", -1), ("_id", -1)], name="newest_followed"),
        # models sorted by last_rebalance_date
        IndexModel([("last_rebalance_date", 1), ("_id", 1)], name="last_rebalance_date"),
        # a model that the rules of GlobeCo would refuse
        IndexModel([("rules", 1)], name="rules", sparse=True),
    ),
    rebalance.COLLECTION: (
        # the page of rebalances, newest first
        IndexModel([("started_at", -1), ("_id", -1)], name="newest"),
        # rebalances sorted by model_name
        IndexModel([("model_name", 1), ("_id", 1)], name="model_name"),
        # rebalances sorted by number_of_portfolios
        IndexModel([("number_of_portfolios", 1), ("_id", 1)], name="number_of_portfolios"),
        # the rebalances of a run
        IndexModel([("run_id", 1), ("_id", 1)], name="of_run", sparse=True),
        # the rebalances of a portfolio that hold its outcome; covers the ids
        IndexModel(
            [(f"{rebalance.OUTCOME}.portfolio_id", 1), ("_id", -1)], name="portfolio", sparse=True
        ),
        # removals that broke off
        IndexModel([(rebalance_removal.MARK, 1)], name="being_removed", sparse=True),
        audit_schema.WITH_RECORDS,
    ),
    outcomes.COLLECTION: (
        # the rebalances of a portfolio, its outcome in one of them; covers the ids
        IndexModel([("portfolio_id", 1), ("_id", -1)], name="portfolio"),
    ),
    outcome_columns.COLLECTION: (
        # the rebalances of a portfolio, its outcome in one of them; not unique, because the check
        # of every id costs as much as the rest of the insert
        IndexModel([("ids", 1), ("rebalance_id", 1)], name="portfolio"),
        # counts of a rebalance by status, and its transactions, without reading the columns
        IndexModel(
            [
                ("rebalance_id", 1),
                *((f"counts.{status.value}", 1) for status in Status),
                ("transactions", 1),
            ],
            name="counts",
        ),
    ),
    run_store.COLLECTION: (
        # the unfinished runs, the oldest first
        IndexModel([("status", 1), ("_id", 1)], name="unfinished"),
        # the finished runs that are due to be removed
        IndexModel([("finished_at", 1)], name="finished"),
        audit_schema.WITH_RECORDS,
    ),
    chunk_store.COLLECTION: (
        # the open chunks of a run, in order
        IndexModel([("run_id", 1), ("state", 1), ("_id", 1)], name="open"),
        # the done chunks of a run since an event; unique, because otherwise two processes that take
        # themselves for the holder of the lease could give one number twice
        IndexModel(
            [("run_id", 1), ("number", 1)],
            name="events",
            unique=True,
            partialFilterExpression={"number": {"$gt": 0}},
        ),
    ),
    idempotency_store.COLLECTION: (
        # keys expire after a day
        IndexModel([("created_at", 1)], name="forgotten", expireAfterSeconds=DAY_S),
    ),
    order_store.COLLECTION: (
        # the next orders to send, the least tried first; counts by state
        IndexModel(
            [("rebalance_id", 1), ("state", 1), ("attempts", 1), ("_id", 1)], name="next_in_state"
        ),
        # the page of orders
        IndexModel([("rebalance_id", 1), ("_id", 1)], name="rebalance"),
        # the open orders of a portfolio
        IndexModel(
            [("portfolio_id", 1), ("_id", 1)],
            name="open_of_portfolio",
            partialFilterExpression={"open": True},
        ),
        # the orders of a portfolio in rebalances later than another
        IndexModel([("portfolio_id", 1), ("rebalanced_at", -1)], name="later_of_portfolio"),
    ),
    submission_store.COLLECTION: (audit_schema.WITH_RECORDS,),
    portfolio_claim_store.COLLECTION: (),
    api_key_store.COLLECTION: (
        # the page of keys, newest first
        IndexModel([("created_at", -1), ("_id", -1)], name="newest"),
        audit_schema.WITH_RECORDS,
    ),
    **audit_schema.INDEXES,
    **proposal_schema.INDEXES,
}

STRING: Final = {"bsonType": "string"}
DATE: Final = {"bsonType": "date"}
WHOLE: Final = {"bsonType": ["int", "long"]}
# A string if 34 digits are not enough, and for a fraction; never a double, because amounts are
# exact.
DECIMAL: Final = {"bsonType": ["decimal", "string"]}
# Without a schema of items, because checking a hundred numbers costs a fifth of the writing.
SHARES: Final = {"bsonType": "array"}
BINARY: Final = {"bsonType": "binData"}
OUTCOME_ID: Final = {"bsonType": "string", "pattern": "^[0-9a-f]{24}:[0-9]{7}$"}


def _record(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Document:
    return {
        "bsonType": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }


def _rows(**fields: Any) -> Document:
    return {"bsonType": "array", "items": _record(fields)}


_TARGET: Final = {
    "security_id": STRING,
    "target": DECIMAL,
    "low_drift": DECIMAL,
    "high_drift": DECIMAL,
}

COLUMN: Final = _record(
    {"dtype": STRING, "shape": SHARES, "decimals": WHOLE, "data": BINARY},
    {"exceptions": _record({"places": BINARY, "units": BINARY})},
)

_OUTCOME: Final[Mapping[str, Document]] = {
    "portfolio_id": STRING,
    "status": STRING,
    "securities": WHOLE,
    "before": SHARES,
    "after": SHARES,
}
_OUTCOME_IF_GIVEN: Final[Mapping[str, Document]] = {
    "market_value": DECIMAL,
    "cash_before": DECIMAL,
    "cash_after": DECIMAL,
    "objective": DECIMAL,
    "lower_bound": DECIMAL,
    "counted_orders": WHOLE,
    "transactions": WHOLE,
    "other_base": DECIMAL,
    "other": _rows(**_TARGET, price=DECIMAL),
    "problem": _record({"code": STRING, "detail": STRING, "members": {}}),
}

SCHEMAS: Final[Mapping[str, Document]] = {
    model_store.COLLECTION: _record(
        {
            "name": STRING,
            "positions": {
                "bsonType": "array",
                "items": _record(_TARGET, {"relative_drift": DECIMAL, "absolute_drift": DECIMAL}),
            },
            "portfolios": {"bsonType": "array", "minItems": 1, "items": STRING},
            "version": WHOLE,
            "created_at": DATE,
            "updated_at": DATE,
        },
        {"last_rebalance_date": DATE, "rules": STRING},
    ),
    rebalance.COLLECTION: _record(
        {
            "model_id": {"bsonType": "objectId"},
            "model_version": WHOLE,
            "model_name": STRING,
            "status": STRING,
            "securities": _rows(**_TARGET, price=DECIMAL),
            "options": {"bsonType": "object"},
            "number_of_portfolios": WHOLE,
            "counts": {"bsonType": "object"},
            "started_at": DATE,
            "finished_at": {"bsonType": ["date", "null"]},
            "version": WHOLE,
        },
        {rebalance.OUTCOME: _record(_OUTCOME, _OUTCOME_IF_GIVEN)},
    ),
    outcomes.COLLECTION: _record({"_id": OUTCOME_ID, **_OUTCOME}, _OUTCOME_IF_GIVEN),
    outcome_columns.COLLECTION: _record(
        {
            "_id": OUTCOME_ID,
            "rebalance_id": {"bsonType": "objectId"},
            "end": WHOLE,
            "ids": SHARES,
            "counts": {"bsonType": "object"},
            "transactions": WHOLE,
            "status": _record({"dtype": STRING, "shape": SHARES, "values": SHARES, "data": BINARY}),
        },
        {
            **dict.fromkeys((*outcome_columns.AMOUNTS, *outcome_columns.SHARES), COLUMN),
            "others": _record(
                {
                    **dict.fromkeys(("rows", "securities", "quantities"), COLUMN),
                    "ids": SHARES,
                    "prices": {"bsonType": "array", "items": DECIMAL},
                }
            ),
            "binding": _record(
                {
                    **dict.fromkeys(("rows", "constraints", "slacks"), COLUMN),
                    "names": SHARES,
                }
            ),
        },
    ),
    run_store.COLLECTION: _record(
        {
            "selection": _record({"model_ids": SHARES, "portfolio_ids": SHARES}),
            "overrides": {"bsonType": "object"},
            "holdings": _record({"source": STRING}),
            "stops_on_outage": {"bsonType": "bool"},
            "status": STRING,
            "totals": {"bsonType": "object"},
            "created_at": DATE,
        },
        {
            "started_at": DATE,
            "number_of_portfolios": WHOLE,
            "number_of_chunks": WHOLE,
            "lease": leases.SCHEMA,
        },
    ),
    chunk_store.COLLECTION: _record(
        {
            "_id": OUTCOME_ID,
            "run_id": {"bsonType": "objectId"},
            "rebalance_id": {"bsonType": "objectId"},
            "first": WHOLE,
            "portfolios": WHOLE,
            "state": {"enum": [chunk_store.OPEN, chunk_store.DONE]},
        },
        {"portfolio_ids": SHARES, "rows": WHOLE, "number": WHOLE, "done_at": DATE},
    ),
    idempotency_store.COLLECTION: _record(
        {"request_hash": STRING, "state": STRING, "created_at": DATE},
        {"lease": leases.SCHEMA, "reference": STRING, "run_id": STRING},
    ),
    order_store.COLLECTION: _record(
        {
            "_id": {"bsonType": "string", "pattern": "^[0-9a-f]{24}:[0-9]{7}:.{1,64}$"},
            **dict.fromkeys(("rebalance_id", "portfolio_id", "security_id"), STRING),
            "side": {"enum": ["BUY", "SELL"]},
            "quantity": {"bsonType": ["int", "long", "decimal", "string"]},
            "state": {"enum": [state.value for state in OrderState]},
            "attempts": WHOLE,
            "rebalanced_at": DATE,
        },
        {
            "order_id": WHOLE,
            **dict.fromkeys(("message", "claim"), STRING),
            **dict.fromkeys(("timestamp", "claimed_at"), DATE),
            "open": {"enum": [True]},
            "held": {"enum": [True]},
            "service_status": STRING,
        },
    ),
    submission_store.COLLECTION: _record(
        {"started_at": DATE, "prepared": {"bsonType": "bool"}},
        {"lease": leases.SCHEMA, "last_batch_at": DATE},
    ),
    **{name: _record(fields) for name, fields in audit_schema.FIELDS.items()},
    **{name: _record(*fields) for name, fields in proposal_schema.FIELDS.items()},
    portfolio_claim_store.COLLECTION: _record({"rebalance_id": STRING, "owner": STRING}),
    api_key_store.COLLECTION: _record(
        {
            "_id": {"bsonType": "string", "pattern": "^[0-9a-f]{16}$"},
            **dict.fromkeys(("owner", "created_by"), STRING),
            **dict.fromkeys(("roles", "scopes"), SHARES),
            "secret_hash": BINARY,
            "created_at": DATE,
        },
        {
            **dict.fromkeys(("models", "portfolios"), SHARES),
            **dict.fromkeys(
                ("expires_at", "former_expires_at", "last_used_at", "revoked_at"), DATE
            ),
            "former_hash": BINARY,
            "approver_level": WHOLE,
        },
    ),
}


@translate_failures
async def ensure_indexes(database: AsyncDatabase[Document]) -> None:
    """Create missing collections, validators and indexes; concurrent calls are safe."""
    with timeout(WRITER_TIMEOUT_S):
        await _ensure_all(database)


def _is_building_index(error: Exception) -> bool:
    return isinstance(error, OperationFailure) and error.code == INDEX_BUILD_IN_PROGRESS


# MongoDB refuses to change a collection while another starter is building its indexes.
@stamina.retry(on=_is_building_index, attempts=None, timeout=WRITER_TIMEOUT_S, wait_initial=0.1)
async def _ensure_all(database: AsyncDatabase[Document]) -> None:
    await _adopt_former_names(database)
    for name, indexes in INDEXES.items():
        await _ensure_validator(database, name, {"$jsonSchema": SCHEMAS[name]})
        for index in indexes:
            await _ensure_index(database, name, index)


async def _ensure_index(database: AsyncDatabase[Document], name: str, index: IndexModel) -> None:
    """Create an index; one of that name that an older release made otherwise stays as it is."""
    try:
        await database[name].create_indexes([index])
    except OperationFailure as error:
        if error.code != INDEX_DIFFERS:
            raise


async def _adopt_former_names(database: AsyncDatabase[Document]) -> None:
    """Rename the collections and fields of an older database; concurrent calls are safe."""
    present = set(await database.list_collection_names())
    for former in FORMER_NAMES.keys() & present:
        if former == FORMER_RUNS:
            # The sparse index of the former field stays, because it is empty and costs nothing.
            await database[rebalance.COLLECTION].update_many(
                {"book_run_id": {"$exists": True}}, {"$rename": {"book_run_id": "run_id"}}
            )
        # The collection is renamed last, because its former name marks unfinished work.
        await _rename(database, former, FORMER_NAMES[former])


async def _rename(database: AsyncDatabase[Document], former: str, name: str) -> None:
    try:
        await database[former].rename(name)
    except OperationFailure as error:
        if error.code != NAMESPACE_NOT_FOUND:
            raise


async def _ensure_validator(
    database: AsyncDatabase[Document], name: str, validator: Document
) -> None:
    try:
        await database.create_collection(name, validator=validator)
    except CollectionInvalid:
        pass
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise
    else:
        return
    # Only on a difference, because collMod locks the collection.
    if (await database[name].options()).get("validator") != validator:
        await database.command("collMod", name, validator=validator)
