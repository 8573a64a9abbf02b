"""Client: the one policy under which any upstream is called."""

import asyncio
import json
import time
from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import aiohttp
import httpx
import stamina
from httpx_aiohttp import AiohttpTransport

from serve_app.correlation import correlation_id
from serve_app.upstream.breaker import Breaker
from serve_app.upstream.errors import (
    OutcomeUnknownError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from serve_app.upstream.policy import (
    NotSentError,
    Policy,
    TransientError,
    pauses,
    retry_after_s,
)
from serve_app.upstream.watch import Told, WatchedTransport

OK = frozenset({200})
ASK_AGAIN_AFTER_S = 5.0
MOST_IN_DETAIL = 300
# aiohttp's own errors pass the httpx transport where it has no mapping for them.
TRANSPORT_ERRORS = (httpx.HTTPError, aiohttp.ClientError, OSError)


def plain_transport() -> httpx.AsyncBaseTransport:
    """The transport for a client that posts: a new connection for every request, no retries.

    httpx-aiohttp takes a connection that broke after the request went out for one that was not made,
    and one that was kept may break at its next use: both would leave open whether a POST went out.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(limits=limits, retries=0, trust_env=False)


class Client:
    """Requests to one upstream: bounded, timed, guarded by a circuit breaker; GETs are retried.

    One client belongs to one event loop. The breaker counts calls, not tries: a short disturbance
    that a retry overcomes must not shut everybody out for a minute.
    """

    def __init__(
        self,
        upstream: str,
        base_url: str,
        policy: Policy,
        transport: httpx.AsyncBaseTransport | None = None,
        told: Told | None = None,
    ) -> None:
        self.upstream = upstream
        self.policy = policy
        # uvicorn and gunicorn close idle connections after 5 s: ours must be gone before.
        limits = httpx.Limits(max_connections=policy.concurrency + 1, keepalive_expiry=4.0)
        transport = transport or AiohttpTransport(limits=limits, trust_env=False)
        self._http = httpx.AsyncClient(
            transport=WatchedTransport(upstream, transport, told) if told else transport,
            base_url=base_url,
            headers={"Accept": "application/json"},
            timeout=httpx.Timeout(None, connect=policy.connect_s),
            trust_env=False,
        )
        self._slots = asyncio.Semaphore(policy.concurrency)
        self._breaker = Breaker(upstream, policy.breaker_threshold, policy.breaker_pause_s)

    @property
    def probes_next(self) -> bool:
        """Whether the next call is at best a probe, beside which no other is admitted."""
        return not self._breaker.is_closed

    async def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        accept: frozenset[int] = OK,
    ) -> httpx.Response:
        """The answer, whose status is one of ``accept``."""
        request = self._http.build_request("GET", path, params=params, headers=_correlated())
        async with self._slots:
            try:
                with self._breaker.admitted() as probe:
                    return await self._tried(request, accept, probe)
            except TransientError as error:
                wait_s = error.retry_after_s or ASK_AGAIN_AFTER_S
                raise UpstreamUnavailableError(self.upstream, error.detail, wait_s) from error

    async def post_once(self, path: str, body: bytes, within_s: float) -> httpx.Response:
        """The answer, below 500, to a JSON body that goes out at most once.

        UpstreamUnavailableError where it did not go out, OutcomeUnknownError where it did and no
        answer says what it did. The client needs the ``plain_transport``.
        """
        headers = {**_correlated(), "Content-Type": "application/json"}
        request = self._http.build_request("POST", path, content=body, headers=headers)
        async with self._slots:
            try:
                with self._breaker.admitted():
                    return await self._connected_and_sent(request, within_s)
            except NotSentError as error:
                wait_s = ASK_AGAIN_AFTER_S
                raise UpstreamUnavailableError(self.upstream, error.detail, wait_s) from error
            except TransientError as error:
                raise OutcomeUnknownError(self.upstream, error.detail) from error

    async def json(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """The body of a 200, its numbers exact."""
        return self.parsed(await self.get(path, params))

    def parsed(self, response: httpx.Response) -> Any:
        """JSON with Decimals for numbers that have a fraction, never by way of a float."""
        try:
            return json.loads(response.content, parse_float=Decimal)
        except ValueError as error:
            detail = f"{response.request.url.path} is not JSON"
            raise UpstreamContractError(self.upstream, detail) from error

    async def reachable(self, path: str, within_s: float = 2.0) -> None:
        """Ask the health route once, past the breaker and without a retry; raises if it is not well."""
        try:
            async with asyncio.timeout(within_s):
                response = await self._http.get(path)
        except TRANSPORT_ERRORS as error:
            detail = f"{path} did not answer within {within_s:g} s ({type(error).__name__})"
            raise UpstreamUnavailableError(self.upstream, detail, ASK_AGAIN_AFTER_S) from error
        if response.status_code != 200:
            detail = f"{path} answered {response.status_code}"
            raise UpstreamUnavailableError(self.upstream, detail, ASK_AGAIN_AFTER_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _tried(
        self, request: httpx.Request, accept: frozenset[int], probe: bool
    ) -> httpx.Response:
        deadline = time.monotonic() + self.policy.budget_s
        try:
            return await self._once(request, accept, deadline)
        except TransientError as error:
            if probe:
                raise
            return await self._tried_again(request, accept, deadline, error)

    async def _tried_again(
        self,
        request: httpx.Request,
        accept: frozenset[int],
        deadline: float,
        first: TransientError,
    ) -> httpx.Response:
        # The first failure is replayed into stamina: a try that succeeds at once never pays for it.
        replayed = False
        on = pauses(self.policy, deadline)
        async for attempt in stamina.retry_context(on, attempts=self.policy.tries, timeout=None):
            with attempt:
                if not replayed:
                    replayed = True
                    raise first
                self._breaker.require_closed()
                return await self._once(request, accept, deadline)
        raise first

    async def _connected_and_sent(self, request: httpx.Request, within_s: float) -> httpx.Response:
        """Try to connect as often as the policy has it, and send once."""
        pause_s = pauses(self.policy, time.monotonic() + self.policy.total_s)

        def unsent(error: Exception) -> bool | float:
            return isinstance(error, NotSentError) and pause_s(error)

        tries = self.policy.tries
        async for attempt in stamina.retry_context(on=unsent, attempts=tries, timeout=None):
            with attempt:
                return await self._sent(request, within_s)
        raise AssertionError

    async def _sent(self, request: httpx.Request, within_s: float) -> httpx.Response:
        path = request.url.path
        try:
            async with asyncio.timeout(within_s):
                response = await self._http.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotSentError(f"{path}: {type(error).__name__}", True, None) from error
        except TimeoutError as error:
            raise TransientError(f"{path} took over {within_s:.3g} s", True, None) from error
        except TRANSPORT_ERRORS as error:
            raise TransientError(f"{path}: {type(error).__name__}", True, None) from error
        if response.status_code >= 500:
            detail = f"{path} answered {response.status_code}: {response.text[:MOST_IN_DETAIL]}"
            raise TransientError(detail, True, None)
        return response

    async def _once(
        self, request: httpx.Request, accept: frozenset[int], deadline: float
    ) -> httpx.Response:
        limit_s = min(self.policy.total_s, deadline - time.monotonic())
        path = request.url.path
        try:
            async with asyncio.timeout(limit_s):
                response = await self._http.send(request)
        except TimeoutError as error:
            raise TransientError(f"{path} took over {limit_s:.3g} s", True, None) from error
        except TRANSPORT_ERRORS as error:
            # where httpx-aiohttp maps an error it takes a refused connection for a time-out
            kind = type(error.__cause__ or error).__name__
            raise TransientError(f"{path}: {kind}", True, None) from error
        status = response.status_code
        if status in accept:
            return response
        detail = f"{path} answered {status}"
        if status == 429 or status >= 500:
            raise TransientError(detail, status >= 500, retry_after_s(response))
        raise UpstreamContractError(self.upstream, detail)


def _correlated() -> dict[str, str]:
    known = correlation_id.get()
    return {"X-Correlation-ID": known} if known else {}
