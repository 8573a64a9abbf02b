"""Each trap of the real services, by its name."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from starlette.routing import Router

from serve_app.simulator import Market
from serve_app.simulator.http import MAX_BODY_BYTES
from serve_app.simulator.ledger import Ledger
from serve_app.simulator.listings import DOTTED
from serve_app.simulator.services.accounting import Accounting


async def body(http: httpx.AsyncClient, path: str, **params: str | int) -> Any:
    answer = await http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json(parse_float=Decimal)


def number_with_rows(market: Market, count: int) -> int:
    return next(number for number in range(1500) if len(market.rows(number)) == count)


async def test_every_look_at_the_prices_is_another_sample(http: httpx.AsyncClient) -> None:
    first, second = [await body(http, "/api/v1/prices") for _ in range(2)]

    assert [row["ticker"] for row in first] == [row["ticker"] for row in second]
    assert [row["close"] for row in first] != [row["close"] for row in second]


async def test_the_same_looks_at_the_same_market_are_the_same(
    http: httpx.AsyncClient, market: Market
) -> None:
    seen = await body(http, "/api/v1/prices")

    assert [int(row["close"] * 100) for row in seen] == [cents for _, cents in market.prices(0)]


async def test_prices_are_json_numbers_with_two_decimals(http: httpx.AsyncClient) -> None:
    text = (await http.get("/api/v1/prices")).text
    row = json.loads(text, parse_float=str)[0]

    assert row["open"] == row["close"] == row["high"] == row["low"]
    assert row["close"].split(".")[1].isdecimal()
    assert len(row["close"].split(".")[1]) == 2


async def test_the_volume_of_a_price_is_its_standard_deviation(
    http: httpx.AsyncClient, market: Market
) -> None:
    rows = await body(http, "/api/v1/prices")

    stds = [listing.quote.price_std for listing in market.listings() if listing.quote]
    assert [row["volume"] for row in rows] == [int(std) for std in stds]


async def test_a_price_is_found_by_its_exact_ticker_only(http: httpx.AsyncClient) -> None:
    assert (await body(http, f"/api/v1/price/{DOTTED[0]}"))["ticker"] == DOTTED[0]
    assert (await http.get(f"/api/v1/price/{DOTTED[0].lower()}")).status_code == 404


@pytest.mark.parametrize("known", [True, False])
async def test_no_balances_are_a_500_with_the_words_of_the_real_service(
    http: httpx.AsyncClient, market: Market, known: bool
) -> None:
    unfunded = market.portfolio_id(number_with_rows(market, 0))

    answer = await http.get(f"/api/v1/portfolios/{unfunded if known else '0' * 24}/summary")

    assert answer.status_code == 500
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == (
        "INTERNAL_ERROR",
        "Failed to retrieve portfolio summary",
    )


async def test_amounts_of_a_summary_are_json_strings(
    http: httpx.AsyncClient, market: Market
) -> None:
    summary = await body(
        http, f"/api/v1/portfolios/{market.portfolio_id(number_with_rows(market, 21))}/summary"
    )

    assert isinstance(summary["cashBalance"], str)
    row = summary["securities"][0]
    assert all(
        isinstance(row[name], str) for name in ("quantityLong", "quantityShort", "netQuantity")
    )
    assert summary["securityCount"] == 20


async def test_rows_of_zero_shares_stay_in_a_summary(
    http: httpx.AsyncClient, market: Market
) -> None:
    number = next(
        number
        for number in range(1500)
        if any(row.long == row.short == 0 for row in market.rows(number)[1:])
    )

    summary = await body(http, f"/api/v1/portfolios/{market.portfolio_id(number)}/summary")

    assert "0" in {row["netQuantity"] for row in summary["securities"]}


async def test_a_short_position_is_a_negative_net_quantity(
    http: httpx.AsyncClient, market: Market
) -> None:
    number = next(number for number in range(1500) if any(row.short for row in market.rows(number)))

    summary = await body(http, f"/api/v1/portfolios/{market.portfolio_id(number)}/summary")

    assert any(row["netQuantity"].startswith("-") for row in summary["securities"])


async def test_a_summary_is_cut_at_a_thousand_balances_without_a_word() -> None:
    market = Market(1, 10, positions=20)
    ledger = Ledger(market)
    for place in range(1200):
        ledger.post(0, str(place), "IN", f"{place:024x}", Decimal(1), Decimal(1))
    transport = httpx.ASGITransport(Router(Accounting(ledger).routes()))

    async with httpx.AsyncClient(base_url="http://market", transport=transport) as http:
        summary = await body(http, f"/api/v1/portfolios/{market.portfolio_id(0)}/summary")

    assert summary["securityCount"] == 999


@pytest.mark.parametrize("limit", ["0", "1001", "-5", "many", ""])
async def test_a_wrong_limit_of_balances_is_silently_fifty(
    http: httpx.AsyncClient, limit: str
) -> None:
    found = await body(http, "/api/v1/balances", limit=limit)

    assert len(found["balances"]) == found["pagination"]["limit"] == 50


async def test_flags_of_balances_are_ignored(http: httpx.AsyncClient, market: Market) -> None:
    wanted = market.portfolio_id(number_with_rows(market, 21))

    found = await body(
        http,
        "/api/v1/balances",
        portfolio_id=wanted,
        cash_only="true",
        non_zero_balances_only="true",
    )

    assert len(found["balances"]) == 21
    assert "securityId" not in found["balances"][0]


async def test_null_as_a_security_is_not_cash(http: httpx.AsyncClient, market: Market) -> None:
    for params in ({}, {"portfolio_id": market.portfolio_id(number_with_rows(market, 21))}):
        found = await body(http, "/api/v1/balances", security_id="null", **params)
        assert found["pagination"]["total"] == 0


async def test_pages_of_balances_hold_every_row_once(
    http: httpx.AsyncClient, market: Market
) -> None:
    rows: list[dict[str, Any]] = []
    more = True
    while more:
        found = await body(http, "/api/v1/balances", limit=997, offset=len(rows))
        rows += found["balances"]
        more = found["pagination"]["hasMore"]

    assert len(rows) == found["pagination"]["total"] == market.count_earlier_rows(1500)
    assert len({row["id"] for row in rows}) == len(rows)
    assert [row["portfolioId"] for row in rows] == sorted(row["portfolioId"] for row in rows)


async def test_one_balance_is_found_by_the_id_that_a_page_gave(http: httpx.AsyncClient) -> None:
    row = (await body(http, "/api/v1/balances", limit=30))["balances"][29]

    assert await body(http, f"/api/v1/balance/{row['id']}") == row
    assert (await http.get("/api/v1/balance/x")).status_code == 400
    assert (await http.get("/api/v1/balance/99999999999")).status_code == 404


async def test_a_dot_in_a_searched_ticker_matches_any_character(
    http: httpx.AsyncClient, market: Market
) -> None:
    there = {listing.ticker for listing in market.listings() if listing.security_id}
    assert there >= set(DOTTED)

    found = await body(http, "/api/v2/securities", ticker=DOTTED[0])

    assert {row["ticker"] for row in found["securities"]} == set(DOTTED)


async def test_securities_are_paged_by_ticker(http: httpx.AsyncClient) -> None:
    first = await body(http, "/api/v2/securities", limit=300)
    second = await body(http, "/api/v2/securities", limit=300, offset=300)

    tickers = [row["ticker"] for row in first["securities"] + second["securities"]]
    assert tickers == sorted(tickers)
    assert first["pagination"]["hasNext"]
    assert not second["pagination"]["hasNext"]
    assert len(tickers) == first["pagination"]["totalElements"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/security/" + "0" * 24, 404),
        ("/api/v1/security/not-an-id", 500),
        ("/api/v2/securities?limit=0", 422),
        ("/api/v2/securities?limit=many", 422),
        ("/api/v2/securities?ticker=A&ticker_like=A", 400),
        ("/api/v2/securities?ticker=$", 400),
        ("/api/v1/portfolio/" + "0" * 24, 404),
        ("/api/v1/portfolio/not-an-id", 500),
        ("/api/v2/portfolios?name=A&name_like=A", 400),
        ("/api/v2/portfolios?limit=1001", 422),
        ("/api/v2", 501),
        ("/api/v9/nothing", 404),
    ],
)
async def test_wrong_questions_get_the_status_of_the_real_service(
    http: httpx.AsyncClient, path: str, status: int
) -> None:
    assert (await http.get(path)).status_code == status


async def test_another_method_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.delete("/api/v1/prices")).status_code == 405


async def test_a_body_beyond_the_bound_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/v1/orders", content=b" " * (MAX_BODY_BYTES + 1))

    assert answer.status_code == 413


async def test_portfolios_are_listed_newest_first_and_found_by_name(
    http: httpx.AsyncClient, market: Market
) -> None:
    page = await body(http, "/api/v2/portfolios", limit=2)
    named = await body(http, "/api/v2/portfolios", name="portfolio 7")
    like = await body(http, "/api/v2/portfolios", name_like="o 77")

    assert [row["name"] for row in page["portfolios"]] == ["Portfolio 1500", "Portfolio 1499"]
    assert [row["portfolioId"] for row in named["portfolios"]] == [market.portfolio_id(6)]
    assert like["pagination"]["totalElements"] == 11
    assert len(await body(http, "/api/v1/portfolios")) == 1500


@pytest.mark.parametrize(
    "path",
    [
        "/actuator/health/liveness",
        "/actuator/health/readiness",
        "/health/liveness",
        "/health/readiness",
        "/health/startup",
        "/health",
        "/health/live",
        "/health/ready",
        "/api/v1/system/health",
    ],
)
async def test_the_health_routes_of_all_services_answer(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 200
