"""Changes that a client makes to the market: transactions and orders."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from serve_app.simulator import Market, serve_in_loop
from serve_app.simulator.ledger import EFFECTS
from serve_app.simulator.services.orders import STATUSES
from serve_app.upstream.errors import UpstreamUnavailableError
from serve_app.upstream.holdings.source import Balance
from serve_app.upstream.holdings.summaries import POLICY, AccountingService
from serve_app.upstream.http_client import Client
from serve_app.upstream.http_transports import HttpxTransport
from serve_app.upstream.retry_policy import Policy

NEW = "abcdefabcdefabcdefabcdef"


def transaction(market: Market, **changes: Any) -> dict[str, Any]:
    return {
        "portfolioId": market.portfolio_id(0),
        "securityId": market.rows(0)[1].security_id,
        "sourceId": "s-1",
        "transactionType": "BUY",
        "quantity": "3",
        "price": "2.5",
        "transactionDate": "20261123",
    } | changes


async def balance(transport: httpx.ASGITransport, portfolio_id: str) -> Balance:
    client = Client("accounting", "http://market", POLICY, HttpxTransport(transport))
    found = (await AccountingService(client).read_holdings([portfolio_id]))[portfolio_id]
    assert isinstance(found, Balance)
    return found


@pytest.mark.parametrize("kind", [kind for kind in EFFECTS if kind not in ("DEP", "WD")])
async def test_a_transaction_moves_shares_and_cash(
    http: httpx.AsyncClient, transport: httpx.ASGITransport, market: Market, kind: str
) -> None:
    given = transaction(market, transactionType=kind)
    before = await balance(transport, given["portfolioId"])

    answer = await http.post("/api/v1/transactions", json=[given])
    after = await balance(transport, given["portfolioId"])

    assert answer.status_code == 201
    assert answer.json()["successful"][0]["status"] == "PROC"
    long, short, cash = EFFECTS[kind]
    security = given["securityId"]
    assert after.holdings[security] - before.holdings[security] == 3 * (long - short)
    assert after.cash - before.cash == Decimal("7.5") * cash


async def test_a_deposit_adds_cash_and_a_withdrawal_takes_it(
    http: httpx.AsyncClient, transport: httpx.ASGITransport, market: Market
) -> None:
    cash = {"securityId": None, "price": 1}
    before = await balance(transport, market.portfolio_id(0))
    batch = [
        transaction(market, **cash, transactionType="DEP", sourceId="a", quantity=100.25),
        transaction(market, **cash, transactionType="WD", sourceId="b", quantity=0.25),
    ]

    assert (await http.post("/api/v1/transactions", json=batch)).status_code == 201

    assert (await balance(transport, market.portfolio_id(0))).cash - before.cash == 100


async def test_a_new_holding_is_counted_in_the_pages_of_all_balances(
    http: httpx.AsyncClient, market: Market
) -> None:
    for number in (5, 3):
        given = transaction(
            market, portfolioId=market.portfolio_id(number), securityId=NEW, sourceId=str(number)
        )
        assert (await http.post("/api/v1/transactions", json=[given])).status_code == 201

    rows: list[dict[str, Any]] = []
    for offset in range(0, 200, 10):
        page = (await http.get("/api/v1/balances", params={"limit": 10, "offset": offset})).json()
        rows += page["balances"]

    assert page["pagination"]["total"] == market.count_earlier_rows(1500) + 2
    assert len({row["id"] for row in rows}) == 200
    holders = [row["portfolioId"] for row in rows if row.get("securityId") == NEW]
    assert holders == [market.portfolio_id(3), market.portfolio_id(5)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"portfolioId": "0" * 24}, "portfolioId"),
        ({"transactionType": "GIVE"}, "transactionType"),
        ({"transactionType": "DEP"}, "securityId"),
        ({"securityId": None}, "securityId"),
        ({"quantity": "-1"}, "quantity"),
        ({"quantity": "many"}, "quantity"),
        ({"price": "NaN"}, "price"),
        ({"sourceId": "s" * 51}, "sourceId"),
        ({"transactionDate": ""}, "transactionDate"),
    ],
)
async def test_a_wrong_transaction_fails_alone(
    http: httpx.AsyncClient, market: Market, changes: dict[str, Any], field: str
) -> None:
    batch = [transaction(market, sourceId="good"), transaction(market, **changes)]

    answer = await http.post("/api/v1/transactions", json=batch)

    assert answer.status_code == 207
    assert answer.json()["summary"]["successful"] == 1
    assert answer.json()["failed"][0]["errors"][0]["field"] == field


async def test_a_source_id_is_used_once(http: httpx.AsyncClient, market: Market) -> None:
    batch = [transaction(market)] * 2

    answer = await http.post("/api/v1/transactions", json=batch)

    assert answer.status_code == 207
    assert answer.json()["failed"][0]["errors"][0]["field"] == "sourceId"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"[]", "EMPTY_BATCH"),
        (b"{", "INVALID_JSON"),
        (b"[1]", "INVALID_JSON"),
        (b"[" + b"{}," * 1000 + b"{}]", "BATCH_TOO_LARGE"),
    ],
)
async def test_a_wrong_batch_is_refused_with_400(
    http: httpx.AsyncClient, content: bytes, code: str
) -> None:
    answer = await http.post("/api/v1/transactions", content=content)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code


def order(market: Market, **changes: Any) -> dict[str, Any]:
    return {
        "blotterId": 1,
        "statusId": 1,
        "portfolioId": market.portfolio_id(0),
        "orderTypeId": 2,
        "securityId": market.rows(0)[1].security_id,
        "quantity": 120,
        "limitPrice": None,
        "orderTimestamp": "2026-11-23T00:00:00Z",
        "version": 1,
    } | changes


def traded_securities(market: Market) -> tuple[str, str]:
    """Return two securities that the first portfolio holds."""
    tradable = {listing.security_id for listing in market.securities()}
    held = [row.security_id for row in market.rows(0) if row.security_id in tradable and row.long]
    return str(held[0]), str(held[1])


async def prices_of(http: httpx.AsyncClient, market: Market) -> dict[str, Decimal]:
    """Look at the prices, by security."""
    rows = (await http.get("/api/v1/prices")).json(parse_float=Decimal)
    by_ticker = {row["ticker"]: Decimal(row["close"]) for row in rows}
    return {str(listing.security_id): by_ticker[listing.ticker] for listing in market.securities()}


async def test_orders_are_kept_and_can_be_read_back(
    http: httpx.AsyncClient, market: Market
) -> None:
    answer = await http.post("/api/v1/orders", json=[order(market), order(market, quantity=1.5)])

    assert answer.status_code == 200
    assert answer.json()["status"] == "SUCCESS"
    assert [order["requestIndex"] for order in answer.json()["orders"]] == [0, 1]
    kept = (await http.get("/api/v1/order/2")).json(parse_float=Decimal)
    assert kept["quantity"] == Decimal("1.5")
    assert kept["portfolio"]["name"] == "Portfolio 1"
    filters = {"portfolio.name": "Portfolio 1", "orderType.abbreviation": "SELL,BUY"}
    found = (await http.get("/api/v1/orders", params=filters)).json()
    assert found["pagination"]["totalElements"] == 2


async def test_open_orders_are_filled_at_the_last_prices_with_shares_and_cash(
    http: httpx.AsyncClient, transport: httpx.ASGITransport, market: Market
) -> None:
    portfolio_id, bought, sold = market.portfolio_id(0), *traded_securities(market)
    await http.post(
        "/api/v1/orders",
        json=[
            order(market, orderTypeId=1, securityId=bought, quantity=10.5),
            order(market, orderTypeId=2, securityId=sold, quantity=1),
        ],
    )
    before = await balance(transport, portfolio_id)
    prices = await prices_of(http, market)

    answer = await http.post("/simulation/fills")

    after = await balance(transport, portfolio_id)
    cash = prices[sold] - Decimal("10.5") * prices[bought]
    assert answer.json()["filled"] == 2
    assert answer.json()["open"] == 0
    assert after.cash - before.cash == cash
    assert after.holdings[bought] - before.holdings[bought] == Decimal("10.5")
    assert after.holdings[sold] - before.holdings[sold] == -1
    found = (await http.get("/api/v1/orders")).json()["content"]
    assert {order["status"]["abbreviation"] for order in found} == {"FULL"}


async def test_an_order_is_filled_once_and_a_cancelled_one_never(
    http: httpx.AsyncClient, market: Market
) -> None:
    await http.post("/api/v1/orders", json=[order(market), order(market)])
    cancelled = list(STATUSES).index("CNCLD") + 1
    await http.put("/api/v1/order/2", json=order(market, statusId=cancelled))

    first = (await http.post("/simulation/fills")).json()
    again = (await http.post("/simulation/fills")).json()

    assert (first["filled"], again["filled"], again["open"]) == (1, 0, 0)
    assert (await http.get("/api/v1/order/2")).json()["status"]["abbreviation"] == "CNCLD"


async def test_an_order_that_finds_no_other_side_stays_open(
    http: httpx.AsyncClient, market: Market
) -> None:
    unpriced = next(listing.security_id for listing in market.listings() if listing.quote is None)
    odd = [order(market, securityId=unpriced), order(market, portfolioId="0" * 24)]
    await http.post("/api/v1/orders", json=odd)

    answer = (await http.post("/simulation/fills")).json()

    assert (answer["filled"], answer["open"]) == (0, 2)


async def test_a_wrong_order_fails_alone_at_its_place(
    http: httpx.AsyncClient, market: Market
) -> None:
    wrong = [
        order(market, blotterId=None),
        order(market, quantity=0),
        order(market, limitPrice=-1),
        order(market, orderTypeId=99),
        None,
    ]

    answer = await http.post("/api/v1/orders", json=[*wrong, order(market)])

    assert answer.status_code == 207
    assert answer.json()["status"] == "PARTIAL"
    assert [order["message"] for order in answer.json()["orders"]] == [
        "Blotter ID is required",
        "Quantity must be positive",
        "Limit price must be positive",
        "Order Type with ID 99 not found",
        "Order data is required",
        "Order created successfully",
    ]


async def test_all_orders_failed_is_207_too(http: httpx.AsyncClient, market: Market) -> None:
    answer = await http.post("/api/v1/orders", json=[order(market, quantity=0)])

    assert answer.status_code == 207
    assert answer.json()["status"] == "FAILURE"


@pytest.mark.parametrize(
    ("content", "status"), [(b"[]", 400), (b"[" + b"{}," * 1000 + b"{}]", 413), (b"{", 500)]
)
async def test_a_wrong_batch_of_orders_has_the_status_of_the_real_service(
    http: httpx.AsyncClient, content: bytes, status: int
) -> None:
    assert (await http.post("/api/v1/orders", content=content)).status_code == status


async def test_reference_ids_are_looked_up_by_abbreviation(http: httpx.AsyncClient) -> None:
    types = (await http.get("/api/v1/orderTypes")).json()
    statuses = (await http.get("/api/v1/statuses")).json()
    blotters = (await http.get("/api/v1/blotters")).json()

    assert {row["abbreviation"]: row["id"] for row in types}["SELL"] == 2
    assert {row["abbreviation"]: row["id"] for row in statuses}["NEW"] == 1
    assert blotters[0]["name"] == "Default"


async def test_an_unknown_filter_of_orders_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/v1/orders", params={"colour": "red"})

    assert answer.status_code == 400
    assert "portfolio.name" in answer.json()["validFilterFields"]


async def test_a_market_with_latency_can_exhaust_a_clients_patience(market: Market) -> None:
    impatient = Policy(total_s=0.05, tries=1)
    async with (
        serve_in_loop(market, latency_s=5.0) as url,
        Client("accounting", url, impatient) as client,
    ):
        with pytest.raises(UpstreamUnavailableError, match="took over"):
            await client.get_json("/health")
