"""Indexes and fields of drift scans and their lines."""

from collections.abc import Mapping
from typing import Any, Final

from pymongo import IndexModel

from optimization import BandStatus
from storage.drift import line_store as drift_line_store
from storage.drift import scan_store as drift_scan_store
from storage.drift.scan import ScanStatus
from storage.mongo import leases

INDEXES: Final[Mapping[str, tuple[IndexModel, ...]]] = {
    drift_scan_store.COLLECTION: (
        # one scan at a time
        IndexModel(
            [("status", 1)],
            name="running",
            unique=True,
            partialFilterExpression={"status": ScanStatus.RUNNING.value},
        ),
    ),
    drift_line_store.COLLECTION: (
        # the most drift first; covers counts and the histogram under every filter except the
        # filter of portfolios
        IndexModel(
            [
                ("part", 1),
                ("failed", 1),
                ("drift_weight", -1),
                ("_id", -1),
                ("status", 1),
                ("model_id", 1),
            ],
            name="most_drift",
        ),
        # single portfolios of a scan
        IndexModel([("part", 1), ("portfolio_id", 1)], name="portfolio"),
    ),
}

_STRING: Final = {"bsonType": "string"}
_WHOLE: Final = {"bsonType": ["int", "long"]}
_DATE: Final = {"bsonType": ["date", "null"]}
_DECIMAL: Final = {"bsonType": ["decimal", "string"]}
_OBJECT: Final = {"bsonType": "object"}
Fields = Mapping[str, Mapping[str, Any]]
FIELDS: Final[Mapping[str, tuple[Fields, Fields]]] = {
    drift_scan_store.COLLECTION: (
        {
            "status": {"enum": [status.value for status in ScanStatus]},
            "created_at": {"bsonType": "date"},
            "correlation_id": _STRING,
            "takeovers": _WHOLE,
            "counts": _OBJECT,
        },
        {
            "begun_by": {"bsonType": ["string", "null"]},
            "number_of_portfolios": _WHOLE,
            "problem": {"bsonType": ["object", "null"]},
            "finished_at": _DATE,
            "lease": leases.SCHEMA,
        },
    ),
    drift_line_store.COLLECTION: (
        {
            **dict.fromkeys(("_id", "part", "portfolio_id"), _STRING),
            "model_id": {"bsonType": "objectId"},
            "status": {"enum": [status.value for status in BandStatus]},
            "failed": {"bsonType": "bool"},
        },
        {
            **dict.fromkeys(("market_value", "cash", "cash_weight"), _DECIMAL),
            **dict.fromkeys(("drift", "drift_weight", "deviation"), _DECIMAL),
            "out_of_band": _WHOLE,
            "largest": _OBJECT,
            "problem": _OBJECT,
        },
    ),
}
"""Required and optional fields of each collection."""
