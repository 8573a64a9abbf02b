"""Identity: the parts by which an application knows its callers, made from the settings."""

from dataclasses import dataclass
from datetime import timedelta

from serve_app.api.dependencies import Ports
from serve_app.api.session_cookies import SessionCookies
from serve_app.auth.authentication import (
    ApiKeyAuthenticator,
    Authenticator,
    KeyOrTokenAuthenticator,
)
from serve_app.auth.oidc.authentication import build_token_authenticator, open_provider
from serve_app.auth.oidc.identity_provider import IdentityProvider
from serve_app.auth.oidc.sign_in import SignIn
from serve_app.auth.refusals import RefusalRecorder
from serve_app.auth.sessions import Sessions
from serve_app.settings import Settings
from storage.audit.trail import Action


@dataclass(frozen=True, slots=True)
class Identity:
    """Parts that authenticate; those that the settings leave out are None."""

    authenticator: Authenticator | None
    keys: ApiKeyAuthenticator | None
    provider: IdentityProvider | None
    sign_in: SignIn | None
    sessions: Sessions | None
    cookies: SessionCookies
    refused_sign_ins: RefusalRecorder | None


def build_identity(settings: Settings, ports: Ports) -> Identity:
    """Make the parts; they connect only when needed."""
    keys = ApiKeyAuthenticator(ports.store) if settings.accepts_keys else None
    provider = open_provider(settings) if settings.accepts_tokens else None
    is_client = provider is not None and settings.oidc_client_id is not None
    lifetime = timedelta(hours=settings.session_hours)
    return Identity(
        authenticator=_build_authenticator(settings, keys, provider),
        keys=keys,
        provider=provider,
        sign_in=SignIn(settings, provider) if provider is not None and is_client else None,
        sessions=Sessions(ports.store, keys, lifetime) if settings.authenticates else None,
        cookies=SessionCookies(settings),
        refused_sign_ins=RefusalRecorder(ports.store, Action.SIGN_IN_REFUSED)
        if settings.authenticates
        else None,
    )


def _build_authenticator(
    settings: Settings, keys: Authenticator | None, provider: IdentityProvider | None
) -> Authenticator | None:
    if provider is None:
        return keys
    tokens = build_token_authenticator(settings, provider)
    return tokens if keys is None else KeyOrTokenAuthenticator(keys, tokens)
