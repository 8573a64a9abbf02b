"""Validators of every collection, against a broken writer."""

from collections.abc import Mapping
from typing import Any, Final

from storage import audit_schema, drift_schema, idempotency_store, proposal_schema
from storage.access import api_key_store, session_store
from storage.models import model_store
from storage.mongo import leases
from storage.mongo.connection import Document
from storage.orders import order_store, portfolio_claim_store, submission_store
from storage.orders.order import OrderState
from storage.rebalances import outcome_columns, outcomes, rebalance
from storage.runs import chunk_store, run_store

STRING: Final = {"bsonType": "string"}
DATE: Final = {"bsonType": "date"}
WHOLE: Final = {"bsonType": ["int", "long"]}
# A string if 34 digits are not enough, and for a fraction; never a double, because amounts are
# exact.
DECIMAL: Final = {"bsonType": ["decimal", "string"]}
# The schema has no items, because checking a hundred numbers costs a fifth of the writing.
ARRAY: Final = {"bsonType": "array"}
BINARY: Final = {"bsonType": "binData"}
OUTCOME_ID: Final = {"bsonType": "string", "pattern": "^[0-9a-f]{24}:[0-9]{7}$"}


def _describe_object(
    required: Mapping[str, Any], optional: Mapping[str, Any] | None = None
) -> Document:
    return {
        "bsonType": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }


def _describe_rows(**fields: Any) -> Document:
    return {"bsonType": "array", "items": _describe_object(fields)}


_TARGET: Final = {
    "security_id": STRING,
    "target": DECIMAL,
    "low_drift": DECIMAL,
    "high_drift": DECIMAL,
}

COLUMN: Final = _describe_object(
    {"dtype": STRING, "shape": ARRAY, "decimals": WHOLE, "data": BINARY},
    {"exceptions": _describe_object({"places": BINARY, "units": BINARY})},
)

_OUTCOME: Final[Mapping[str, Document]] = {
    "portfolio_id": STRING,
    "status": STRING,
    "securities": WHOLE,
    "before": ARRAY,
    "after": ARRAY,
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
    "other": _describe_rows(**_TARGET, price=DECIMAL),
    "problem": _describe_object({"code": STRING, "detail": STRING, "members": {}}),
}

SCHEMAS: Final[Mapping[str, Document]] = {
    model_store.COLLECTION: _describe_object(
        {
            "name": STRING,
            "positions": {
                "bsonType": "array",
                "items": _describe_object(
                    _TARGET, {"relative_drift": DECIMAL, "absolute_drift": DECIMAL}
                ),
            },
            "portfolios": {"bsonType": "array", "minItems": 1, "items": STRING},
            "version": WHOLE,
            "created_at": DATE,
            "updated_at": DATE,
        },
        {"last_rebalance_date": DATE, "rules": STRING},
    ),
    rebalance.COLLECTION: _describe_object(
        {
            "model_id": {"bsonType": "objectId"},
            "model_version": WHOLE,
            "model_name": STRING,
            "status": STRING,
            "securities": _describe_rows(**_TARGET, price=DECIMAL),
            "options": {"bsonType": "object"},
            "number_of_portfolios": WHOLE,
            "counts": {"bsonType": "object"},
            "started_at": DATE,
            "finished_at": {"bsonType": ["date", "null"]},
            "version": WHOLE,
        },
        {rebalance.OUTCOME: _describe_object(_OUTCOME, _OUTCOME_IF_GIVEN)},
    ),
    outcomes.COLLECTION: _describe_object({"_id": OUTCOME_ID, **_OUTCOME}, _OUTCOME_IF_GIVEN),
    outcome_columns.COLLECTION: _describe_object(
        {
            "_id": OUTCOME_ID,
            "rebalance_id": {"bsonType": "objectId"},
            "end": WHOLE,
            "ids": ARRAY,
            "counts": {"bsonType": "object"},
            "transactions": WHOLE,
            "status": _describe_object(
                {"dtype": STRING, "shape": ARRAY, "values": ARRAY, "data": BINARY}
            ),
        },
        {
            **dict.fromkeys((*outcome_columns.AMOUNTS, *outcome_columns.SHARES), COLUMN),
            "others": _describe_object(
                {
                    **dict.fromkeys(("rows", "securities", "quantities"), COLUMN),
                    "ids": ARRAY,
                    "prices": {"bsonType": "array", "items": DECIMAL},
                }
            ),
            "binding": _describe_object(
                {
                    **dict.fromkeys(("rows", "constraints", "slacks"), COLUMN),
                    "names": ARRAY,
                }
            ),
        },
    ),
    run_store.COLLECTION: _describe_object(
        {
            "selection": _describe_object({"model_ids": ARRAY, "portfolio_ids": ARRAY}),
            "overrides": {"bsonType": "object"},
            "holdings": _describe_object({"source": STRING}),
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
    chunk_store.COLLECTION: _describe_object(
        {
            "_id": OUTCOME_ID,
            "run_id": {"bsonType": "objectId"},
            "rebalance_id": {"bsonType": "objectId"},
            "first": WHOLE,
            "portfolios": WHOLE,
            "state": {"enum": [chunk_store.OPEN, chunk_store.DONE]},
        },
        {"portfolio_ids": ARRAY, "rows": WHOLE, "number": WHOLE, "done_at": DATE},
    ),
    idempotency_store.COLLECTION: _describe_object(
        {"request_hash": STRING, "state": STRING, "created_at": DATE},
        {"lease": leases.SCHEMA, "reference": STRING, "run_id": STRING},
    ),
    order_store.COLLECTION: _describe_object(
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
    submission_store.COLLECTION: _describe_object(
        {"started_at": DATE, "prepared": {"bsonType": "bool"}},
        {"lease": leases.SCHEMA, "last_batch_at": DATE},
    ),
    **{name: _describe_object(fields) for name, fields in audit_schema.FIELDS.items()},
    **{name: _describe_object(*fields) for name, fields in proposal_schema.FIELDS.items()},
    **{name: _describe_object(*fields) for name, fields in drift_schema.FIELDS.items()},
    portfolio_claim_store.COLLECTION: _describe_object({"rebalance_id": STRING, "owner": STRING}),
    api_key_store.COLLECTION: _describe_object(
        {
            "_id": {"bsonType": "string", "pattern": "^[0-9a-f]{16}$"},
            **dict.fromkeys(("owner", "created_by"), STRING),
            **dict.fromkeys(("roles", "scopes"), ARRAY),
            "secret_hash": BINARY,
            "created_at": DATE,
        },
        {
            **dict.fromkeys(("models", "portfolios"), ARRAY),
            **dict.fromkeys(
                ("expires_at", "former_expires_at", "last_used_at", "revoked_at"), DATE
            ),
            "former_hash": BINARY,
            "approver_level": WHOLE,
        },
    ),
    session_store.COLLECTION: _describe_object(
        {
            "_id": {"bsonType": "string", "pattern": "^[0-9a-f]{64}$"},
            **dict.fromkeys(("name", "display_name"), STRING),
            "scopes": ARRAY,
            "approver_level": WHOLE,
            **dict.fromkeys(("created_at", "expires_at"), DATE),
        },
        {**dict.fromkeys(("models", "portfolios"), ARRAY), "key_id": STRING},
    ),
}
