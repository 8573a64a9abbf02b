"""POST /optimize: models, prices and portfolios in the body; without database and upstreams."""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_app.settings import Settings
from tests.support.fakes import A, B, P, Q, R, make_position
from tests.support.optimize_bodies import build_optimize_app

pytestmark = pytest.mark.usefixtures("read_anywhere")
Json = dict[str, Any]
Change = Callable[[Json], Any]
PATH = "/api/v1/optimize"


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return build_optimize_app(settings)


def optimize_body(**changes: object) -> Json:
    portfolios = [
        {"portfolio_id": P, "cash": "1000.50", "holdings": {A: 2}},
        {"portfolio_id": Q, "cash": 500, "holdings": {B: "3.5"}},
    ]
    model = {"name": "Growth", "positions": [make_position()]}
    return {"model": model, "prices": {A: 10.25, B: "31"}, "portfolios": portfolios, **changes}


PLAN_OF_P = {
    "portfolio_id": P,
    "rebalance_id": None,
    "model_id": None,
    "status": "REBALANCED",
    "drifts": [
        {
            "security_id": A,
            "original_quantity": "2",
            "adjusted_quantity": "25",
            "target": "0.25",
            "high_drift": "0.02",
            "low_drift": "0.01",
            "actual": "0.2510",
        }
    ],
    "market_value": "1021.00",
    "base": "1021.00",
    "cash_before_rebalance": "1000.50",
    "cash_after_rebalance": "764.75",
    "turnover": "235.75",
    "objective": "1.00",
    "lower_bound": "1.00",
    "cost": "0",
    "proof": "OPTIMAL",
    "other_base": None,
    "method": "SEPARABLE",
    "binding": [],
    "open_orders_counted": 0,
    "violation": "0.00",
    "violation_lower_bound": "0.00",
    "outside_band": [],
    "error": None,
}


async def test_portfolios_are_answered_in_their_order_and_without_ids(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    answer = await client.post(PATH, json=optimize_body())

    first, second = answer.json()
    assert (first["portfolio_id"], second["portfolio_id"]) == (P, Q)
    day = datetime.now(settings.time_zone).date().isoformat()
    trade = {"transaction_type": "BUY", "security_id": A, "quantity": 23, "trade_date": day}
    assert first == PLAN_OF_P | {"transactions": [trade]}
    assert second["drifts"][1]["adjusted_quantity"] == "0.5"
    assert "location" not in answer.headers


async def test_weights_are_of_what_a_fee_leaves_and_the_executed_plan_is_left_alone(
    client: httpx.AsyncClient,
) -> None:
    line = {"security_id": A, "target": "0.5", "low_drift": "0.05", "high_drift": "0.05"}
    account = {"portfolio_id": P, "cash": "25000", "holdings": {A: "3000"}}
    body: Json = {
        "model": {"positions": [line]},
        "prices": {A: "25"},
        "portfolios": [account],
        "options": {"cost_per_trade": "10000"},
    }

    planned = (await client.post(PATH, json=body)).json()[0]
    account |= {"cash": planned["cash_after_rebalance"], "holdings": {A: "1800"}}
    again = (await client.post(PATH, json=body)).json()[0]

    assert planned["drifts"][0]["adjusted_quantity"] == "1800"
    assert planned["drifts"][0]["actual"] == "0.5000"
    assert (planned["market_value"], planned["base"]) == ("100000", "90000.00")
    assert (again["status"], again["base"]) == ("IN_BAND", "90000.00")


async def test_the_cheaper_plan_of_a_cycle_says_what_is_left_by_the_other(
    client: httpx.AsyncClient,
) -> None:
    line = {"security_id": A, "target": "0.25", "low_drift": "0.25", "high_drift": "0.5"}
    account: Json = {"portfolio_id": P, "cash": "202", "holdings": {}}
    body: Json = {
        "model": {"positions": [line]},
        "prices": {A: "100"},
        "portfolios": [account],
        "options": {"cost_per_trade": "3"},
    }

    answer = (await client.post(PATH, json=body)).json()[0]

    assert (answer["transactions"], answer["proof"]) == ([], "FIXED_POINT_CYCLE")
    assert (answer["base"], answer["other_base"]) == ("202", "199.00")


async def test_numbers_and_strings_are_the_same_exact_decimals(client: httpx.AsyncClient) -> None:
    text = json.dumps(optimize_body()).replace("1000.50", "1000.0000000001")
    headers = {"content-type": "application/json"}

    by_string = await client.post(PATH, content=text, headers=headers)
    text = text.replace('"1000.0000000001"', "1000.0000000001")
    by_number = await client.post(PATH, content=text, headers=headers)

    assert by_number.content == by_string.content
    assert by_number.json()[0]["cash_before_rebalance"] == "1000.0000000001"


async def test_one_portfolio_fails_and_the_others_go_on(client: httpx.AsyncClient) -> None:
    unpriced = {"portfolio_id": R, "cash": 0, "holdings": {"Z" * 24: 1}}
    body = optimize_body()
    body["portfolios"].insert(1, unpriced)

    answer = await client.post(PATH, json=body)

    assert [each["status"] for each in answer.json()] == ["REBALANCED", "FAILED", "REBALANCED"]
    assert answer.json()[1]["error"]["type"] == "/problems/prices-missing"
    assert answer.json()[1]["error"]["securities"] == ["Z" * 24]


async def test_without_a_price_of_the_model_every_portfolio_says_so_with_a_422(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post(PATH, json=optimize_body(prices={B: 31}))

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/prices-missing")
    assert [each["portfolio_id"] for each in problem["portfolios"]] == [P, Q]
    assert problem["portfolios"][0]["error"]["securities"] == [A]
    assert problem["rebalance_id"] is None


async def test_an_empty_portfolio_a_short_one_and_an_overdrawn_one_are_ordinary(
    client: httpx.AsyncClient,
) -> None:
    portfolios = [
        {"portfolio_id": P, "cash": 0, "holdings": {}},
        {"portfolio_id": Q, "cash": 5000, "holdings": {A: -3}},
        {"portfolio_id": R, "cash": -100, "holdings": {A: 200}},
    ]

    answer = await client.post(PATH, json=optimize_body(portfolios=portfolios))

    assert [each["status"] for each in answer.json()] == ["IN_BAND", "REBALANCED", "REBALANCED"]
    assert answer.json()[0]["market_value"] == "0"


async def test_what_a_plan_leaves_outside_its_band_is_listed_with_what_holds_it(
    client: httpx.AsyncClient,
) -> None:
    held = {"portfolio_id": P, "cash": 0, "holdings": {A: 100}}
    body = optimize_body(portfolios=[held], options={"direction": "BUY_ONLY"})

    (answer,) = (await client.post(PATH, json=body)).json()

    assert (answer["status"], answer["transactions"], answer["error"]) == ("NO_TRADE", [], None)
    (outside,) = [each for each in answer["outside_band"] if each["security_id"] == A]
    assert (outside["side"], outside["held_by"]) == ("ABOVE", ["direction"])
    assert Decimal(answer["violation"]) == sum(
        Decimal(each["outside"]) for each in answer["outside_band"]
    )
    assert answer["violation_lower_bound"] == answer["violation"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (lambda body: body.update(mode=1), "/mode"),
        (lambda body: body["model"].update(version=1), "/model/version"),
        (lambda body: body["model"]["positions"][0].update(weight=1), "/model/positions/0/weight"),
        (lambda body: body["portfolios"][1].update(prices={}), "/portfolios/1/prices"),
        (lambda body: body.update(options={"cash_floors": 1}), "/options/cash_floors"),
        (lambda body: body.update(portfolios=[]), "/portfolios"),
        (lambda body: body["portfolios"][1].update(portfolio_id=P), "/portfolios/1/portfolio_id"),
        (lambda body: body["prices"].update({A: -1}), f"/prices/{A}"),
        (lambda body: body["prices"].update({" A": 1}), "/prices/ A"),
        (lambda body: body["prices"].update({"A" * 99: 1}), f"/prices/{'A' * 57}..."),
        (lambda body: body["portfolios"][0].update(cash="NaN"), "/portfolios/0/cash"),
        (lambda body: body["portfolios"][0].update(cash=1e30), "/portfolios/0/cash"),
        (lambda body: body["portfolios"][0].pop("holdings"), "/portfolios/0/holdings"),
        (
            lambda body: body["model"]["positions"].append(make_position()),
            "/model/positions/1/security_id",
        ),
        (
            lambda body: body["model"]["positions"][0].update(target="0.0130000000001"),
            "/model/positions/0/target",
        ),
        (
            lambda body: body["model"]["positions"][0].update(low_drift="1.9"),
            "/model/positions/0/low_drift",
        ),
        (
            lambda body: body["model"]["positions"].append(make_position(B, "0.9")),
            "/model/positions",
        ),
    ],
)
async def test_what_breaks_a_rule_is_refused_with_its_place(
    client: httpx.AsyncClient, change: Change, pointer: str
) -> None:
    body = optimize_body()
    change(body)

    answer = await client.post(PATH, json=body)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_thousand_portfolios_are_the_most_of_one_call(client: httpx.AsyncClient) -> None:
    one = {"cash": 1000, "holdings": {}}
    portfolios = [one | {"portfolio_id": f"{number:024d}"} for number in range(1001)]

    answer = await client.post(PATH, json=optimize_body(portfolios=portfolios))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/portfolios"


async def test_options_that_exclude_each_other_are_a_problem_of_their_own(
    client: httpx.AsyncClient,
) -> None:
    options = {"cash_floor": 100, "cash_ceiling": 50}

    answer = await client.post(PATH, json=optimize_body(options=options))

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/options-conflict")


async def test_options_reach_the_engine(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json=optimize_body(options={"cash_floor": "75.1%"}))

    assert answer.json()[0]["cash_after_rebalance"] == "775.00"
    assert answer.json()[0]["binding"] == [{"constraint": "cash_floor", "slack": "8.22"}]
