"""API keys, of a service that authenticates its callers."""

from collections.abc import Sequence
from typing import Any

from serve_app.client.call import Call, change, get
from serve_app.client.responses.keys import ApiKey, NewApiKey


def list_keys(*, limit: int = 1000) -> Call[tuple[ApiKey, ...]]:
    """List API keys, the newest first, ``limit`` in a request."""
    return get(tuple[ApiKey, ...], "keys", limit=limit)


def add_key(
    owner: str,
    *,
    roles: Sequence[str] = (),
    scopes: Sequence[str] = (),
    models: Sequence[str] | None = None,
    portfolios: Sequence[str] | None = None,
    days: int | None = 365,
    approver_level: int = 1,
) -> Call[NewApiKey]:
    """Make an API key; ``days`` is None for a key without end, ``approver_level`` is 1 to 3."""
    body: dict[str, Any] = {"owner": owner, "roles": roles, "scopes": scopes, "days": days}
    body["approver_level"] = approver_level
    limits = {"models": models, "portfolios": portfolios}
    body |= {name: ids for name, ids in limits.items() if ids is not None}
    return change(NewApiKey, "POST", ("keys",), body, None)


def rotate_key(key_id: str, *, overlap_hours: int = 24) -> Call[NewApiKey]:
    """Give a key another secret; the former one stays valid for these hours."""
    body = {"overlap_hours": overlap_hours}
    return change(NewApiKey, "POST", ("keys", key_id, "rotate"), body, None)


def revoke_key(key_id: str) -> Call[ApiKey]:
    """End a key for good."""
    return change(ApiKey, "DELETE", ("keys", key_id), None, None)
