"""HTTP client of upstreams: bounds, retries and circuit breaker in one place."""

import asyncio
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import httpx
import stamina

from serve_app.call_context import correlation_id, traceparent
from serve_app.upstream.circuit_breaker import Breaker, BreakerState
from serve_app.upstream.credentials import AuthorizedTransport, Credentials
from serve_app.upstream.errors import (
    AnswerCutShortError,
    OutcomeUnknownError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from serve_app.upstream.http_exchange import (
    TRANSPORT_ERRORS,
    Request,
    Response,
    Transport,
    exchange,
)
from serve_app.upstream.http_transports import KeptConnections
from serve_app.upstream.request_observer import CallObserver, WatchedTransport
from serve_app.upstream.response_body import UnreadableError, parse_json
from serve_app.upstream.retry_policy import (
    CutShortError,
    NotSentError,
    Policy,
    TransientError,
    build_retry_hook,
    read_retry_after_s,
)
from serve_app.upstream.tls import describe_tls_failure

OK = frozenset({200})
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"python-httpx/{httpx.__version__}",
}
ASK_AGAIN_AFTER_S = 5.0
MAX_DETAIL_LENGTH = 300
HEALTH_WITHIN_S = 1.5
UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class UpstreamHealth:
    """Answer of an upstream's health route, and the state of the circuit to it."""

    is_healthy: bool
    breaker: BreakerState


class Client:
    """Client of one upstream: bounded, timed, guarded by a circuit breaker; GETs are retried.

    A client belongs to one event loop. The breaker counts calls, not attempts, because a short
    disturbance that a retry overcomes must not shut out other callers.
    """

    def __init__(
        self,
        upstream: str,
        base_url: str,
        policy: Policy,
        transport: Transport | None = None,
        observer: CallObserver | None = None,
        breaker: Breaker | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.upstream = upstream
        self.policy = policy
        transport = transport or KeptConnections(policy.concurrency + 1, policy.connect_s)
        if observer is not None:
            transport = WatchedTransport(upstream, transport, observer)
        url = httpx.URL(base_url)
        if credentials is not None and not url.userinfo:
            transport = AuthorizedTransport(transport, credentials)
        self._transport = transport
        self._base_url = str(url.copy_with(userinfo=b"")).rstrip("/")
        self._headers = {**HEADERS, **_build_authorization(url)}
        self._slots = asyncio.Semaphore(policy.concurrency)
        threshold, pause_s = policy.breaker_threshold, policy.breaker_pause_s
        self._breaker = breaker or Breaker(upstream, threshold, pause_s)

    @property
    def probes_next(self) -> bool:
        """True if the next call is at best a probe: no other call is admitted beside it."""
        return not self._breaker.is_closed

    async def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        accept: frozenset[int] = OK,
    ) -> Response:
        """Send a GET and return the response, whose status is one of ``accept``."""
        request = self._build_request("GET", path, params=params)
        async with self._slots:
            try:
                with self._breaker.admit() as probe:
                    return await self._attempt(request, accept, probe)
            except CutShortError as error:
                raise AnswerCutShortError(self.upstream, error.detail) from error
            except TransientError as error:
                wait_s = error.retry_after_s or ASK_AGAIN_AFTER_S
                raise UpstreamUnavailableError(self.upstream, error.detail, wait_s) from error

    async def send_once(self, method: str, path: str, body: bytes, within_s: float) -> Response:
        """Send a JSON body at most once and return the response, whose status is below 500.

        Raises UpstreamUnavailableError if the body was not sent, and OutcomeUnknownError if it was
        sent and no answer tells its effect. The client needs ``single_use_transport``.
        """
        request = self._build_request(method, path, body)
        async with self._slots:
            try:
                with self._breaker.admit():
                    return await self._connect_and_send(request, within_s)
            except NotSentError as error:
                wait_s = ASK_AGAIN_AFTER_S
                raise UpstreamUnavailableError(self.upstream, error.detail, wait_s) from error
            except TransientError as error:
                raise OutcomeUnknownError(self.upstream, error.detail) from error

    async def get_json(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """GET the body of a 200, with exact numbers."""
        return self.parse(await self.get(path, params))

    async def get_json_if_found(self, path: str, what: str) -> Any | None:
        """GET the object in the body of a 200; None for a 404."""
        response = await self.get(path, accept=frozenset({200, 404}))
        body = self.parse(response)  # parsed for a 404, too, because a proxy's 404 is not JSON
        if response.status_code == 404:
            return None
        with self.translate_read_errors(what):
            if body is None:  # because otherwise it would look like a 404
                raise TypeError("null is no object")
        return body

    def parse(self, response: Response) -> Any:
        """Parse the body as strict JSON, with Decimals for numbers that have a fraction."""
        try:
            return parse_json(response.content)
        except UnreadableError as error:
            raise self._build_contract_error(response.request, error) from None

    @contextmanager
    def translate_read_errors(self, what: str) -> Generator[None]:
        """Translate errors from reading the values of an answer into UpstreamContractError."""
        try:
            yield
        except UNREADABLE as error:
            reason = f"{type(error).__name__}: {str(error)[:MAX_DETAIL_LENGTH]}"
            detail = f"{what} could not be read ({reason})"
            raise UpstreamContractError(self.upstream, detail) from None

    async def check_health(self, path: str, within_s: float = HEALTH_WITHIN_S) -> UpstreamHealth:
        """Call the health route once, past the breaker and without a retry; never raise."""
        try:
            async with asyncio.timeout(within_s):
                response = await self._transport.send(self._build_request("GET", path))
                await response.close()
            is_healthy = response.status == 200
        except (*TRANSPORT_ERRORS, TransientError):  # TimeoutError is an OSError
            is_healthy = False
        return UpstreamHealth(is_healthy, self._breaker.state)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _attempt(self, request: Request, accept: frozenset[int], probe: bool) -> Response:
        deadline = time.monotonic() + self.policy.budget_s
        try:
            return await self._try_once(request, accept, deadline)
        except TransientError as error:
            if probe:
                raise
            return await self._retry(request, accept, deadline, error)

    async def _retry(
        self,
        request: Request,
        accept: frozenset[int],
        deadline: float,
        first: TransientError,
    ) -> Response:
        # The first failure is replayed into stamina, because a call that succeeds at once then
        # never pays for the retry context.
        is_replayed = False
        on = build_retry_hook(self.policy, deadline)
        async for attempt in stamina.retry_context(on, attempts=self.policy.tries, timeout=None):
            with attempt:
                if not is_replayed:
                    is_replayed = True
                    raise first
                self._breaker.require_closed()
                return await self._try_once(request, accept, deadline)
        raise first

    async def _connect_and_send(self, request: Request, within_s: float) -> Response:
        """Connect, with the retries of the policy, and send once."""
        choose_pause_s = build_retry_hook(self.policy, time.monotonic() + self.policy.total_s)

        def choose_unsent_pause_s(error: Exception) -> bool | float:
            return isinstance(error, NotSentError) and choose_pause_s(error)

        tries = self.policy.tries
        async for attempt in stamina.retry_context(
            on=choose_unsent_pause_s, attempts=tries, timeout=None
        ):
            with attempt:
                return await self._send(request, within_s)
        raise AssertionError

    async def _send(self, request: Request, within_s: float) -> Response:
        try:
            async with asyncio.timeout(within_s):
                response = await self._exchange(request, None)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotSentError(_describe_failure(request, error), True, None) from error
        except TimeoutError as error:
            raise TransientError(
                f"{request.path} took over {within_s:.3g} s", True, None
            ) from error
        except TRANSPORT_ERRORS as error:
            raise TransientError(_describe_failure(request, error), True, None) from error
        except UnreadableError as error:
            raise TransientError(f"the answer of {request.path} {error}", False, None) from error
        if response.status_code >= 500:
            text = response.content.decode(errors="replace")[:MAX_DETAIL_LENGTH]
            detail = f"{request.path} answered {response.status_code}: {text}"
            raise TransientError(detail, True, None)
        return response

    async def _try_once(
        self, request: Request, accept: frozenset[int], deadline: float
    ) -> Response:
        limit_s = min(self.policy.total_s, deadline - time.monotonic())
        try:
            async with asyncio.timeout(limit_s):
                response = await self._exchange(request, accept)
        except TimeoutError as error:
            raise TransientError(f"{request.path} took over {limit_s:.3g} s", True, None) from error
        except aiohttp.ClientResponseError as error:
            detail = (
                f"the answer of {request.path} is not HTTP ({error.message[:MAX_DETAIL_LENGTH]})"
            )
            raise UpstreamContractError(self.upstream, detail) from error
        except TRANSPORT_ERRORS as error:
            raise TransientError(_describe_failure(request, error), True, None) from error
        except UnreadableError as error:
            raise self._build_contract_error(request, error) from error
        status = response.status_code
        if status in accept:
            return response
        detail = f"{request.path} answered {status}"
        if status == 429 or status >= 500:
            raise TransientError(detail, status >= 500, read_retry_after_s(response.retry_after))
        raise UpstreamContractError(self.upstream, detail)

    async def _exchange(self, request: Request, accept: frozenset[int] | None) -> Response:
        return await exchange(self._transport, request, accept, self.policy.max_answer_bytes)

    def _build_request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> Request:
        headers = {**self._headers, **_build_context_headers()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        query = f"?{urlencode(params)}" if params else ""
        return Request(method, f"{self._base_url}{path}{query}", headers, body)

    def _build_contract_error(
        self, request: Request, error: UnreadableError
    ) -> UpstreamContractError:
        return UpstreamContractError(self.upstream, f"the answer of {request.path} {error}")


def _describe_failure(request: Request, error: Exception) -> str:
    """Say what failed, without the text of the error, which may have an address."""
    return f"{request.path}: {describe_tls_failure(error) or type(error).__name__}"


def _build_authorization(url: httpx.URL) -> dict[str, str]:
    """Build the header of a user and password that an address has."""
    if not url.userinfo:
        return {}
    request = httpx.Request("GET", url)
    next(httpx.BasicAuth(url.username, url.password).auth_flow(request))
    return {"Authorization": request.headers["Authorization"]}


def _build_context_headers() -> dict[str, str]:
    headers = {"X-Correlation-ID": correlation_id.get(), "traceparent": traceparent.get()}
    return {name: value for name, value in headers.items() if value}
