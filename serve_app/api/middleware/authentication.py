"""Authentication of requests, before a route sees them, as plain ASGI."""

import re
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.api.access import PRINCIPAL, SESSION
from serve_app.api.identity import Identity
from serve_app.auth.errors import INVALID, AuthenticationError
from serve_app.auth.principals import METRICS_READER, UNKNOWN_CALLER, Principal
from serve_app.auth.rate_limits import RateLimiter
from serve_app.auth.refusals import REFUSALS, RefusalRecorder
from serve_app.call_context import principal
from serve_app.settings import Settings
from serve_app.web import OPEN_PATHS as PAGE_FILES

LIVENESS: Final = "/health/live"  # never authenticated, because it answers without the database
HEALTH: Final = r"/health(/.*)?"
DOCS: Final = r"/(docs|redoc|openapi\.json|docs-files/.*|problems(/.*)?)"
SIGN_IN: Final = r"/session(/login|/callback)?"
METRICS: Final = r"/metrics"
MAX_TOKEN_LENGTH: Final = 16_384
MISSING: Final = "send an API key or a token as Authorization: Bearer ..."


class Authentication:
    """Finds the principal of each request; refuses requests that have none, except on open paths.

    A principal of an open path has only the scopes that the path needs.
    """

    def __init__(
        self,
        app: ASGIApp,
        identity: Identity,
        open_paths: Mapping[str, Principal],
        refusals: RefusalRecorder,
        rate_limiter: RateLimiter | None = None,
    ) -> None:
        self.app = app
        self.identity = identity
        self.refusals = refusals
        self.rate_limiter = rate_limiter
        self.open_paths = [(re.compile(path), caller) for path, caller in open_paths.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == LIVENESS:
            await self.app(scope, receive, send)
            return
        caller = await self._authenticate(Headers(scope=scope), scope)
        scope[PRINCIPAL] = caller
        principal.set(caller.name)
        if self.rate_limiter is not None and caller.name:
            self.rate_limiter.take(caller.name)
        try:
            await self.app(scope, receive, send)
        except REFUSALS as error:
            if caller.name:  # because a caller without credentials is told to send some
                route = getattr(scope.get("route"), "path", scope["path"])
                operation = f"{scope['method']} {route}"
                await self.refusals.record(caller.name, operation, scope["path"], error)
            raise

    async def _authenticate(self, headers: Headers, scope: Scope) -> Principal:
        credentials = headers.getlist("authorization")
        if not credentials:
            return await self._find_session(headers, scope) or self._find_open(scope["path"])
        scheme, _, token = credentials[0].strip().partition(" ")
        if (
            len(credentials) > 1
            or scheme.lower() != "bearer"
            or self.identity.authenticator is None
        ):
            raise AuthenticationError(MISSING)
        if len(token) > MAX_TOKEN_LENGTH:
            raise AuthenticationError(INVALID)
        return await self.identity.authenticator.authenticate(token.strip())

    async def _find_session(self, headers: Headers, scope: Scope) -> Principal | None:
        """Return the principal that signed in with this browser; None without an open session."""
        secret = self.identity.cookies.read_session(headers, scope["method"])
        if secret is None or self.identity.sessions is None:
            return None
        try:
            session = await self.identity.sessions.find(secret)
        except AuthenticationError:
            return None  # because the page has to be able to sign in again
        scope[SESSION] = session
        return session.principal

    def _find_open(self, path: str) -> Principal:
        for pattern, caller in self.open_paths:
            if pattern.fullmatch(path):
                return caller
        raise AuthenticationError(MISSING, is_missing=True)


def open_paths(settings: Settings) -> Mapping[str, Principal]:
    """Return the paths that need no credentials, with the principal of their callers."""
    docs = {DOCS: UNKNOWN_CALLER} if settings.open_docs else {}
    metrics = {METRICS: METRICS_READER} if settings.open_metrics else {}
    return {
        HEALTH: UNKNOWN_CALLER,
        PAGE_FILES: UNKNOWN_CALLER,
        SIGN_IN: UNKNOWN_CALLER,
        **docs,
        **metrics,
    }
