"""Requests for API keys: the rights and limits of a key that does not exist yet."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from optimization.errors import RuleError
from serve_app.auth.api_keys import KeyText, make_key
from serve_app.auth.errors import RightsExceededError
from serve_app.auth.permissions import Role, Scope, derive_scopes
from serve_app.auth.principals import Principal
from storage.access.api_key_store import ApiKey
from storage.proposals.proposal import MAX_APPROVER_LEVEL

DEFAULT_DAYS: Final = 365
MAX_DAYS: Final = 3650
DEFAULT_OVERLAP_HOURS: Final = 24
MAX_OVERLAP_HOURS: Final = 24 * 30
MAX_LIMITED_IDS: Final = 1000
OWNER_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._@/+-]{0,99}$"
OWNER_RULE: Final = "1 to 100 letters, digits and . _ @ / + -, a letter or digit first"
MODEL_PATTERN: Final = r"^[0-9a-fA-F]{24}$"


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """Owner, rights, limits and lifetime of a new key; ``days`` is None for a key without end."""

    owner: str
    roles: tuple[Role, ...] = ()
    scopes: tuple[Scope, ...] = ()
    models: tuple[str, ...] | None = None
    portfolios: tuple[str, ...] | None = None
    days: int | None = DEFAULT_DAYS
    approver_level: int = 1

    def __post_init__(self) -> None:
        if not re.fullmatch(OWNER_PATTERN, self.owner):
            raise RuleError(("owner",), self.owner, OWNER_RULE)
        if not (self.roles or self.scopes):
            raise RuleError(("roles",), [], "a key has at least one role or scope")
        if self.days is not None and not 1 <= self.days <= MAX_DAYS:
            raise RuleError(("days",), self.days, f"a whole number from 1 to {MAX_DAYS}, or null")
        if not 1 <= self.approver_level <= MAX_APPROVER_LEVEL:
            rule = f"a whole number from 1 to {MAX_APPROVER_LEVEL}"
            raise RuleError(("approver_level",), self.approver_level, rule)
        for place, model_id in enumerate(self.models or ()):
            if not re.fullmatch(MODEL_PATTERN, model_id):
                raise RuleError(("models", place), model_id, "an id has 24 hexadecimal digits")

    def make(self, created_by: str) -> tuple[KeyText, ApiKey]:
        """Make the key: its text for the owner, and what the database stores."""
        text, now = make_key(), datetime.now(UTC)
        key = ApiKey(
            key_id=text.key_id,
            owner=self.owner,
            roles=tuple(role.value for role in self.roles),
            scopes=tuple(scope.value for scope in self.scopes),
            secret_hash=text.secret_hash,
            created_at=now,
            created_by=created_by,
            models=self.models and tuple(model_id.lower() for model_id in self.models),
            portfolios=self.portfolios,
            expires_at=None if self.days is None else now + timedelta(days=self.days),
            approver_level=self.approver_level,
        )
        return text, key


def require_rights(caller: Principal, key: ApiKey) -> None:
    """Raise RightsExceededError if the key has a scope that the caller lacks.

    Otherwise a caller could make itself a key with more rights than its own.
    """
    exceeding = derive_scopes(key.roles, key.scopes) - caller.scopes
    if exceeding:
        raise RightsExceededError(caller.name, tuple(sorted(exceeding)))
