"""Entries of the audit log: filters of a request, and answers."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from typing_extensions import TypedDict

from serve_app.api.schemas.fields import InstantText
from storage.audit.chain import Entry
from storage.audit_log import AuditHead
from storage.instants import format_instant

MAX_FILTER_LENGTH = 200
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].+)?")


def _require_date(value: object) -> object:
    # Texts of digits alone are refused, because pydantic would take them for seconds.
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("a time is a string such as 2026-11-23T09:30:00.000Z")
    return value


def _convert_to_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is out of range") from error


Moment = Annotated[
    datetime,
    BeforeValidator(_require_date),
    AfterValidator(_convert_to_utc),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class AuditEntryAnswer(TypedDict):
    """A change, and its place in the chain of all changes; null is not known or does not apply."""

    seq: Annotated[int, Field(description="place in the chain, from 1")]
    entry_id: str
    at: Annotated[InstantText, Field(description="when the change was stored")]
    sealed_at: Annotated[InstantText, Field(description="when the chain got the entry")]
    principal: Annotated[str | None, Field(description="who made the change")]
    on_behalf_of: str | None
    action: Annotated[str, Field(description="what was done: `model.edit`")]
    object_type: str
    object_id: str
    version: int | None
    before_hash: str | None
    after_hash: str | None
    diff: Annotated[dict[str, Any] | None, Field(description="what changed; depends on action")]
    outcome: str
    correlation_id: str | None
    previous_hash: Annotated[str, Field(description="hash of the entry before")]
    hash: Annotated[str, Field(description="SHA-256 of all other members")]


class ChainLink(TypedDict):
    """A place in the chain, and the hash of the entry there."""

    seq: int
    hash: str


class AuditHeadAnswer(TypedDict):
    """The end of the chain, and the last entry that was removed by AUDIT_RETENTION_DAYS."""

    seq: Annotated[int, Field(description="place of the last entry; 0 without entries")]
    hash: str
    sealed_at: InstantText | None
    cut: ChainLink | None


def entry_answer(entry: Entry) -> dict[str, Any]:
    """Order the members of an entry; all are kept, because all are hashed."""
    known = {name: entry[name] for name in AuditEntryAnswer.__annotations__ if name in entry}
    return {**known, **entry}


def head_json(head: AuditHead) -> AuditHeadAnswer:
    """Build the end of the chain."""
    cut: ChainLink | None = None
    if head.cut.seq:
        cut = {"seq": head.cut.seq, "hash": head.cut.hash}
    return {
        "seq": head.last.seq,
        "hash": head.last.hash,
        "sealed_at": format_instant(head.sealed_at),
        "cut": cut,
    }
