"""Every call of every upstream client, against a server whose answers violate the contract."""

import gzip
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from inspect import iscoroutinefunction
from typing import Any

import httpx
import pytest

from optimization.domain.outcome import Side
from serve_app.upstream.circuit_breaker import BreakerState
from serve_app.upstream.errors import (
    AnswerCutShortError,
    HoldingsMissingError,
    OutcomeUnknownError,
    UpstreamContractError,
)
from serve_app.upstream.holdings.pages import PagedAccountingService
from serve_app.upstream.holdings.source import Balance, fetch_holdings
from serve_app.upstream.holdings.summaries import AccountingService
from serve_app.upstream.http_client import Client
from serve_app.upstream.http_exchange import Transport
from serve_app.upstream.http_transports import single_use_transport
from serve_app.upstream.listings import PAGE_SIZE
from serve_app.upstream.order_service import CANCELLED, NewOrder, OrderService
from serve_app.upstream.portfolio_names import PortfolioService
from serve_app.upstream.prices import PricingService
from serve_app.upstream.retry_policy import Policy
from serve_app.upstream.securities import SecurityService
from tests.support.upstream_servers import Answer, respond, start_client

MAX_BYTES = 100_000
POLICY = Policy(backoff_s=0.0, tries=2, breaker_threshold=1, max_answer_bytes=MAX_BYTES)
IDS = tuple(f"{number:024x}" for number in range(20))
VICTIM = IDS[7]
AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
ORDER = NewOrder(IDS[0], "5" * 24, Side.BUY, 3)
BOMB = gzip.compress(b"[" + b" " * 50_000_000 + b"]")

MALFORMED: Mapping[str, Answer] = {
    "brackets in brackets": respond(b"[" * 50_000),
    "objects in objects": respond(b'{"a":' * 20_000),
    "invalid UTF-8": respond(b'{"name": "\xff\xfe"}'),
    "UTF-16": respond('{"name": "x"}'.encode("utf-16")),
    "NaN": respond(b"NaN"),
    "NaN within": respond(b'{"cashBalance": NaN, "securities": []}'),
    "Infinity": respond(b'[{"ticker": "A", "close": Infinity}]'),
    "an HTML page": respond(b"<html><body>It works!</body></html>"),
    "nothing": respond(b""),
    "no JSON": respond(b'{"securities": ['),
    "a name twice": respond(b'{"securities": [], "securities": []}'),
    "an endless integer": respond(b"[" + b"9" * 5000 + b"]"),
    "null": respond(b"null"),
    "a string": respond(b'"securities"'),
    "a number": respond(b"17"),
    "an array of numbers": respond(b"[1, 2, 3]"),
    "an array of arrays": respond(b"[[], [[]]]"),
    "an object without members": respond(b"{}"),
    "more than the bound": respond(b"[" + b" " * MAX_BYTES + b"]"),
    "a Content-Length of terabytes": respond(b"[" + b" " * MAX_BYTES + b"]", length=2**42),
    "a gzip bomb": respond(BOMB, "Content-Encoding: gzip"),
    "gzip that is none": respond(b"[]", "Content-Encoding: gzip"),
    "gzip that breaks off": respond(gzip.compress(b"[]" * 100)[:-9], "Content-Encoding: gzip"),
    "an encoding nobody asked for": respond(b"[]", "Content-Encoding: br"),
}
CUT_SHORT: Mapping[str, Answer] = {
    "a body that breaks off": respond(b'{"securities": [', length=1000),
    "chunks that break off": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1, 2",
}


@dataclass
class Service:
    """All upstreams in one; ``spoiled`` returns the answer to a spoiled request, else None."""

    spoiled: Callable[[str, str], Answer | None]
    requests: list[str] = field(default_factory=list[str])

    def __call__(self, request: httpx.Request) -> Answer:
        path = request.url.path
        self.requests.append(path)
        answer = self.spoiled(request.method, path)
        return httpx.Response(200, json=_valid_answer(path)) if answer is None else answer

    def client(self, transport: Transport | None = None) -> Client:
        return start_client(self, POLICY, "upstream", transport=transport)

    def orders(self) -> OrderService:
        return OrderService(self.client(single_use_transport(1.0)), "Default")


def _valid_answer(path: str) -> Any:
    """Return the valid answer of each route."""
    if path.endswith("/summary"):
        return {"portfolioId": path.split("/")[4], "cashBalance": "5", "securities": []}
    reference = [
        {"id": 1, "name": "Default", "abbreviation": "NEW"},
        {"id": 2, "name": "Other", "abbreviation": CANCELLED},
    ]
    sides = [{"id": 1, "abbreviation": "BUY"}, {"id": 2, "abbreviation": "SELL"}]
    return {
        "/api/v1/prices": [{"ticker": "A", "close": 1.5}],
        "/api/v2/securities": {"securities": [], "pagination": {"hasNext": False}},
        "/api/v1/blotters": reference,
        "/api/v1/statuses": reference,
        "/api/v1/orderTypes": sides,
        "/api/v1/orders": {"content": [], "pagination": {"hasNext": False}},
    }[path]


def on(method: str, path: str, answer: Answer) -> Service:
    return Service(lambda asked, at: answer if (asked, at) == (method, path) else None)


Call = Callable[[Answer], tuple[Service, Awaitable[Any]]]


def _get(path: str, ask: Callable[[Client], Awaitable[Any]]) -> Call:
    def call(answer: Answer) -> tuple[Service, Awaitable[Any]]:
        service = on("GET", path, answer)
        return service, ask(service.client())

    return call


def _listing(ask: Callable[[SecurityService], Awaitable[Any]]) -> Call:
    return _get("/api/v2/securities", lambda client: ask(SecurityService(client)))


_prices = _get("/api/v1/prices", lambda client: PricingService(client, 60.0).read_snapshot())
_security = _get(
    f"/api/v1/security/{VICTIM}", lambda client: SecurityService(client).read_tickers([VICTIM])
)
_portfolio = _get(
    f"/api/v1/portfolio/{VICTIM}", lambda client: PortfolioService(client).read_name(VICTIM)
)
_portfolios_by_name = _get(
    "/api/v2/portfolios", lambda client: PortfolioService(client).search_by_name("IRA", 10)
)


def _read_placed(answer: Answer) -> tuple[Service, Awaitable[Any]]:
    service = on("GET", "/api/v1/orders", answer)
    return service, service.orders().read_placed(AT)


def _cancel(answer: Answer) -> tuple[Service, Awaitable[Any]]:
    service = on("GET", "/api/v1/order/7", answer)
    return service, service.orders().cancel([7])


def _reference(path: str) -> Call:
    def call(answer: Answer) -> tuple[Service, Awaitable[Any]]:
        service = on("GET", path, answer)
        return service, service.orders().references()

    return call


CALLS: Mapping[str, Call] = {
    "prices": _prices,
    "all securities": _listing(lambda service: service.read_tickers(IDS)),
    "one security": _security,
    "securities of a ticker": _listing(lambda service: service.find_ids("VTI")),
    "a portfolio's name": _portfolio,
    "portfolios by name": _portfolios_by_name,
    "orders read back": _read_placed,
    "an order before its cancellation": _cancel,
    "blotters": _reference("/api/v1/blotters"),
    "statuses": _reference("/api/v1/statuses"),
    "order types": _reference("/api/v1/orderTypes"),
}
SOURCES = {"summaries": AccountingService, "pages": PagedAccountingService}


def each(answers: Mapping[str, Answer]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("answer", answers.values(), ids=answers)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@each(MALFORMED)
async def test_a_malformed_answer_breaks_the_contract_and_leaves_the_circuit_closed(
    call: Call, answer: Answer
) -> None:
    service, asked = call(answer)

    with pytest.raises(UpstreamContractError) as caught:
        await asked

    assert len(str(caught.value)) < 500
    assert len(service.requests) <= 4  # never tried again


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@each(CUT_SHORT)
async def test_an_answer_that_breaks_off_is_tried_again_and_then_breaks_the_contract(
    call: Call, answer: Answer
) -> None:
    service, asked = call(answer)

    with pytest.raises(AnswerCutShortError, match="broke off"):
        await asked

    assert service.requests[-1] == service.requests[-2]


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@each({**MALFORMED, **CUT_SHORT})
async def test_a_malformed_summary_costs_its_portfolio_alone(
    source: type[AccountingService | PagedAccountingService], answer: Answer
) -> None:
    service = on("GET", f"/api/v1/portfolios/{VICTIM}/summary", answer)
    spoiled = Service(
        lambda method, path: (
            respond(b"{}") if path == "/api/v1/balances" else service.spoiled(method, path)
        )
    )
    client = spoiled.client()

    found = await fetch_holdings(source(client), IDS)

    error = found[VICTIM]
    assert isinstance(error, UpstreamContractError)
    assert error.__traceback__ is error.__cause__ is error.__context__ is None
    others = [owner for owner, balance in found.items() if isinstance(balance, Balance)]
    assert others == [owner for owner in IDS if owner != VICTIM]
    assert (await client.check_health("/api/v1/prices")).breaker is BreakerState.CLOSED


@each({**MALFORMED, **CUT_SHORT})
async def test_malformed_balances_behind_a_500_cost_their_portfolio_alone(answer: Answer) -> None:
    summary = f"/api/v1/portfolios/{VICTIM}/summary"
    answers = {summary: httpx.Response(500), "/api/v1/balances": answer}
    service = Service(lambda _, path: answers.get(path))

    found = await AccountingService(service.client()).read_holdings(IDS)

    assert isinstance(found[VICTIM], UpstreamContractError)
    assert sum(isinstance(balance, Balance) for balance in found.values()) == len(IDS) - 1


@each({**MALFORMED, **CUT_SHORT})
async def test_a_malformed_answer_to_a_batch_of_orders_leaves_its_outcome_unknown(
    answer: Answer,
) -> None:
    service = on("POST", "/api/v1/orders", answer)

    with pytest.raises(OutcomeUnknownError):
        await service.orders().place([ORDER], AT)

    assert service.requests.count("/api/v1/orders") == 1


@each({**MALFORMED, **CUT_SHORT, "no end": respond(b"[", length=2**42)})
async def test_a_health_route_is_judged_by_its_status_whatever_it_says(answer: Answer) -> None:
    client = on("GET", "/health", answer).client()

    assert (await client.check_health("/health")).is_healthy


def test_every_call_of_every_client_is_among_the_tests_of_this_module() -> None:
    clients = (*SOURCES.values(), PricingService, SecurityService, PortfolioService, OrderService)
    calls = {
        name for kind in clients for name, call in vars(kind).items() if iscoroutinefunction(call)
    }
    found = {"find_ids", "search_by_name"}
    asked = {"read_holdings", "read_snapshot", "read_tickers", "read_name"} | found
    # Names are left out where an answer is malformed: test_portfolios has that.
    others = {"read_placed", "place", "cancel", "check_health", "read_names"}
    assert {name for name in calls if name[0] != "_"} == asked | others


def summary(**members: Any) -> dict[str, Any]:
    return {"cashBalance": "1", "securities": [], **members}


def make_holding(security_id: Any = "A", quantity: Any = "1") -> dict[str, Any]:
    return summary(securities=[{"securityId": security_id, "netQuantity": quantity}])


NUMBERS = (
    "1e999999",
    "1e-999999",
    "NaN",
    "Infinity",
    "1_000",
    "\uff11\uff12",
    "0x10",
    "",
    " 1",
    "1" * 40,
)
NO_NUMBERS = (True, None, [], {}, [0, [1, 2], -1], "many")
NO_TEXTS = (None, 5, True, [], {}, "", "\x1b[2J", "A\x00", "\ud800", "x" * 300)
NO_SUMMARIES = {
    **{f"cash {value!r:.12}": summary(cashBalance=value) for value in (*NUMBERS, *NO_NUMBERS)},
    **{f"shares {value!r:.12}": make_holding(quantity=value) for value in (*NUMBERS, *NO_NUMBERS)},
    **{f"id {value!r:.12}": make_holding(value) for value in NO_TEXTS},
    "another portfolio": summary(portfolioId=IDS[0]),
    "one security twice": summary(
        securities=[*make_holding()["securities"], *make_holding()["securities"]]
    ),
    "securities as an object": summary(securities={"A": "1"}),
}


@pytest.mark.parametrize("body", NO_SUMMARIES.values(), ids=NO_SUMMARIES)
async def test_a_value_that_is_not_what_it_has_to_be_costs_its_portfolio_alone(
    body: dict[str, Any],
) -> None:
    answer = respond(json.dumps(body).encode())
    service = on("GET", f"/api/v1/portfolios/{VICTIM}/summary", answer)

    found = await AccountingService(service.client()).read_holdings(IDS)

    assert isinstance(found[VICTIM], UpstreamContractError)
    assert sum(isinstance(balance, Balance) for balance in found.values()) == len(IDS) - 1


async def test_numbers_of_json_that_no_computation_could_bear_cost_their_portfolio_alone() -> None:
    answer = respond(b'{"cashBalance": 1e999999, "securities": []}')
    service = on("GET", f"/api/v1/portfolios/{VICTIM}/summary", answer)

    found = await AccountingService(service.client()).read_holdings(IDS)

    assert isinstance(found[VICTIM], UpstreamContractError)


@pytest.mark.parametrize("price", [*NUMBERS, *NO_NUMBERS], ids=lambda value: f"{value!r:.12}")
async def test_a_price_that_is_none_breaks_the_contract(price: Any) -> None:
    rows = [{"ticker": "A", "close": "1.5"}, {"ticker": "B", "close": price}]
    _, asked = _prices(respond(json.dumps(rows).encode()))

    with pytest.raises(UpstreamContractError, match="a price could not be read"):
        await asked


async def test_rows_of_another_portfolio_are_not_taken_for_its_own() -> None:
    row = {"portfolioId": IDS[0], "quantityLong": "1", "quantityShort": "0"}
    rows = [{"id": number, **row} for number in range(2)]
    cut = [{"securityId": f"S{number}", "netQuantity": "1"} for number in range(1000)]
    answers = {
        f"/api/v1/portfolios/{VICTIM}/summary": summary(securities=cut),
        "/api/v1/balances": {"balances": rows, "pagination": {"total": 2, "hasMore": False}},
    }
    service = Service(
        lambda _, path: httpx.Response(200, json=answers[path]) if path in answers else None
    )

    found = await AccountingService(service.client()).read_holdings(IDS)

    assert "another portfolio" in str(found[VICTIM])


async def test_a_list_without_an_end_is_not_followed_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serve_app.upstream.securities.MAX_SECURITIES", 3 * PAGE_SIZE)
    body = {"securities": [{"securityId": IDS[0], "ticker": "A"}], "pagination": {"hasNext": True}}
    service, asked = CALLS["all securities"](httpx.Response(200, json=body))

    with pytest.raises(UpstreamContractError, match="no end of securities"):
        await asked

    assert len(service.requests) == 3


async def test_a_404_in_html_is_not_taken_for_a_security_or_a_portfolio_that_is_not_there() -> None:
    page = respond(b"<html>no route</html>", status="404 Not BalanceOrError")

    for call in (_security, _portfolio):
        _, asked = call(page)
        with pytest.raises(UpstreamContractError):
            await asked


async def test_an_empty_portfolio_is_told_from_a_broken_service() -> None:
    body = {"balances": [], "pagination": {"total": 0}}
    answers = {
        f"/api/v1/portfolios/{VICTIM}/summary": httpx.Response(500),
        "/api/v1/balances": httpx.Response(200, json=body),
    }
    service = Service(lambda _, path: answers.get(path))

    found = await AccountingService(service.client()).read_holdings([VICTIM])

    assert isinstance(found[VICTIM], HoldingsMissingError)


async def test_an_answer_as_long_as_the_bound_and_gzip_within_it_are_read() -> None:
    rows = json.dumps([{"ticker": "A", "close": "1.5"}]).encode()
    whole = rows + b" " * (MAX_BYTES - len(rows))

    for answer in (respond(whole), respond(gzip.compress(whole), "Content-Encoding: gzip")):
        _, asked = _prices(answer)
        assert (await asked).prices.keys() == {"A"}
