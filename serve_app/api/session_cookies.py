"""Cookies of sessions, and the address of the service in browsers."""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

from serve_app.api.browser_requests import is_own_page
from serve_app.loopback import is_loopback
from serve_app.problems.errors import SessionInsecureError
from serve_app.settings import Settings

SESSION: Final = "ordergen-session"
ATTEMPT: Final = "ordergen-sign-in"
ATTEMPT_LIFETIME_S: Final = 600
HOST_PREFIX: Final = "__Host-"  # browsers refuse a cookie with this prefix that another site sets


class SessionCookies:
    """Cookies by the rules of one service: hidden from scripts, and never sent by other sites."""

    def __init__(self, settings: Settings) -> None:
        self._public_url = settings.public_url
        self._has_tls = settings.tls_certificate is not None
        self._is_secure = self._has_tls or (settings.public_url or "").startswith("https:")
        self._prefix = HOST_PREFIX if self._is_secure else ""

    def base_url(self, headers: Headers) -> str:
        """Return the address of the service for the browser that sent these headers.

        Raises SessionInsecureError if a cookie would travel in the clear.
        """
        if self._public_url is not None:
            return self._public_url
        host = headers.get("host", "")
        if self._has_tls:
            return f"https://{host}"
        if not is_loopback(urlsplit(f"//{host}").hostname or ""):
            raise SessionInsecureError(host)
        return f"http://{host}"

    def read(self, headers: Headers, name: str) -> str | None:
        """Return the value of one of the cookies, if the browser sent it."""
        cookies = cookie_parser("; ".join(headers.getlist("cookie")))
        return cookies.get(self._prefix + name)

    def read_session(self, headers: Headers, method: str) -> str | None:
        """Return the secret of a session, if a page of this service made the request."""
        return self.read(headers, SESSION) if is_own_page(headers, method) else None

    def set_session(self, response: Response, secret: str, lifetime_s: int) -> None:
        """Let the browser keep a session."""
        self._set(response, SESSION, secret, lifetime_s, is_strict=True)

    def set_attempt(self, response: Response, attempt: str) -> None:
        """Let the browser keep an attempt to sign in until it comes back from the provider."""
        self._set(response, ATTEMPT, attempt, ATTEMPT_LIFETIME_S, is_strict=False)

    def clear(self, response: Response, *names: str) -> None:
        """Let the browser forget cookies."""
        for name in names:
            self._set(response, name, "", 0, is_strict=name == SESSION)

    def _set(
        self, response: Response, name: str, value: str, lifetime_s: int, *, is_strict: bool
    ) -> None:
        response.set_cookie(
            self._prefix + name,
            value,
            max_age=lifetime_s,
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="strict" if is_strict else "lax",
        )
