"""Credentials for upstreams: a fixed Authorization header, or tokens of OAuth 2.0.

Tokens come by the client credentials grant (RFC 6749, section 4.4). A process has one token for all
its upstreams.
"""

import asyncio
import base64
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote_plus, urlencode

from serve_app.upstream.http_exchange import (
    TRANSPORT_ERRORS,
    Request,
    Response,
    ResponseStream,
    Transport,
    exchange,
)
from serve_app.upstream.response_body import UnreadableError, parse_json
from serve_app.upstream.retry_policy import NotSentError, TransientError, read_retry_after_s
from serve_app.upstream.tls import describe_tls_failure

UNAUTHORIZED: Final = 401
MAX_ANSWER_BYTES: Final = 65_536
DEFAULT_LIFETIME_S: Final = 300.0  # the endpoint may not say how long a token is valid
MAX_LIFETIME_S: Final = 86_400.0
RENEW_BEFORE_END_S: Final = 30.0
# A younger token is not replaced, because an upstream that refuses every token would otherwise
# cost the endpoint one request for each of its own.
MIN_AGE_S: Final = 5.0
PAUSE_S: Final = 1.0
# Longer than a call lasts, because repeated wrong secrets make endpoints lock a client.
PAUSE_AFTER_REFUSAL_S: Final = 30.0
TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
ERROR_CODE: Final = re.compile(r"[a-z_]{1,40}")

logger = logging.getLogger(__name__)


class Credentials(Protocol):
    """Source of the Authorization header."""

    async def authorize(self) -> str:
        """Return the value of the header. Raises NotSentError if there is none."""
        ...

    async def replace(self, refused_header: str) -> str | None:
        """Return another value after a 401 for this one; None if there is no other."""
        ...


class AuthorizedTransport:
    """Transport that sends credentials, and repeats a request once with newer ones after a 401.

    The repeat is safe, because a request that is answered 401 was not carried out.
    """

    def __init__(self, transport: Transport, credentials: Credentials) -> None:
        self._transport = transport
        self._credentials = credentials

    async def send(self, request: Request) -> ResponseStream:
        """Send a request; return its response once the head is here."""
        header = await self._credentials.authorize()
        response = await self._transport.send(_replace_header(request, header))
        if response.status != UNAUTHORIZED:
            return response
        other = await self._replace(header)
        if other is None:
            return response
        await response.close()
        return await self._transport.send(_replace_header(request, other))

    async def _replace(self, refused_header: str) -> str | None:
        try:
            return await self._credentials.replace(refused_header)
        except NotSentError:
            return None  # the 401 says more than that there is no newer token

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()


@dataclass(frozen=True, slots=True)
class FixedCredentials:
    """Header that is the same in every request."""

    header: str

    async def authorize(self) -> str:
        """Return the header."""
        return self.header

    async def replace(self, refused_header: str) -> str | None:  # noqa: ARG002 - of the protocol
        """Return None, because there is no other header."""
        return None


@dataclass(frozen=True, slots=True)
class Token:
    """Header with a token, and the seconds for which it is valid."""

    header: str
    lifetime_s: float


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Token endpoint with the credentials of this client."""

    url: str
    client_id: str
    client_secret: str
    scope: str | None
    transport: Transport
    within_s: float

    async def fetch(self) -> Token:
        """Get a token. Raises NotSentError, whose ``retry_after_s`` says when to ask again."""
        fields = {"grant_type": "client_credentials"}
        if self.scope:
            fields["scope"] = self.scope
        # Id and secret are encoded, because RFC 6749 (2.3.1) wants it, and a colon ends the id.
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        headers = {
            "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        request = Request("POST", self.url, headers, urlencode(fields).encode())
        try:
            async with asyncio.timeout(self.within_s):
                response = await exchange(self.transport, request, None, MAX_ANSWER_BYTES)
        except (*TRANSPORT_ERRORS, TransientError) as error:  # TimeoutError is an OSError
            reason = describe_tls_failure(error) or type(error).__name__
            raise _build_failure(f"does not answer: {reason}", PAUSE_S) from error
        except UnreadableError as error:
            raise _build_failure(
                f"answered with a body that {error}", PAUSE_AFTER_REFUSAL_S
            ) from None
        return _read_token(response)


class ClientCredentials:
    """Tokens of one endpoint: kept, and renewed before they end, by one request for all callers.

    After a failed request the endpoint is left alone for a while, and the token at hand is used to
    its end. Belongs to one event loop.
    """

    def __init__(
        self, endpoint: TokenEndpoint, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._header: str | None = None
        self._fetched_at = self._renew_at = self._ends_at = clock()
        self._failure: NotSentError | None = None
        self._next_fetch_at = clock()
        self._renewal: asyncio.Task[None] | None = None

    async def authorize(self) -> str:
        """Return a header whose token is valid for some time yet."""
        now = self._clock()
        if self._header is None or now >= self._ends_at:
            return await self._renew()
        if now >= self._renew_at and now >= self._next_fetch_at:
            self._begin_renewal()  # not awaited, because the token at hand is still valid
        return self._header

    async def replace(self, refused_header: str) -> str | None:
        """Return the header of a newer token; None if the refused one is the newest there can be.

        Raises NotSentError if the endpoint gives none.
        """
        if self._header is not None and self._header != refused_header:
            return self._header
        if self._clock() < self._fetched_at + MIN_AGE_S:
            return None
        return await self._renew()

    async def _renew(self) -> str:
        if self._failure is not None and self._clock() < self._next_fetch_at:
            raise _copy_error(self._failure)
        # The request is shielded, because others wait for it when this caller leaves.
        await asyncio.shield(self._begin_renewal())
        if self._failure is not None:
            raise _copy_error(self._failure)
        assert self._header is not None
        return self._header

    def _begin_renewal(self) -> asyncio.Task[None]:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._fetch())
        return self._renewal

    async def _fetch(self) -> None:
        begin = self._clock()
        try:
            token = await self._endpoint.fetch()
        except NotSentError as error:
            self._failure = error
            self._next_fetch_at = self._clock() + (error.retry_after_s or PAUSE_S)
            logger.warning("%s", error.detail)
            return
        self._failure = None
        self._header = token.header
        self._fetched_at = begin
        self._ends_at = begin + token.lifetime_s
        self._renew_at = self._ends_at - min(RENEW_BEFORE_END_S, token.lifetime_s / 5)


def _read_token(response: Response) -> Token:
    """Read the answer of the endpoint; never quote it, because it has the token."""
    status = response.status_code
    if status == 429 or status >= 500:
        wait_s = read_retry_after_s(response.retry_after) or PAUSE_S
        raise _build_failure(f"answered {status}", wait_s)
    members = _read_members(response.content)
    if status != 200:
        code = str(members.get("error", ""))
        reason = f" ({code})" if ERROR_CODE.fullmatch(code) else ""
        raise _build_failure(f"answered {status}{reason}", PAUSE_AFTER_REFUSAL_S)
    token, kind = members.get("access_token"), members.get("token_type", "Bearer")
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        raise _build_failure("answered without an access_token", PAUSE_AFTER_REFUSAL_S)
    if str(kind).lower() != "bearer":
        raise _build_failure("answered with a token that is no Bearer token", PAUSE_AFTER_REFUSAL_S)
    return Token(f"Bearer {token}", _read_lifetime_s(members.get("expires_in")))


def _read_members(body: bytes) -> dict[str, Any]:
    """Read a JSON object; anything else has no members."""
    try:
        answer = parse_json(body)
    except UnreadableError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _read_lifetime_s(value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        return DEFAULT_LIFETIME_S
    return min(seconds, MAX_LIFETIME_S) if seconds > 0 else DEFAULT_LIFETIME_S


def _build_failure(reason: str, wait_s: float) -> NotSentError:
    # No breaker counts the error, because the upstream was not asked.
    return NotSentError(f"the token endpoint {reason}", False, wait_s)


def _copy_error(error: NotSentError) -> NotSentError:
    """Copy an error, because each raise of one object would lengthen its traceback."""
    return NotSentError(error.detail, error.is_counted, error.retry_after_s)


def _replace_header(request: Request, value: str) -> Request:
    headers = {**request.headers, "Authorization": value}
    return Request(request.method, request.url, headers, request.body)
