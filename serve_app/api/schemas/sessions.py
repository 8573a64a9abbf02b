"""Sessions as JSON: who is signed in, and how one signs in."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from serve_app.api.schemas.fields import InstantText
from serve_app.auth.principals import Principal
from storage.instants import format_instant

MAX_KEY_LENGTH = 200


class SessionPost(BaseModel):
    """An API key with which a browser signs in."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"key": f"ordergen_3f9a1c0b7e5d2468_{'0' * 64}"}]},
    )

    key: Annotated[str, Field(min_length=1, max_length=MAX_KEY_LENGTH)]


class CallerAnswer(TypedDict):
    """Who calls, with which scopes; ``models`` and ``portfolios`` are null without a limit."""

    name: Annotated[str, Field(description="empty where callers are not authenticated")]
    display_name: str
    scopes: list[str]
    models: list[str] | None
    portfolios: list[str] | None


class SignInAnswer(TypedDict):
    """Ways to sign in.

    ``login`` is the path that leads a browser to the identity provider. ``issuer`` and the others
    are for programs that sign people in by themselves, such as ``ordergen login``.
    """

    accepts_keys: bool
    login: str | None
    issuer: str | None
    client_id: str | None
    scope: str | None
    resource: str | None


class SessionAnswer(TypedDict):
    """The caller, null if nobody is signed in, and the ways to sign in."""

    authenticates: Annotated[bool, Field(description="false: everybody may do everything")]
    caller: CallerAnswer | None
    expires_at: Annotated[InstantText | None, Field(description="of the session of a browser")]
    sign_in: SignInAnswer


class SignedOutAnswer(TypedDict):
    """The page on which the identity provider signs a browser out, too; null if it has none."""

    sign_out_url: str | None


def session_json(
    caller: Principal | None,
    expires_at: datetime | None,
    sign_in: SignInAnswer,
    *,
    authenticates: bool,
) -> SessionAnswer:
    """Describe the caller and the ways to sign in."""
    return {
        "authenticates": authenticates,
        "caller": None if caller is None else _caller_json(caller),
        "expires_at": format_instant(expires_at),
        "sign_in": sign_in,
    }


def _caller_json(caller: Principal) -> CallerAnswer:
    return {
        "name": caller.name,
        "display_name": caller.display_name or caller.name,
        "scopes": sorted(caller.scopes),
        "models": None if caller.models is None else sorted(caller.models),
        "portfolios": None if caller.portfolios is None else sorted(caller.portfolios),
    }
