"""Upstreams of these tests: the simulated market, with holdings and faults that a test sets."""

import asyncio
import json
import socket
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

import uvicorn
from starlette.types import Message, Receive, Scope, Send

from optimization.domain.portfolio import Portfolio
from serve_app.simulator import Market, market_app

JSON = (b"content-type", b"application/json")
MAX_DURATION_S = 60.0


class Kind(StrEnum):
    """Behaviour of a faulty upstream."""

    ERROR = "answers 500"
    HANG = "hangs"
    RESET = "breaks connections"
    GARBAGE = "sends bad JSON"


@dataclass
class Trouble:
    """Fault of requests whose path has a prefix: an error, or a wait until a release.

    If only answers are lost, the market processes the requests. The fault applies to every n-th
    request, with ``every`` as n.
    """

    path: str
    status: int | None = None
    method: str = ""
    answers_lost: bool = False
    kind: Kind | None = None
    delay_s: float = 0
    every: int = 1
    met: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def applies_to(self, scope: Scope) -> bool:
        """Return whether the fault applies to a request."""
        if not (scope["path"].startswith(self.path) and self.method in {"", scope["method"]}):
            return False
        self.met += 1
        return self.met % self.every == 0


class Book:
    """ASGI application; prices are constant, because the market is asked for its means.

    The market answers for everything that no test has set: securities, prices, health, its own
    portfolios, and unknown portfolios with the 500 of the real service.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self.prices: Mapping[str, Decimal] = {
            str(security.security_id): security.quote.price
            for security in market.securities()
            if security.quote
        }
        self._market_app = market_app(market)
        self._portfolios: dict[str, Portfolio] = {}
        self._troubles: list[Trouble] = []

    def add(self, portfolio_id: str, cash: Decimal | int, holdings: Mapping[str, int]) -> Portfolio:
        """Set balances of the accounting service; missing prices stay missing."""
        owned = {security: Decimal(shares) for security, shares in holdings.items()}
        prices = {security: self.prices.get(security, Decimal(1)) for security in owned}
        portfolio = Portfolio(portfolio_id, Decimal(cash), owned, {**self.prices, **prices})
        self._portfolios[portfolio_id] = portfolio
        return portfolio

    @contextmanager
    def fail(self, path: str, status: int = 503) -> Generator[Trouble]:
        """Answer with this status instead."""
        with self._apply_meanwhile(Trouble(path, status)) as trouble:
            yield trouble

    @contextmanager
    def lose_answers(self, path: str) -> Generator[Trouble]:
        """Pass requests on to the market, and answer 504 in place of its answer."""
        with self._apply_meanwhile(Trouble(path, 504, "POST", answers_lost=True)) as trouble:
            yield trouble

    @contextmanager
    def hold(self, path: str) -> Generator[Trouble]:
        """Hold matching requests until ``over`` is set or the block ends."""
        with self._apply_meanwhile(Trouble(path, None)) as trouble:
            yield trouble

    @contextmanager
    def disturb(self, path: str, kind: Kind, every: int = 1) -> Generator[Trouble]:
        """Apply the fault to every n-th request."""
        with self._apply_meanwhile(Trouble(path, kind=kind, every=every)) as trouble:
            yield trouble

    @contextmanager
    def delay(self, path: str, delay_s: float) -> Generator[Trouble]:
        """Answer later."""
        with self._apply_meanwhile(Trouble(path, delay_s=delay_s)) as trouble:
            yield trouble

    @contextmanager
    def _apply_meanwhile(self, trouble: Trouble) -> Generator[Trouble]:
        self._troubles.append(trouble)
        try:
            yield trouble
        finally:
            self._troubles.remove(trouble)
            trouble.over.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        for trouble in tuple(self._troubles):
            if trouble.applies_to(scope):
                trouble.reached.set()
                if trouble.answers_lost:
                    await self._market_app(scope, receive, _nowhere)
                if await _apply(trouble, send):
                    return
        portfolio = self._portfolios.get(_portfolio_of(path))
        if portfolio is None:
            await self._market_app(scope, receive, send)
        else:
            await _answer(send, 200, _summary(portfolio))


async def _apply(trouble: Trouble, send: Send) -> bool:
    """Apply the fault; return whether it was the whole answer."""
    if trouble.delay_s:
        await asyncio.sleep(trouble.delay_s)
        return False
    match trouble.kind, trouble.status:
        case (None, int(status)):
            await _answer(send, status, {"detail": "out of order"})
        case (Kind.ERROR, _):
            await _answer(send, 500, {"detail": "out of order"})
        case (Kind.GARBAGE, _):
            await _send(send, 200, b'{"securities": [')
        case (Kind.RESET, _):
            await _send(send, 200, b"{", promised=1000)
        case _:
            await _wait(trouble.over)
            return False
    return True


async def wait_until_reached(trouble: Trouble) -> None:
    """Wait until the fault met a request."""
    await _wait(trouble.reached)


async def _nowhere(_: Message) -> None:
    """Swallow an answer that is lost."""


async def _wait(event: threading.Event) -> None:
    async with asyncio.timeout(MAX_DURATION_S):
        while not event.is_set():  # noqa: ASYNC110 - the event is of another thread
            await asyncio.sleep(0.01)


def _portfolio_of(path: str) -> str:
    before, _, last = path.rpartition("/")
    return before.removeprefix("/api/v1/portfolios/") if last == "summary" else ""


def _summary(portfolio: Portfolio) -> dict[str, object]:
    rows = [
        {"securityId": security, "quantityLong": f"{shares:f}", "netQuantity": f"{shares:f}"}
        for security, shares in portfolio.holdings.items()
    ]
    return {
        "portfolioId": portfolio.portfolio_id,
        "cashBalance": f"{portfolio.cash:f}",
        "securities": rows,
    }


async def _answer(send: Send, status: int, value: object) -> None:
    await _send(send, status, json.dumps(value).encode())


async def _send(send: Send, status: int, body: bytes, promised: int | None = None) -> None:
    """Send an answer; break the connection if it promised more."""
    length = str(promised or len(body)).encode()
    headers = [JSON, (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": promised is not None})


@contextmanager
def serve_book(book: Book) -> Generator[str]:
    """Serve the upstreams from a thread of their own; yield the URL."""
    config = uvicorn.Config(
        book, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="book")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
