"""Answers of the service about sessions."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller with its scopes; ``models`` and ``portfolios`` are None without a limit."""

    name: str
    display_name: str
    scopes: tuple[str, ...]
    models: tuple[str, ...] | None
    portfolios: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class SignInWays:
    """Ways to sign in; all but ``accepts_keys`` are None without an identity provider."""

    accepts_keys: bool
    login: str | None
    issuer: str | None
    client_id: str | None
    scope: str | None
    resource: str | None


@dataclass(frozen=True, slots=True)
class SessionState:
    """The caller, None if nobody is signed in, and the ways to sign in."""

    authenticates: bool
    caller: Caller | None
    expires_at: datetime | None
    sign_in: SignInWays
