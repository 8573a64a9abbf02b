"""The audit log."""

from datetime import datetime
from typing import Any, Literal

from serve_app.client.call import Call, get
from serve_app.client.endpoints.media_types import MEDIA_TYPES
from serve_app.client.responses.audit import AuditEntry, AuditHead
from serve_app.client.streaming import Lines, Pieces

AuditFormat = Literal["csv", "jsonl", "parquet", "arrows"]


def list_audit_entries(
    *,
    object_type: str | None = None,
    object_id: str | None = None,
    principal: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    sort_by: str = "",
    limit: int = 1000,
) -> Call[tuple[AuditEntry, ...]]:
    """List all changes, the newest first, ``limit`` in a request."""
    query = _build_query(object_type, object_id, principal, action, since)
    return get(tuple[AuditEntry, ...], "audit", **query, sort_by=sort_by, limit=limit)


def export_audit(
    kind: AuditFormat = "csv",
    *,
    object_type: str | None = None,
    object_id: str | None = None,
    principal: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
) -> Pieces:
    """Export all changes as a file, the oldest first, piece by piece."""
    query = _build_query(object_type, object_id, principal, action, since)
    call = get(None, "audit", **query, sort_by="seq")
    return Pieces(call.with_headers({"Accept": MEDIA_TYPES[kind]}))


def stream_audit() -> Lines[dict[str, Any]]:
    """Stream all changes as the service sends and hashes them, the oldest first."""
    call = get(None, "audit", sort_by="seq")
    return Lines(call.with_headers({"Accept": MEDIA_TYPES["jsonl"]}), dict[str, Any])


def read_audit_head() -> Call[AuditHead]:
    """Read the end of the chain of all changes."""
    return get(AuditHead, "audit", "head")


def _build_query(
    object_type: str | None,
    object_id: str | None,
    principal: str | None,
    action: str | None,
    since: datetime | None,
) -> dict[str, str | None]:
    return {
        "object_type": object_type,
        "object_id": object_id,
        "principal": principal,
        "action": action,
        "since": None if since is None else since.isoformat(),
    }
