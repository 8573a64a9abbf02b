"""Client and AsyncClient: one table of routes, driven by two ways to wait."""

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import stamina

from serve_app.client.call import Call
from serve_app.client.errors import build_problem_error, build_retry_hook
from serve_app.client.route_methods import Routes
from serve_app.client.streaming import (
    MAX_ANSWER_BYTES,
    MAX_VALUE_BYTES,
    BoundedStream,
    StreamReader,
)
from serve_app.client.tokens import BearerToken, Token

T = TypeVar("T")
URL = "http://127.0.0.1:8088"
TIMEOUT_S = 120.0  # between two bytes of the answer
CONNECT_S = 5.0
DEADLINE = "X-Request-Timeout"
MAX_DEADLINE_S = 3600.0  # the service refuses a longer one
GRACE_S = 1.0  # so that the service itself answers that the time is over
RETRY_S = 30.0
MAX_ATTEMPTS = 20


class Client(Routes):
    """The service over HTTP; raises ProblemError for a refusal, httpx.TransportError for a loss.

    with Client("http://127.0.0.1:8088") as client:
        for model in client.list_models():
            print(model.name, client.rebalance_model(model.model_id, {"cash_floor": "2%"}))

    Each attempt ends ``timeout_s`` after the last byte that was received. The service knows this
    time, and ends its work for an answer that has not begun by then. Requests that can safely be
    repeated are tried again for ``retry_s``. ``token`` is an API key or token, or the path of a
    file that has it; ``ca_file`` has the authorities to trust instead of the public ones. Threads
    may share a client.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        token: Token | None = None,
        ca_file: Path | None = None,
        timeout_s: float = TIMEOUT_S,
        retry_s: float = RETRY_S,
        headers: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.retry_s = retry_s
        self._http = httpx.Client(
            transport=transport, **_settings(url, timeout_s, headers, token, ca_file)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def answer(self, call: Call[T]) -> T:
        """Return the answer to a call."""
        return call.answer(self._send(call))

    def items(self, call: Call[tuple[T, ...]]) -> Iterator[T]:
        """Yield the items of this page and of all pages after it."""
        page: Call[tuple[T, ...]] | None = call
        while page is not None:
            response = self._send(page)
            yield from page.answer(response)
            page = page.next_page(response)

    def stream(self, reader: StreamReader[T]) -> Iterator[T]:
        """Yield the values of a streamed answer as they arrive, over breaks that can be resumed."""
        for attempt in stamina.retry_context(reader.pause_s, attempts=None, timeout=None):
            with attempt, closing(self._send(reader.call, stream=True)) as response:
                response.stream = bounded = BoundedStream(response, MAX_VALUE_BYTES)
                for part in reader.parts(response):
                    for value in reader.read(part):
                        bounded.reset()
                        yield value
                reader.require_end()

    def _send(self, call: Call[Any], *, stream: bool = False) -> httpx.Response:
        on = build_retry_hook(repeatable=call.repeatable)
        for attempt in stamina.retry_context(on, attempts=MAX_ATTEMPTS, timeout=self.retry_s):
            with attempt:
                response = self._http.send(call.request(self._http), stream=True)
                if stream and response.is_success:
                    return response
                with closing(response):
                    response.stream = BoundedStream(response, MAX_ANSWER_BYTES)
                    response.read()
                if response.is_success:
                    return response
                raise build_problem_error(response)
        raise AssertionError


class AsyncClient(Routes):
    """``Client`` for an event loop: answers are awaited, lists and streams iterated with async for.

    async with AsyncClient("http://127.0.0.1:8088") as client:
        models = [model async for model in client.list_models()]
        outcomes = await client.rebalance_model(models[0].model_id)
    """

    def __init__(
        self,
        url: str = URL,
        *,
        token: Token | None = None,
        ca_file: Path | None = None,
        timeout_s: float = TIMEOUT_S,
        retry_s: float = RETRY_S,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.retry_s = retry_s
        self._http = httpx.AsyncClient(
            transport=transport, **_settings(url, timeout_s, headers, token, ca_file)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def answer(self, call: Call[T]) -> T:
        """Return the answer to a call."""
        return call.answer(await self._send(call))

    async def items(self, call: Call[tuple[T, ...]]) -> AsyncIterator[T]:
        """Yield the items of this page and of all pages after it."""
        page: Call[tuple[T, ...]] | None = call
        while page is not None:
            response = await self._send(page)
            for item in page.answer(response):
                yield item
            page = page.next_page(response)

    async def stream(self, reader: StreamReader[T]) -> AsyncIterator[T]:
        """Yield the values of a streamed answer as they arrive, over breaks that can be resumed."""
        async for attempt in stamina.retry_context(reader.pause_s, attempts=None, timeout=None):
            with attempt:
                async with aclosing(await self._send(reader.call, stream=True)) as response:
                    response.stream = bounded = BoundedStream(response, MAX_VALUE_BYTES)
                    async for part in reader.async_parts(response):
                        for value in reader.read(part):
                            bounded.reset()
                            yield value
                    reader.require_end()

    async def _send(self, call: Call[Any], *, stream: bool = False) -> httpx.Response:
        on = build_retry_hook(repeatable=call.repeatable)
        async for attempt in stamina.retry_context(on, attempts=MAX_ATTEMPTS, timeout=self.retry_s):
            with attempt:
                response = await self._http.send(call.request(self._http), stream=True)
                if stream and response.is_success:
                    return response
                async with aclosing(response):
                    response.stream = BoundedStream(response, MAX_ANSWER_BYTES)
                    await response.aread()
                if response.is_success:
                    return response
                raise build_problem_error(response)
        raise AssertionError


def _settings(
    url: str,
    timeout_s: float,
    headers: Mapping[str, str] | None,
    token: Token | None,
    ca_file: Path | None,
) -> dict[str, Any]:
    # A caller passes a proxy as the transport, because a proxy of the environment would also get
    # the requests to this machine.
    timeout = httpx.Timeout(timeout_s + GRACE_S, connect=min(CONNECT_S, timeout_s))
    sent = httpx.Headers({DEADLINE: f"{timeout_s:g}"} if timeout_s <= MAX_DEADLINE_S else {})
    sent.update(headers)
    auth = None if token is None else BearerToken(token)
    settings = {"base_url": url, "timeout": timeout, "headers": sent, "trust_env": False}
    verify = True if ca_file is None else ssl.create_default_context(cafile=ca_file)
    return {**settings, "auth": auth, "verify": verify}
