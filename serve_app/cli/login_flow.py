"""Sign-in of a person at a terminal: the code flow with PKCE, over a redirect to this machine."""

import http.server
import secrets
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from serve_app.client.saved_login import LoginError, SavedLogin, call_provider, discover
from serve_app.pkce import METHOD, derive_challenge, make_verifier

if TYPE_CHECKING:
    from serve_app.client.responses.sessions import SignInWays

CALLBACK: Final = "/callback"
OFFLINE: Final = "offline_access"
WAIT_S: Final = 300.0
DONE: Final = b"<!doctype html><title>ordergen</title><p>Signed in. You may close this page."
FAILED: Final = b"<!doctype html><title>ordergen</title><p>Not signed in: see the terminal."


def sign_in(url: str, ways: "SignInWays", show: Callable[[str], None]) -> SavedLogin:
    """Sign a person in; ``show`` presents the page of the provider to the person.

    Raises LoginError unless the provider answers this attempt, within five minutes.
    """
    assert ways.issuer is not None
    assert ways.client_id is not None
    provider = discover(ways.issuer)
    token_endpoint = str(provider.get("token_endpoint"))
    state, verifier = secrets.token_urlsafe(32), make_verifier()
    with _Loopback(state) as listener:
        show(_build_page_url(provider, ways, listener, verifier))
        answer = listener.wait()
        if answer.get("iss", ways.issuer) != ways.issuer:
            raise LoginError("another identity provider answered")
        form = {
            "grant_type": "authorization_code",
            "client_id": ways.client_id,
            "code": answer["code"],
            "redirect_uri": listener.redirect_uri,
            "code_verifier": verifier,
            **_build_resource(ways),
        }
        tokens = call_provider("POST", token_endpoint, form)
    login = SavedLogin(
        url, ways.issuer, token_endpoint, ways.client_id, ways.resource, "", None, 0.0
    )
    return login.with_tokens(tokens)


def _build_page_url(
    provider: Mapping[str, Any], ways: "SignInWays", listener: "_Loopback", verifier: str
) -> str:
    """Build the address of the sign-in page, which sends the browser back to the listener."""
    words = [*(ways.scope or "openid").split(), OFFLINE]
    query = {
        "response_type": "code",
        "client_id": ways.client_id,
        "redirect_uri": listener.redirect_uri,
        "scope": " ".join(dict.fromkeys(words)),
        "state": listener.state,
        "code_challenge": derive_challenge(verifier),
        "code_challenge_method": METHOD,
        "prompt": "consent",  # because there is no refresh token without consent
        **_build_resource(ways),
    }
    endpoint = str(provider.get("authorization_endpoint"))
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def revoke_login(login: SavedLogin) -> None:
    """Tell the provider that the login has ended (RFC 7009); LoginError if it does not listen."""
    endpoint = discover(login.issuer).get("revocation_endpoint")
    if endpoint is not None and login.refresh_token is not None:
        form = {"token": login.refresh_token, "client_id": login.client_id}
        call_provider("POST", endpoint, form)


def _build_resource(ways: "SignInWays") -> dict[str, str]:
    return {} if ways.resource is None else {"resource": ways.resource}


class _Loopback(http.server.HTTPServer):
    """Server on this machine that takes one answer of the provider: the one with the state."""

    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.answer: dict[str, str] | None = None
        self.timeout = 1.0  # because otherwise the time limit below would go unnoticed

    @property
    def redirect_uri(self) -> str:
        """Address to which the provider sends the browser back."""
        return f"http://127.0.0.1:{self.server_port}{CALLBACK}"

    def wait(self) -> dict[str, str]:
        """Return the answer with a code."""
        until = time.monotonic() + WAIT_S
        while self.answer is None:
            if time.monotonic() > until:
                raise LoginError(f"nobody signed in within {WAIT_S:.0f} seconds")
            self.handle_request()
        if "code" not in self.answer:
            error = self.answer.get("error", "")[:60]
            raise LoginError(f"the identity provider refuses: {error!r}")
        return self.answer


class _Handler(http.server.BaseHTTPRequestHandler):
    """Handler that takes the answer; every other request gets a 404 and ends nothing."""

    timeout = 5.0  # because a client that sends nothing would keep the person waiting
    server: Any

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        answer = {name: values[0] for name, values in parse_qs(parts.query).items()}
        state = answer.get("state", "").encode()
        is_ours = secrets.compare_digest(state, self.server.state.encode())
        if parts.path != CALLBACK or not is_ours:
            self.send_error(404)
            return
        self.server.answer = answer
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(DONE if "code" in answer else FAILED)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - of the library
        """Log nothing, because the path has the code."""
