"""Answers of the service about API keys."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret; ``models`` and ``portfolios`` are None without a limit."""

    key_id: str
    owner: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    models: tuple[str, ...] | None
    portfolios: tuple[str, ...] | None
    approver_level: int
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    former_secret_expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewApiKey(ApiKey):
    """An API key with its secret, which the service shows once."""

    key: str = field(repr=False)
