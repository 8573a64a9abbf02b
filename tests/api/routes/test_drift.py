"""Drift reports of one portfolio, and of a model's portfolios by page; nothing is stored."""

from typing import Any

import httpx
import pytest

from serve_app.upstream.errors import UpstreamContractError
from tests.support.fakes import PRICE, A, B, P, Q, R, Stored, make_model_body, make_position
from tests.support.in_process import Upstreams

OF_P = f"/api/v1/portfolio/{P}/drift"
NOWHERE = "0" * 24


@pytest.fixture
def upstreams() -> Upstreams:
    """Upstreams where P holds A below its band of 24 to 27 %, and Q holds A inside."""
    world = Upstreams({A: PRICE, B: PRICE})
    world.set_balance(P, "979.50", **{A: 2})
    world.set_balance(Q, "743.75", **{A: 25})
    return world


def drift_path(model: dict[str, Any]) -> str:
    return f"/api/v1/model/{model['model_id']}/drift"


STANDINGS = [
    {
        "security_id": A,
        "quantity": "2",
        "price": "10.25",
        "market_value": "20.50",
        "target": "0.25",
        "low_drift": "0.01",
        "high_drift": "0.02",
        "actual": "0.0205",
        "lower_edge": "240.00",
        "upper_edge": "270.00",
        "deviation": "-229.50",
        "side": "BELOW",
        "outside": "219.50",
    },
    {
        "security_id": B,
        "quantity": "10",
        "price": "10.25",
        "market_value": "102.50",
        "target": "0",
        "low_drift": "0",
        "high_drift": "0",
        "actual": "0.1025",
        "lower_edge": "0.00",
        "upper_edge": "0.00",
        "deviation": "102.50",
        "side": "ABOVE",
        "outside": "102.50",
    },
]


async def test_a_portfolio_is_measured_security_by_security(
    client: httpx.AsyncClient, upstreams: Upstreams, model: dict[str, Any]
) -> None:
    upstreams.set_balance(P, "877.00", **{A: 2, B: 10})

    answer = await client.get(OF_P)

    assert answer.status_code == 200
    assert answer.json() == {
        "portfolio_id": P,
        "model_id": model["model_id"],
        "status": "OUT_OF_BAND",
        "market_value": "1000.00",
        "cash": "877.00",
        "cash_weight": "0.8770",
        "total_drift": "332.00",
        "total_drift_weight": "0.3320",
        "out_of_band": 2,
        "drifts": STANDINGS,
    }


async def test_a_portfolio_is_measured_by_its_newest_model_or_by_the_one_that_is_named(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    wide = {**make_position(), "low_drift": "0.25", "high_drift": "0.25"}
    body = make_model_body("Newer", positions=[wide])
    newest = (await client.post("/api/v1/models", json=body)).json()

    by_default = (await client.get(OF_P)).json()
    by_name = (await client.get(OF_P, params={"model_id": model["model_id"]})).json()

    assert (by_default["model_id"], by_default["status"]) == (newest["model_id"], "WITHIN_BANDS")
    assert (by_name["model_id"], by_name["status"]) == (model["model_id"], "OUT_OF_BAND")


async def test_the_portfolios_of_a_model_are_summed_up_in_its_order(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    answer = await client.get(drift_path(model))

    first, second = answer.json()
    assert first == {
        "portfolio_id": P,
        "status": "OUT_OF_BAND",
        "market_value": "1000.00",
        "cash": "979.50",
        "cash_weight": "0.9795",
        "total_drift": "229.50",
        "total_drift_weight": "0.2295",
        "out_of_band": 1,
        "largest_deviation": {
            "security_id": A,
            "deviation": "-229.50",
            "target": "0.25",
            "actual": "0.0205",
        },
        "error": None,
    }
    assert (second["portfolio_id"], second["status"], second["out_of_band"]) == (
        Q,
        "WITHIN_BANDS",
        0,
    )


async def test_the_portfolios_of_a_model_come_in_pages(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    ids = [f"{number:024}" for number in range(105)]
    for each in ids:
        upstreams.set_balance(each, 1000)
    model = (await client.post("/api/v1/models", json=make_model_body(portfolios=ids))).json()

    by_default = await client.get(drift_path(model))
    last = await client.get(drift_path(model), params={"offset": 100, "limit": 10})
    beyond = await client.get(drift_path(model), params={"offset": 500})

    assert [each["portfolio_id"] for each in by_default.json()] == ids[:100]
    assert f'<{drift_path(model)}?offset=100&limit=100>; rel="next"' in by_default.headers["link"]
    assert [each["portfolio_id"] for each in last.json()] == ids[100:]
    assert 'rel="next"' not in last.headers["link"]
    assert (beyond.status_code, beyond.json()) == (200, [])
    assert {each.headers["x-total-count"] for each in (by_default, last, beyond)} == {"105"}


async def test_a_portfolio_that_cannot_be_measured_is_in_the_page_with_its_reason(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    unreadable = "T" * 24
    upstreams.set_balance(R, 10, **{"Z" * 24: 1})
    upstreams.balances[unreadable] = UpstreamContractError("accounting", "nonsense")
    del upstreams.balances[P]
    body = make_model_body(portfolios=[P, Q, R, unreadable])
    model = (await client.post("/api/v1/models", json=body)).json()

    lines = (await client.get(drift_path(model))).json()

    assert [line["status"] for line in lines] == ["FAILED", "WITHIN_BANDS", "FAILED", "FAILED"]
    assert [line["error"]["type"] for line in lines if line["error"]] == [
        "/problems/holdings-missing",
        "/problems/prices-missing",
        "/problems/upstream-contract",
    ]
    assert lines[2]["error"]["securities"] == ["Z" * 24]
    assert (lines[0]["market_value"], lines[0]["out_of_band"]) == (None, None)


async def test_without_a_price_of_the_model_every_portfolio_of_the_page_says_so(
    client: httpx.AsyncClient, upstreams: Upstreams, model: dict[str, Any]
) -> None:
    del upstreams.prices[A]

    page = await client.get(drift_path(model))
    alone = await client.get(OF_P)

    assert page.status_code == 200
    assert [line["error"]["securities"] for line in page.json()] == [[A], [A]]
    assert (alone.status_code, alone.json()["type"]) == (422, "/problems/prices-missing")
    assert alone.json()["securities"] == [A]


async def test_a_portfolio_alone_that_cannot_be_measured_is_the_problem_itself(
    client: httpx.AsyncClient, upstreams: Upstreams, model: dict[str, Any]
) -> None:
    upstreams.set_balance(P, 10, **{"Z" * 24: 1})
    unpriced = await client.get(OF_P)
    del upstreams.balances[P]
    unknown = await client.get(OF_P)

    assert (unpriced.status_code, unpriced.json()["type"]) == (422, "/problems/prices-missing")
    assert unpriced.json()["securities"] == ["Z" * 24]
    assert (unknown.status_code, unknown.json()["type"]) == (422, "/problems/holdings-missing")


@pytest.mark.parametrize("upstream", ["pricing", "security", "accounting"])
async def test_an_upstream_that_is_down_is_a_503_that_names_it(
    client: httpx.AsyncClient, upstreams: Upstreams, model: dict[str, Any], upstream: str
) -> None:
    upstreams.down = upstream

    for path in (OF_P, drift_path(model)):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["upstream"]) == (503, upstream)
        assert answer.headers["retry-after"] == "1"


async def test_what_is_not_there_is_a_404_and_what_is_no_id_is_refused(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    asked = {
        f"/api/v1/portfolio/{R}/drift": 404,
        f"{OF_P}?model_id={NOWHERE}": 404,
        f"{OF_P}?model_id=newest": 422,
        f"/api/v1/model/{NOWHERE}/drift": 404,
        "/api/v1/model/zz/drift": 400,
        "/api/v1/portfolio/zz/drift": 400,
        f"{drift_path(model)}?limit=1001": 422,
        f"{drift_path(model)}?limit=0": 422,
        f"{drift_path(model)}?offset=-1": 422,
    }

    assert {path: (await client.get(path)).status_code for path in asked} == asked


async def test_measuring_stores_nothing_and_answers_the_same_again(
    client: httpx.AsyncClient, stored: Stored, model: dict[str, Any]
) -> None:
    for path in (OF_P, drift_path(model)):
        assert (await client.get(path)).content == (await client.get(path)).content

    assert await stored.rebalances.read_page() == ((), 0)
    assert (await client.get(f"/api/v1/model/{model['model_id']}")).json() == model


async def test_both_routes_and_a_rebalance_agree_on_a_portfolio(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    alone = (await client.get(OF_P)).json()
    listed = (await client.get(drift_path(model))).json()[0]
    path = f"/api/v1/portfolio/{P}/rebalance"
    plan = (await client.post(path, params={"dry_run": "true"})).json()

    shared = alone.keys() & listed.keys()
    assert {name: alone[name] for name in shared} == {name: listed[name] for name in shared}
    assert plan["market_value"] == alone["market_value"]
    assert plan["drifts"][0]["original_quantity"] == alone["drifts"][0]["quantity"]
