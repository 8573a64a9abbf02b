"""Indexes and required fields of the audit log, and of the versions of models."""

from collections.abc import Mapping
from typing import Any, Final

from pymongo import IndexModel

from storage import audit_log
from storage.audit import trail as audit_trail
from storage.models import versions as model_versions

WITH_RECORDS: Final = IndexModel(
    [(f"{audit_trail.PENDING}.entry_id", 1)], name="with_records", sparse=True
)
"""Index of the records that wait in the documents of a collection."""

INDEXES: Final[Mapping[str, tuple[IndexModel, ...]]] = {
    model_versions.COLLECTION: (
        # the versions of a model, the newest first
        IndexModel([("model_id", 1), ("_id", -1)], name="of_model"),
    ),
    audit_trail.COLLECTION: (),
    audit_log.HEADS: (),
    audit_log.COLLECTION: (
        # one entry for a record
        IndexModel([("entry_id", 1)], name="entry", unique=True),
        # entries of an object, of a kind of objects, a principal or an action, the newest first
        IndexModel([("object_id", 1), ("_id", -1)], name="of_object"),
        IndexModel([("object_type", 1), ("_id", -1)], name="of_type"),
        IndexModel([("principal", 1), ("_id", -1)], name="of_principal"),
        IndexModel([("action", 1), ("_id", -1)], name="of_action"),
        # entries since a moment
        IndexModel([("at", 1)], name="since"),
        # the last entry that AUDIT_RETENTION_DAYS removes
        IndexModel([("sealed_at", 1), ("_id", 1)], name="sealed"),
    ),
}

_STRING: Final = {"bsonType": "string"}
_STRING_OR_NULL: Final = {"bsonType": ["string", "null"]}
_WHOLE: Final = {"bsonType": ["int", "long"]}
_DATE: Final = {"bsonType": "date"}
_RECORD: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("entry_id", "action", "object_type", "object_id", "outcome"), _STRING),
    **dict.fromkeys(("principal", "on_behalf_of", "correlation_id"), _STRING_OR_NULL),
    **dict.fromkeys(("before_hash", "after_hash"), _STRING_OR_NULL),
    "version": {"bsonType": ["int", "long", "null"]},
    "diff": {"bsonType": ["object", "null"]},
    "at": _DATE,
}
FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    model_versions.COLLECTION: {
        "_id": {"bsonType": "string", "pattern": "^[0-9a-f]{24}:[0-9]{10}$"},
        "model_id": {"bsonType": "objectId"},
        "version": _WHOLE,
        "at": _DATE,
        "principal": _STRING_OR_NULL,
        "correlation_id": _STRING_OR_NULL,
        "name": _STRING,
        "positions": {"bsonType": "array"},
        "changes": {"bsonType": ["object", "null"]},
    },
    audit_trail.COLLECTION: {"_id": _STRING, **_RECORD},
    audit_log.HEADS: {"seq": _WHOLE, "hash": _STRING},
    audit_log.COLLECTION: {
        "_id": _WHOLE,
        **_RECORD,
        "sealed_at": _DATE,
        "previous_hash": _STRING,
        "hash": _STRING,
    },
}
