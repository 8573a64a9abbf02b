"""Sign-in of people at the identity provider: the code flow of OpenID Connect, with PKCE.

The browser keeps the secrets of its attempt in a cookie, so that no replica has to remember it and
nobody else can complete it.
"""

import json
import logging
import re
import secrets
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self
from urllib.parse import quote_plus, urlencode

from optimization.errors import RuleError
from serve_app.auth.errors import AuthenticationError, ProviderUnavailableError, SignInFailedError
from serve_app.auth.oidc.authentication import build_verifier
from serve_app.auth.oidc.claims import ClaimNames
from serve_app.auth.oidc.identity_provider import IdentityProvider
from serve_app.auth.principals import Principal
from serve_app.pkce import METHOD, derive_challenge, make_verifier
from serve_app.settings import IdentitySettings
from serve_app.upstream.http_exchange import Request

STATE_BYTES: Final = 32
MAX_PATH_LENGTH: Final = 1000
# A path of this service: a second slash or a backslash would begin the name of another.
OWN_PATH: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")
DEFAULT_PATH: Final = "/console"
REFUSED: Final = frozenset({400, 401, 403})
HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Content-Type": "application/x-www-form-urlencoded",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """Secrets of one attempt to sign in, and the path that the browser wants afterwards."""

    state: str
    nonce: str
    verifier: str
    return_to: str

    @classmethod
    def begin(cls, return_to: str) -> Self:
        """Begin an attempt; raises RuleError if the path is not one of this service."""
        if len(return_to) > MAX_PATH_LENGTH or not OWN_PATH.fullmatch(return_to):
            raise RuleError(("return_to",), return_to, "a path of this service, such as /console")
        state, nonce = (secrets.token_urlsafe(STATE_BYTES) for _ in range(2))
        return cls(state, nonce, make_verifier(), return_to)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of an attempt; raises SignInFailedError for any other text."""
        try:
            members = json.loads(urlsafe_b64decode(text))
            state, nonce, verifier, return_to = (
                str(members[name]) for name in ("state", "nonce", "verifier", "return_to")
            )
        except (KeyError, RecursionError, TypeError, ValueError):
            raise SignInFailedError("this browser did not begin it, or too long ago") from None
        if not OWN_PATH.fullmatch(return_to):  # because other sites may set cookies, too
            raise SignInFailedError("the path to return to is not one of this service")
        return cls(state, nonce, verifier, return_to)

    def __str__(self) -> str:
        return urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()


class SignIn:
    """Sign-in at one provider, as the client that is registered there."""

    def __init__(self, settings: IdentitySettings, provider: IdentityProvider) -> None:
        assert settings.oidc_client_id is not None
        self.issuer = provider.issuer
        self.client_id = settings.oidc_client_id
        self._settings = settings
        self._provider = provider
        self._verifier = build_verifier(settings, provider)
        self._claim_names = ClaimNames.read(settings)

    async def authorization_url(self, attempt: SignInAttempt, redirect_uri: str) -> str:
        """Return the page of the provider on which the person signs in."""
        endpoint = (await self._provider.read_metadata()).authorization_endpoint
        if endpoint is None:
            raise ProviderUnavailableError("the provider names no authorization_endpoint")
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._settings.oidc_scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": derive_challenge(attempt.verifier),
            "code_challenge_method": METHOD,
            **self._resource(),
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def complete(
        self, attempt: SignInAttempt, answer: Mapping[str, str], redirect_uri: str
    ) -> Principal:
        """Return who signed in, by the query with which the provider sent the browser back.

        Raises SignInFailedError unless the query answers this attempt and proves who signed in.
        """
        if not secrets.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise SignInFailedError("this browser did not begin it, or began another since")
        if answer.get("iss", self.issuer) != self.issuer:  # RFC 9207
            raise SignInFailedError("another provider answered")
        if "code" not in answer:
            raise SignInFailedError(f"the provider says {_plain(answer.get('error'))}")
        tokens = await self._redeem(answer["code"], attempt, redirect_uri)
        try:
            return self._claim_names.build_principal(await self._choose_claims(tokens, attempt))
        except AuthenticationError as error:
            raise SignInFailedError(str(error)) from None

    async def sign_out_url(self) -> str | None:
        """Return the page on which the person signs out at the provider; None if it has none.

        It leads back to the service if that is known at the provider by PUBLIC_URL.
        """
        try:
            endpoint = (await self._provider.read_metadata()).end_session_endpoint
        except ProviderUnavailableError:
            return None  # because the session here ends all the same
        if endpoint is None:
            return None
        query = {"client_id": self.client_id}
        if self._settings.public_url is not None:
            query["post_logout_redirect_uri"] = f"{self._settings.public_url}{DEFAULT_PATH}"
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def _choose_claims(self, tokens: Mapping[str, Any], attempt: SignInAttempt) -> Any:
        """Return the claims of the access token if it is for this service, else of the id token.

        A person then has the same rights here as a program that sends that access token.
        """
        id_claims = await self._verifier.verify(str(tokens.get("id_token")), self.client_id)
        if id_claims.get("nonce") != attempt.nonce:
            raise SignInFailedError("the id token answers another attempt")
        if id_claims.get("azp", self.client_id) != self.client_id:
            raise SignInFailedError("the id token is for another client")
        audience = self._settings.oidc_audience
        assert audience is not None
        try:
            claims = await self._verifier.verify(str(tokens.get("access_token")), audience)
        except AuthenticationError:
            return id_claims
        return claims if claims["sub"] == id_claims["sub"] else id_claims

    async def _redeem(
        self, code: str, attempt: SignInAttempt, redirect_uri: str
    ) -> Mapping[str, Any]:
        metadata = await self._provider.read_metadata()
        if metadata.token_endpoint is None:
            raise ProviderUnavailableError("the provider names no token_endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": attempt.verifier,
            "client_id": self.client_id,
            **self._resource(),
        }
        headers = dict(HEADERS)
        secret = self._settings.oidc_client_secret
        if secret is not None and metadata.takes_basic:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(secret.get_secret_value())}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        elif secret is not None:
            form["client_secret"] = secret.get_secret_value()
        body = urlencode(form).encode()
        request = Request("POST", metadata.token_endpoint, headers, body)
        tokens = await self._provider.fetch_json(request, {200, *REFUSED})
        if not isinstance(tokens, dict) or "error" in tokens or "id_token" not in tokens:
            reason = _plain(tokens.get("error") if isinstance(tokens, dict) else None)
            logger.warning("the identity provider refused a code: %s", reason)
            raise SignInFailedError(f"the provider says {reason}")
        return tokens

    def _resource(self) -> dict[str, str]:
        resource = self._settings.oidc_resource
        return {} if resource is None else {"resource": resource}


def _plain(code: Any) -> str:
    """Return an error code of the provider (RFC 6749, 4.1.2.1), if it is one."""
    is_code = isinstance(code, str) and re.fullmatch(r"[a-z_]{1,60}", code)
    return str(code) if is_code else "nothing that is understood"
