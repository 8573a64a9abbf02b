"""API keys as JSON; a secret is in the answer that makes it and nowhere else."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from serve_app.api.schemas.fields import MODEL, WHOLE, InstantText
from serve_app.auth.api_keys import KeyText
from serve_app.auth.key_requests import (
    DEFAULT_DAYS,
    DEFAULT_OVERLAP_HOURS,
    MAX_DAYS,
    MAX_LIMITED_IDS,
    MAX_OVERLAP_HOURS,
    OWNER_PATTERN,
    KeyRequest,
)
from serve_app.auth.permissions import Role, Scope
from storage.access.api_key_store import ApiKey
from storage.instants import format_instant
from storage.proposals.proposal import MAX_APPROVER_LEVEL

ModelLimit = Annotated[
    list[Annotated[str, Field(pattern=r"^[0-9a-fA-F]{24}$")]] | None,
    Field(min_length=1, max_length=MAX_LIMITED_IDS),
]
PortfolioLimit = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=64)]] | None,
    Field(min_length=1, max_length=MAX_LIMITED_IDS),
]


class KeyPost(BaseModel):
    """A new API key: its owner, and at least one role or scope.

    ``models`` and ``portfolios`` limit the key to these ids. ``days`` is its lifetime; null for a
    key without end. ``approver_level`` matters for those who may approve proposals.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"owner": "nightly-rebalance", "roles": ["trader"], "models": [MODEL]}]
        },
    )

    owner: Annotated[str, Field(pattern=OWNER_PATTERN)]
    roles: list[Role] = Field([], max_length=len(Role))
    scopes: list[Scope] = Field([], max_length=len(Scope))
    models: ModelLimit = None
    portfolios: PortfolioLimit = None
    days: Annotated[int, Field(ge=1, le=MAX_DAYS), WHOLE] | None = DEFAULT_DAYS
    approver_level: Annotated[int, Field(ge=1, le=MAX_APPROVER_LEVEL), WHOLE] = 1


class RotationBody(BaseModel):
    """Hours for which the former secret stays valid beside the new one."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"overlap_hours": 24}]}
    )

    overlap_hours: Annotated[int, Field(ge=0, le=MAX_OVERLAP_HOURS), WHOLE] = DEFAULT_OVERLAP_HOURS


class KeyAnswer(TypedDict):
    """An API key without its secret; ``models`` and ``portfolios`` are null without a limit."""

    key_id: str
    owner: str
    roles: list[str]
    scopes: list[str]
    models: list[str] | None
    portfolios: list[str] | None
    approver_level: Annotated[int, Field(description="1 to 3, for proposals")]
    created_at: InstantText
    created_by: str
    expires_at: InstantText | None
    former_secret_expires_at: InstantText | None
    last_used_at: Annotated[
        InstantText | None, Field(description="to the minute, as long as the key is in use")
    ]
    revoked_at: InstantText | None


class NewKeyAnswer(KeyAnswer):
    """An API key with its secret, which is shown this once."""

    key: Annotated[str, Field(description="send it as Authorization: Bearer")]


def build_key_request(body: KeyPost) -> KeyRequest:
    """Convert a body; raises RuleError without a role or scope."""
    return KeyRequest(
        body.owner,
        tuple(dict.fromkeys(body.roles)),
        tuple(dict.fromkeys(body.scopes)),
        None if body.models is None else tuple(dict.fromkeys(body.models)),
        None if body.portfolios is None else tuple(dict.fromkeys(body.portfolios)),
        body.days,
        body.approver_level,
    )


def key_json(key: ApiKey) -> KeyAnswer:
    """Describe a key without its secret."""
    return {
        "key_id": key.key_id,
        "owner": key.owner,
        "roles": list(key.roles),
        "scopes": list(key.scopes),
        "models": None if key.models is None else list(key.models),
        "portfolios": None if key.portfolios is None else list(key.portfolios),
        "approver_level": key.approver_level,
        "created_at": format_instant(key.created_at),
        "created_by": key.created_by,
        "expires_at": format_instant(key.expires_at),
        "former_secret_expires_at": format_instant(key.former_expires_at),
        "last_used_at": format_instant(key.last_used_at),
        "revoked_at": format_instant(key.revoked_at),
    }


def new_key_json(key: ApiKey, text: KeyText) -> NewKeyAnswer:
    """Describe a key with its secret."""
    return {**key_json(key), "key": str(text)}
