"""Tokens of people who signed in with ``ordergen login``, one private file for each service.

A token is renewed when it is about to expire. The file is locked meanwhile, because a provider may
give a refresh token only once.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import httpx

from serve_app.loopback import is_private_on_the_way

FOLDER_VARIABLE: Final = "XDG_CONFIG_HOME"
RENEW_BEFORE_S: Final = 60
DEFAULT_LIFETIME_S: Final = 300
TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 256_000
REFUSED_STATUSES: Final = frozenset({400, 401})


class LoginError(Exception):
    """The identity provider gives no token, or not as OpenID Connect requires."""


@dataclass(frozen=True, slots=True)
class SavedLogin:
    """Tokens for one service, and the provider that renews them; times in seconds since 1970."""

    url: str
    issuer: str
    token_endpoint: str
    client_id: str
    resource: str | None
    access_token: str
    refresh_token: str | None
    expires_at: float

    @property
    def needs_renewal(self) -> bool:
        """True if the access token expires within a minute."""
        return time.time() > self.expires_at - RENEW_BEFORE_S

    def with_tokens(self, answer: Mapping[str, Any]) -> Self:
        """Return the login with the tokens of an answer of the token endpoint."""
        lifetime_s = answer.get("expires_in", DEFAULT_LIFETIME_S)
        access_token = answer.get("access_token")
        if not isinstance(access_token, str) or not isinstance(lifetime_s, int | float):
            raise LoginError("the identity provider answered without an access token")
        return replace(
            self,
            access_token=access_token,
            refresh_token=answer.get("refresh_token") or self.refresh_token,
            expires_at=time.time() + lifetime_s,
        )


class SavedToken:
    """The access token for a service that a person signed in to, renewed when it has to be."""

    def __init__(self, url: str) -> None:
        self._path = find_path(url)
        self._login: SavedLogin | None = None

    def __call__(self) -> str:
        """Return a token that is valid for the next minute, if the provider still gives one."""
        login = self._login or load_login(self._path)
        if login is None or login.needs_renewal:
            with _hold_lock(self._path):
                login = load_login(self._path)  # again, because another command may have renewed it
                if login is None:
                    raise LoginError("signed out meanwhile: ordergen login")
                if login.needs_renewal:
                    login = _renew(login)
                    save_login(login)
        self._login = login
        return login.access_token


def saved_token(url: str) -> SavedToken | None:
    """Return the token of ``ordergen login`` for this service; None if nobody signed in."""
    return SavedToken(url) if find_path(url).exists() else None


def find_path(url: str) -> Path:
    """Return the file of the login to a service."""
    folder = os.environ.get(FOLDER_VARIABLE) or Path.home() / ".config"
    name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    return Path(folder) / "ordergen" / f"login-{name}.json"


def load_login(path: Path) -> SavedLogin | None:
    """Read a login; None if there is none, or if the file is of another release."""
    try:
        return SavedLogin(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError):
        return None


def save_login(login: SavedLogin) -> Path:
    """Store a login for its owner's eyes alone; a reader sees it whole or not at all."""
    path = find_path(login.url)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(login), file)
    fresh.replace(path)
    return path


def discover(issuer: str) -> Mapping[str, Any]:
    """Read the discovery document of a provider; LoginError for another issuer."""
    document = call_provider("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if document.get("issuer") != issuer:
        raise LoginError(f"the discovery document is not one of {issuer}")
    return document


def call_provider(method: str, url: object, form: Mapping[str, str] | None = None) -> Any:
    """Call the identity provider; return the JSON object of its answer."""
    if not isinstance(url, str) or not is_private_on_the_way(url):
        raise LoginError(f"the identity provider names {url!r}, which is not https")
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client,
            client.stream(method, url, data=form) as response,
        ):
            body = b""
            for part in response.iter_bytes():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise LoginError(f"{url} answered more than {MAX_ANSWER_BYTES:,} bytes")
    except httpx.HTTPError as error:
        raise LoginError(f"{url} cannot be reached: {error}") from error
    try:
        answer = json.loads(body) if body else {}
    except (RecursionError, ValueError):
        answer = None
    if isinstance(answer, dict) and response.status_code in REFUSED_STATUSES:
        raise LoginError(f"the identity provider refuses: {str(answer.get('error'))[:60]!r}")
    if not isinstance(answer, dict) or not response.is_success:
        raise LoginError(f"{url} answered {response.status_code}")
    return answer


def _renew(login: SavedLogin) -> SavedLogin:
    if login.refresh_token is None:
        raise LoginError("the login expired: ordergen login")
    form = {
        "grant_type": "refresh_token",
        "refresh_token": login.refresh_token,
        "client_id": login.client_id,
    }
    if login.resource is not None:
        form["resource"] = login.resource
    return login.with_tokens(call_provider("POST", login.token_endpoint, form))


@contextmanager
def _hold_lock(path: Path) -> Generator[None]:
    with path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
