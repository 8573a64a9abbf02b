"""POST /optimize: harmful options are refused, and single portfolios may have their own."""

import httpx
import pytest
from fastapi import FastAPI

from serve_app.settings import Settings
from tests.support.optimize_bodies import (
    PATH,
    Json,
    build_optimize_app,
    make_body,
    make_line,
    post_body,
    read_refusal,
    read_trades,
)

pytestmark = pytest.mark.usefixtures("read_anywhere")


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return build_optimize_app(settings)


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"do_not_buy": ["VIT"]}, "/options/do_not_buy"),
        ({"do_not_sell": ["VTI", "VIT"]}, "/options/do_not_sell"),
        ({"frozen": ["VIT"]}, "/options/frozen"),
        ({"lots": {"VIT": 10}}, "/options/lots/VIT"),
        (
            {"groups": [{"name": "g", "security_ids": ["BND", "VIT"]}]},
            "/options/groups/0/security_ids",
        ),
    ],
)
async def test_an_id_in_a_restriction_that_nobody_has_is_refused(
    client: httpx.AsyncClient, options: Json, pointer: str
) -> None:
    own = make_body(VTI=1)
    own["portfolios"][0]["options"] = options
    for body, place in (
        (make_body(VTI=1) | {"options": options}, pointer),
        (own, f"/portfolios/0{pointer}"),
    ):
        problem = await read_refusal(client, body)
        (error,) = problem["errors"]
        assert (problem["type"], error["pointer"]) == ("/problems/invalid-request", place)
        assert error["detail"].startswith("VIT, which is in no portfolio of the call")
        assert pointer.split("/")[2] in problem["detail"]


async def test_lots_and_groups_may_name_what_has_a_price_and_is_not_held(
    client: httpx.AsyncClient,
) -> None:
    body = make_body(cash=0, VTI=60, BND=40)
    body["prices"]["SOLD"] = 10
    groups = [{"name": "g", "security_ids": ["VTI", "SOLD"]}]
    body["options"] = {"lots": {"SOLD": 100}, "groups": groups}
    assert (await post_body(client, body))["status"] == "IN_BAND"
    body["options"]["do_not_sell"] = ["SOLD"]
    (error,) = (await read_refusal(client, body))["errors"]
    assert error["pointer"] == "/options/do_not_sell"


async def test_an_id_that_any_portfolio_or_the_model_has_is_none_of_them(
    client: httpx.AsyncClient,
) -> None:
    body = make_body(make_line("VTI", "0.6"), make_line("OUT", "0"), OLD=0) | {
        "options": {"do_not_sell": ["VTI", "OUT", "OLD", "MINE"]}
    }
    body["portfolios"].append({"portfolio_id": "U2", "cash": 0, "holdings": {"MINE": 1}})
    body["prices"]["MINE"] = 10
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("positions", [[], [make_line("VTI", 0)]])
async def test_a_model_without_a_target_is_refused_unless_everything_is_to_be_sold(
    client: httpx.AsyncClient, positions: list[Json]
) -> None:
    body = make_body(VTI=3)
    body["model"]["positions"] = positions
    assert (await read_refusal(client, body))["type"] == "/problems/empty-model"
    body["options"] = {"liquidate": False}
    assert (await read_refusal(client, body))["type"] == "/problems/empty-model"
    body["options"] = {"liquidate": True}
    assert read_trades(await post_body(client, body)) == {"VTI": "-3"}
    body["portfolios"][0]["options"] = {"liquidate": None}
    assert (await read_refusal(client, body))["type"] == "/problems/empty-model"


async def test_a_misspelt_key_is_no_model_without_targets(client: httpx.AsyncClient) -> None:
    body = make_body(VTI=3)
    body["model"]["position"] = body["model"].pop("positions")
    pointers = [error["pointer"] for error in (await read_refusal(client, body))["errors"]]
    assert pointers == ["/model/positions", "/model/position"]


async def test_everything_is_not_sold_beside_targets(client: httpx.AsyncClient) -> None:
    problem = await read_refusal(client, make_body(VTI=3) | {"options": {"liquidate": True}})
    assert (problem["type"], problem["options"]) == ("/problems/options-conflict", ["liquidate"])


AMOUNTS = ("cash_floor", "cash_ceiling", "turnover_cap", "minimum_value", "maximum_value")


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize("value", [0.02, "0.02", "0.020"])
async def test_a_bare_number_between_0_and_1_is_refused_with_both_ways_to_write_it(
    client: httpx.AsyncClient, name: str, value: object
) -> None:
    (error,) = (await read_refusal(client, make_body() | {"options": {name: value}}))["errors"]
    assert error["pointer"] == f"/options/{name}"
    assert '"2%"' in error["detail"]
    assert 'or {"amount": "0.02' in error["detail"]


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize(
    "value",
    ["2%", 0, "0", 1, "1.5", {"amount": "0.02"}, {"amount": 0.02}, {"amount": 1000}, "0.5%"],
)
async def test_what_can_mean_one_thing_is_taken(
    client: httpx.AsyncClient, name: str, value: object
) -> None:
    answer = await client.post(PATH, json=make_body() | {"options": {name: value}})
    assert answer.json()[0]["status"] if answer.status_code == 200 else "limits" in answer.text


@pytest.mark.parametrize(
    "value", [{"amount": "2%"}, {"amounts": 1}, {}, {"amount": 1, "of": 2}, -1]
)
async def test_any_other_amount_is_refused(client: httpx.AsyncClient, value: object) -> None:
    (error,) = (await read_refusal(client, make_body() | {"options": {"cash_floor": value}}))[
        "errors"
    ]
    assert error["pointer"].startswith("/options/cash_floor")


async def test_a_minimum_in_percent_is_of_market_value(client: httpx.AsyncClient) -> None:
    wide = {"low_drift": 1, "high_drift": 1}
    body = make_body(make_line("VTI", "0.6", **wide), cash=500, VTI=50) | {
        "options": {"minimum_value": "10%"}
    }
    assert read_trades(await post_body(client, body)) == {"VTI": "10"}
    body["options"] = {"minimum_value": "20.1%"}
    assert read_trades(await post_body(client, body)) == {}


async def test_options_of_a_portfolio_are_merged_over_those_of_the_call(
    client: httpx.AsyncClient,
) -> None:
    wide = {"low_drift": 1, "high_drift": 1}
    body = make_body(make_line("VTI", "0.5", **wide), make_line("BND", "0.5", **wide))
    own: list[Json | None] = [
        None,
        {},
        {"cash_floor": "0%"},
        {"cash_floor": None},
        {"do_not_buy": ["BND"]},
        {"cash_floor": "0%", "do_not_buy": []},
        {"direction": "SELL_ONLY"},
    ]
    body["options"] = {"cash_floor": "20%", "do_not_buy": ["VTI"]}
    body["portfolios"] = [
        {"portfolio_id": f"U{i}", "cash": 1000, "holdings": {}}
        | ({} if each is None else {"options": each})
        for i, each in enumerate(own)
    ]
    answer = await client.post(PATH, json=body)
    assert [read_trades(each) for each in answer.json()] == [
        {"BND": "50"},
        {"BND": "50"},
        {"BND": "50"},
        {"BND": "50"},
        {"VTI": "50"},
        {"VTI": "50", "BND": "50"},
        {},
    ]


async def test_wrong_options_of_a_portfolio_are_refused_with_their_place(
    client: httpx.AsyncClient,
) -> None:
    body = make_body() | {"options": {"cash_ceiling": "5%"}}
    body["portfolios"][0]["options"] = {"cash_floors": 1}
    (error,) = (await read_refusal(client, body))["errors"]
    assert error["pointer"] == "/portfolios/0/options/cash_floors"
    body["portfolios"][0]["options"] = {"cash_floor": "10%"}
    assert (await read_refusal(client, body))["type"] == "/problems/options-conflict"


async def test_portfolios_with_options_of_their_own_are_answered_as_they_are_alone(
    client: httpx.AsyncClient,
) -> None:
    wide = {"low_drift": "0.3", "high_drift": "0.3"}
    body = make_body(make_line("VTI", "0.5", **wide), make_line("BND", "0.3", **wide))
    body["portfolios"] = [
        {
            "portfolio_id": f"U{i}",
            "cash": 1000 + 17 * i,
            "holdings": {"VTI": i},
            "options": [{"cash_floor": "10%"}, {"do_not_sell": ["VTI"]}, {"maximum_trades": 1}, {}][
                i % 4
            ],
        }
        for i in range(120)
    ]
    together = (await client.post(PATH, json=body)).json()
    for i in (0, 1, 2, 3, 61, 118):
        alone = (
            await client.post(PATH, json=body | {"portfolios": [body["portfolios"][i]]})
        ).json()
        assert alone == [together[i]]
