"""Indexes and fields of proposals and their holds, and of pre-trade rules."""

from collections.abc import Mapping
from typing import Any, Final

from pymongo import IndexModel

from storage import audit_schema
from storage.proposals import proposal_store
from storage.proposals.proposal import ProposalStatus
from storage.rules import rule_store
from storage.rules.rule import RestrictedSide, RuleKind, Severity

INDEXES: Final[Mapping[str, tuple[IndexModel, ...]]] = {
    proposal_store.COLLECTION: (
        # the proposals of a rebalance, the newest first
        IndexModel([("rebalance_id", 1), ("_id", -1)], name="of_rebalance"),
        # one proposal of a rebalance that may still lead, or has led, to orders
        IndexModel(
            [("rebalance_id", 1)],
            name="live",
            unique=True,
            partialFilterExpression={"live": True},
        ),
        # the proposals in a state, the newest first
        IndexModel([("status", 1), ("_id", -1)], name="in_state"),
        # the proposals that have one of these portfolios
        IndexModel([("portfolio_ids", 1)], name="of_portfolios", sparse=True),
        audit_schema.WITH_RECORDS,
    ),
    rule_store.COLLECTION: (
        # one rule a name; rules sorted by name
        IndexModel([("name", 1)], name="name", unique=True),
        audit_schema.WITH_RECORDS,
    ),
    proposal_store.HOLDS: (
        # the holds of a proposal, one of each portfolio and trade
        IndexModel(
            [("proposal_id", 1), ("portfolio_id", 1), ("security_id", 1)], name="held", unique=True
        ),
    ),
}

_STRING: Final = {"bsonType": "string"}
_STRING_OR_NULL: Final = {"bsonType": ["string", "null"]}
_WHOLE: Final = {"bsonType": ["int", "long"]}
_DATE: Final = {"bsonType": "date"}
_DECIMAL: Final = {"bsonType": ["decimal", "string"]}
_LIST: Final = {"bsonType": "array"}
Fields = Mapping[str, Mapping[str, Any]]
FIELDS: Final[Mapping[str, tuple[Fields, Fields]]] = {
    proposal_store.COLLECTION: (
        {
            **dict.fromkeys(("rebalance_id", "model_id", "model_name", "proposed_by"), _STRING),
            **dict.fromkeys(("model_version", "number_of_portfolios", "number_of_holds"), _WHOLE),
            **dict.fromkeys(("required_approvals", "version", "content_version"), _WHOLE),
            "status": {"enum": [status.value for status in ProposalStatus]},
            "proposed_at": _DATE,
            "approvals": _LIST,
        },
        {
            **dict.fromkeys(("begun_by", "note"), _STRING),
            "ending": {"bsonType": "object"},
            "override": {"bsonType": "object"},
            "live": {"enum": [True]},
            "portfolio_ids": _LIST,
        },
    ),
    rule_store.COLLECTION: (
        {
            "name": _STRING,
            "kind": {"enum": [kind.value for kind in RuleKind]},
            "severity": {"enum": [severity.value for severity in Severity]},
            "as_option": {"bsonType": "bool"},
            "version": _WHOLE,
        },
        {
            **dict.fromkeys(("models", "portfolios", "security_ids"), _LIST),
            "side": {"enum": [side.value for side in RestrictedSide]},
            **dict.fromkeys(("part", "amount"), _DECIMAL),
        },
    ),
    proposal_store.HOLDS: (
        {
            "proposal_id": {"bsonType": "objectId"},
            **dict.fromkeys(("portfolio_id", "principal"), _STRING),
            **dict.fromkeys(("security_id", "note"), _STRING_OR_NULL),
            "at": _DATE,
        },
        {},
    ),
}
"""Required and optional fields of each collection."""
