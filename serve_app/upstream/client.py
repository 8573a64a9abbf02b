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
from serve_app.upstream.errors import UpstreamContractError, UpstreamUnavailableError
from serve_app.upstream.policy import Policy, TransientError, pauses, retry_after_s

OK = frozenset({200})
ASK_AGAIN_AFTER_S = 5.0
# aiohttp's own errors pass the httpx transport where it has no mapping for them.
TRANSPORT_ERRORS = (httpx.HTTPError, aiohttp.ClientError, OSError)


class Client:
    """GETs of one upstream: bounded, timed, retried, guarded by a circuit breaker.

    One client belongs to one event loop. The breaker counts calls, not tries: a short disturbance
    that a retry overcomes must not shut everybody out for a minute.
    """

    def __init__(
        self,
        upstream: str,
        base_url: str,
        policy: Policy,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.upstream = upstream
        self.policy = policy
        # uvicorn and gunicorn close idle connections after 5 s: ours must be gone before.
        limits = httpx.Limits(max_connections=policy.concurrency + 1, keepalive_expiry=4.0)
        self._http = httpx.AsyncClient(
            transport=transport or AiohttpTransport(limits=limits, trust_env=False),
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
        known = correlation_id.get()
        headers = {"X-Correlation-ID": known} if known else None
        request = self._http.build_request("GET", path, params=params, headers=headers)
        async with self._slots:
            try:
                with self._breaker.admitted() as probe:
                    return await self._tried(request, accept, probe)
            except TransientError as error:
                wait_s = error.retry_after_s or ASK_AGAIN_AFTER_S
                raise UpstreamUnavailableError(self.upstream, error.detail, wait_s) from error

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
