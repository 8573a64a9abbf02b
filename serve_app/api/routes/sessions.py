"""Routes of sessions: who is signed in, sign in with a key or at the identity provider, sign out.

The two steps at the provider are no operations of the API: a browser goes through them, and the
provider adds parameters of its own.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import RedirectResponse, Response

from serve_app.api.access import SESSION, find_caller
from serve_app.api.dependencies import ServiceSettings
from serve_app.api.exact_json import ExactRoute
from serve_app.api.identity import Identity
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.responses import json_response
from serve_app.api.schemas.sessions import (
    SessionAnswer,
    SessionPost,
    SignedOutAnswer,
    SignInAnswer,
    session_json,
)
from serve_app.api.session_cookies import ATTEMPT
from serve_app.api.session_cookies import SESSION as SESSION_COOKIE
from serve_app.auth.api_keys import parse_key
from serve_app.auth.errors import AuthenticationError, SignInFailedError
from serve_app.auth.oidc.sign_in import DEFAULT_PATH, SignIn, SignInAttempt
from serve_app.auth.principals import Principal
from serve_app.auth.sessions import ActiveSession
from serve_app.problems import catalogue
from serve_app.settings import Settings

router = APIRouter(tags=["sessions"], route_class=ExactRoute)

LOGIN: Final = "/session/login"
CALLBACK: Final = "/session/callback"
HOUR_S: Final = 3600
NO_STORE: Final = {"Cache-Control": "no-store"}
REFUSALS: Final = refuses(
    catalogue.SIGN_IN_FAILED,
    catalogue.SESSION_INSECURE,
    catalogue.INVALID_REQUEST,
    catalogue.STORAGE_UNAVAILABLE,
)


@router.get("/session", response_model=SessionAnswer)
async def read_session(request: Request, settings: ServiceSettings) -> Response:
    """Say who is signed in, and how one signs in; open to everybody."""
    caller, session = find_caller(request), _find_session(request)
    is_known = bool(caller.name) or not settings.authenticates
    expires_at = session and session.expires_at
    return _answer(request, settings, caller if is_known else None, expires_at)


@router.post("/session", response_model=SessionAnswer, responses=REFUSALS)
async def begin_session(request: Request, body: SessionPost, settings: ServiceSettings) -> Response:
    """Sign a browser in with an API key, which it sends this once; the answer sets a cookie.

    The session ends with the key, by signing out, or after SESSION_HOURS.
    """
    identity = _find_identity(request)
    if identity.keys is None or identity.sessions is None:
        raise SignInFailedError("the service takes no API keys")
    identity.cookies.base_url(request.headers)
    async with _record_refusal(request):
        try:
            caller = await identity.keys.authenticate(body.key)
        except AuthenticationError as error:
            raise SignInFailedError(str(error), error.caller) from None
    key = parse_key(body.key)
    assert key is not None
    secret, expires_at = await identity.sessions.begin(caller, key.key_id)
    response = _answer(request, settings, caller, expires_at)
    identity.cookies.set_session(response, secret, settings.session_hours * HOUR_S)
    return response


@router.delete(
    "/session", response_model=SignedOutAnswer, responses=refuses(catalogue.STORAGE_UNAVAILABLE)
)
async def end_session(request: Request) -> Response:
    """Sign a browser out: its session ends in every replica within 5 seconds."""
    identity = _find_identity(request)
    secret = identity.cookies.read_session(request.headers, request.method)
    url = None
    if secret is not None and identity.sessions is not None:
        await identity.sessions.end(secret)
        if identity.sign_in is not None:
            url = await identity.sign_in.sign_out_url()
    response = json_response({"sign_out_url": url}, headers=NO_STORE)
    identity.cookies.clear(response, SESSION_COOKIE)
    return response


def add_sign_in(app: FastAPI, sign_in: SignIn, session_hours: int) -> None:
    """Serve the two steps of signing in at the identity provider."""

    async def begin(request: Request) -> Response:
        cookies = _find_identity(request).cookies
        attempt = SignInAttempt.begin(request.query_params.get("return_to", DEFAULT_PATH))
        redirect_uri = cookies.base_url(request.headers) + CALLBACK
        url = await sign_in.authorization_url(attempt, redirect_uri)
        response = RedirectResponse(url, 303, NO_STORE)
        cookies.set_attempt(response, str(attempt))
        return response

    async def complete(request: Request) -> Response:
        identity = _find_identity(request)
        assert identity.sessions is not None
        cookies = identity.cookies
        async with _record_refusal(request):
            attempt = SignInAttempt.parse(cookies.read(request.headers, ATTEMPT) or "")
            redirect_uri = cookies.base_url(request.headers) + CALLBACK
            caller = await sign_in.complete(attempt, request.query_params, redirect_uri)
        secret, _ = await identity.sessions.begin(caller)
        response = RedirectResponse(attempt.return_to, 303, NO_STORE)
        cookies.set_session(response, secret, session_hours * HOUR_S)
        cookies.clear(response, ATTEMPT)
        return response

    app.add_route(LOGIN, begin, include_in_schema=False)
    app.add_route(CALLBACK, complete, include_in_schema=False)


def _answer(
    request: Request, settings: Settings, caller: Principal | None, expires_at: datetime | None
) -> Response:
    sign_in = _list_sign_in_ways(_find_identity(request), settings)
    body = session_json(caller, expires_at, sign_in, authenticates=settings.authenticates)
    return json_response(body, headers=NO_STORE)


def _list_sign_in_ways(identity: Identity, settings: Settings) -> SignInAnswer:
    has_provider = identity.provider is not None
    return {
        "accepts_keys": identity.keys is not None,
        "login": None if identity.sign_in is None else LOGIN,
        "issuer": settings.oidc_issuer if has_provider else None,
        "client_id": settings.oidc_cli_client_id if has_provider else None,
        "scope": " ".join(settings.oidc_scopes) if has_provider else None,
        "resource": settings.oidc_resource if has_provider else None,
    }


@asynccontextmanager
async def _record_refusal(request: Request) -> AsyncGenerator[None]:
    """Leave an entry in the audit log if nobody is signed in."""
    try:
        yield
    except SignInFailedError as error:
        path, recorder = request.url.path, _find_identity(request).refused_sign_ins
        if recorder is not None:
            await recorder.record(error.caller, f"{request.method} {path}", path, error)
        raise


def _find_identity(request: Request) -> Identity:
    state: Any = request.app.state
    return state.identity


def _find_session(request: Request) -> ActiveSession | None:
    return request.scope.get(SESSION)
