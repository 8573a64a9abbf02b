"""POST /optimize under the general rules for ids, weights and digits; refusals name the rule."""

import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_app.client import AsyncClient
from serve_app.settings import Settings
from tests.optimization.domain.test_rules import READABLE, UNREADABLE
from tests.support.command_server import connect_ordergen, serve
from tests.support.optimize_bodies import (
    JSON,
    PATH,
    Json,
    build_optimize_app,
    make_body,
    make_line,
    post_body,
    read_trades,
)

pytestmark = pytest.mark.usefixtures("read_anywhere")
Change = Callable[[Json], Any]


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return build_optimize_app(settings)


@pytest.mark.parametrize("name", READABLE)
async def test_any_readable_text_is_an_id_everywhere(client: httpx.AsyncClient, name: str) -> None:
    body = make_body(make_line(name, "0.6"), make_line("BND", "0.4"))
    body["portfolios"][0]["portfolio_id"] = name
    body["portfolios"][0]["holdings"] = {name: 7}
    body["options"] = {
        "do_not_sell": [name],
        "lots": {name: 1},
        "groups": [{"name": name, "security_ids": [name], "high": "0.9"}],
    }
    outcome = await post_body(client, body)
    assert outcome["portfolio_id"] == name
    assert [each["security_id"] for each in outcome["drifts"]] == [name, "BND"]


PLACES: dict[str, Change] = {
    "/model/positions/0/security_id": lambda body: body["model"]["positions"][0],
    "/portfolios/0/portfolio_id": lambda body: body["portfolios"][0],
    "/options/do_not_buy/0": lambda body: body["options"]["do_not_buy"],
    "/options/do_not_sell/0": lambda body: body["options"]["do_not_sell"],
    "/options/frozen/0": lambda body: body["options"]["frozen"],
    "/options/groups/0/security_ids/0": lambda body: body["options"]["groups"][0]["security_ids"],
}


@pytest.mark.parametrize("pointer", PLACES)
async def test_an_unreadable_id_is_refused_wherever_it_stands(
    client: httpx.AsyncClient, pointer: str
) -> None:
    for kind, name in UNREADABLE.items():
        options = {each: ["VTI"] for each in ("do_not_buy", "do_not_sell", "frozen")}
        groups = [{"name": "g", "security_ids": ["VTI"]}]
        body = make_body() | {"options": {**options, "groups": groups}}
        place: Any = PLACES[pointer](body)
        last = pointer.rpartition("/")[2]
        place[int(last) if last.isdecimal() else last] = name
        answer = await client.post(PATH, content=json.dumps(body), headers=JSON)
        assert answer.status_code == 422, kind
        (error,) = answer.json()["errors"]
        assert error["pointer"] == pointer
        assert "String should match" not in answer.text
        if "\ud800" not in name:
            assert "1 to 64 printable characters" in error["detail"]


@pytest.mark.parametrize("name", ["prices", "holdings", "lots"])
async def test_an_unreadable_id_is_refused_as_a_name(client: httpx.AsyncClient, name: str) -> None:
    body = make_body() | {"options": {"lots": {}}}
    places: Json = {"prices": body["prices"], "holdings": body["portfolios"][0]["holdings"]}
    places["lots"] = body["options"]["lots"]
    places[name]["VTI\u200b"] = 1
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["detail"].startswith("an id has 1 to 64 printable characters")


async def test_targets_sum_to_one(client: httpx.AsyncClient) -> None:
    outcome = await post_body(client, make_body())
    assert (read_trades(outcome), outcome["cash_after_rebalance"]) == (
        {"VTI": "60", "BND": "40"},
        "0.00",
    )


async def test_thirds_sum_to_one_and_are_answered_as_they_were_given(
    client: httpx.AsyncClient,
) -> None:
    zero = {"low_drift": 0, "high_drift": 0}
    body = make_body(
        make_line("A", "1/3", **zero),
        make_line("B", "2/6", **zero),
        make_line("C", "1/3", **zero),
        cash=90,
    )
    outcome = await post_body(client, body)
    assert read_trades(outcome) == {"A": "3", "B": "3", "C": "3"}
    assert [each["target"] for each in outcome["drifts"]] == ["1/3", "2/6", "1/3"]
    assert outcome["objective"] == outcome["lower_bound"] == "0.00"
    body["portfolios"][0]["cash"] = 100
    refused = (await client.post(PATH, json=body)).json()
    (entry, *_) = refused["portfolios"][0]["error"]["securities"]
    assert (entry["target"], entry["smallest_band"]["high_drift"]) == ("1/3", "0.066667")


async def test_an_objective_of_thirds_has_digits_that_end(client: httpx.AsyncClient) -> None:
    outcome = await post_body(client, make_body(make_line("A", "1/3"), cash="100"))
    assert (read_trades(outcome), outcome["objective"]) == ({"A": "3"}, "3.333333333333")


@pytest.mark.parametrize(
    ("band", "edges"),
    [
        ({"relative_drift": "0.25", "absolute_drift": "0.05"}, ("0.05", "0.05")),
        ({"relative_drift": "0.05"}, ("0.020", "0.020")),
        ({"low_drift": "0.4", "high_drift": 0}, ("0", "0.4")),
    ],
)
async def test_a_band_may_be_relative_or_a_cap(
    client: httpx.AsyncClient, band: Json, edges: tuple[str, str]
) -> None:
    outcome = await post_body(client, make_body(make_line("VTI", "0.4", **band)))
    (drift,) = outcome["drifts"]
    assert (Decimal(drift["high_drift"]), Decimal(drift["low_drift"])) == (*map(Decimal, edges),)


async def test_a_relative_band_of_a_third_is_answered_as_a_fraction(
    client: httpx.AsyncClient,
) -> None:
    outcome = await post_body(client, make_body(make_line("VTI", "1/3", relative_drift="0.25")))
    assert outcome["drifts"][0]["low_drift"] == "1/12"


@pytest.mark.parametrize(
    "band",
    [
        {"low_drift": "0.1"},
        {"high_drift": "0.1"},
        {"absolute_drift": "0.1"},
        {"relative_drift": "0.1", "low_drift": "0.1"},
        {"relative_drift": "0.1", "low_drift": "0.1", "high_drift": "0.1"},
        {"low_drift": "0.1", "high_drift": "0.1", "absolute_drift": "0.1"},
    ],
)
async def test_a_band_is_given_in_one_way(client: httpx.AsyncClient, band: Json) -> None:
    answer = await client.post(PATH, json=make_body(make_line("VTI", "0.4", **band)))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/model/positions/0"
    assert "relative_drift" in error["detail"]


async def test_the_edge_of_a_relative_band_is_inside(client: httpx.AsyncClient) -> None:
    fifth = {"relative_drift": "0.2"}
    body = make_body(make_line("A", "0.4", **fifth), make_line("B", "0.5", **fifth), A=480, B=420)
    body["options"] = {"scope": "DRIFTED_TO_TARGET"}
    outcome = await post_body(client, body)
    assert (outcome["status"], outcome["objective"]) == ("IN_BAND", "1600.00")


async def test_shortest_digits_of_floats_are_read_as_they_stand(client: httpx.AsyncClient) -> None:
    body = make_body(make_line("A", "0.5"), cash=0.1 + 0.2, A=31.499999999999996)
    body["prices"]["A"] = 1.1 * 1.1
    text = json.dumps(body)
    assert "31.499999999999996" in text
    assert "0.30000000000000004" in text
    outcome = await post_body(client, text)
    held = Fraction("31.499999999999996") * Fraction("1.2100000000000002")
    assert Fraction(outcome["market_value"]) == held + Fraction("0.30000000000000004")


async def test_eighteen_decimals_are_exact(client: httpx.AsyncClient) -> None:
    body = make_body(make_line("ETH", "0.999999999999"), cash="0.000000000000000001", ETH="2")
    body["prices"]["ETH"] = "3411.070000000000000001"
    body["options"] = {"lots": {"ETH": "0.000000000000000001"}}
    outcome = await post_body(client, body)
    assert Decimal(outcome["market_value"]) == Decimal("6822.140000000000000003")
    assert Fraction(read_trades(outcome)["ETH"]) == Fraction("-0.000000000002")


@pytest.mark.parametrize(
    ("change", "pointer", "says"),
    [
        (lambda b: b["prices"].update(VTI="0.1234567890123456789"), "/prices/VTI", "18 decimals"),
        (lambda b: b["prices"].update(VTI=1e-19), "/prices/VTI", "18 decimals"),
        (lambda b: b["prices"].update(VTI="1E-9999"), "/prices/VTI", "18 decimals"),
        (lambda b: b["prices"].update(VTI="1E+9999"), "/prices/VTI", "less than or equal"),
        (lambda b: b["portfolios"][0].update(cash="1e-20"), "/portfolios/0/cash", "18 decimals"),
        (
            lambda b: b.update(options={"lots": {"VTI": "1e-19"}}),
            "/options/lots/VTI",
            "18 decimals",
        ),
        (
            lambda b: b["model"]["positions"][0].update(target=0.1 + 0.2),
            "/model/positions/0/target",
            "12 decimals",
        ),
        (
            lambda b: b["model"]["positions"][0].update(target="1/0"),
            "/model/positions/0/target",
            "1/3",
        ),
        (
            lambda b: b["model"]["positions"][0].update(target="4/3"),
            "/model/positions/0/target",
            "0 to 1",
        ),
        (
            lambda b: b["model"]["positions"][1].update(target="0.400000000001"),
            "/model/positions",
            "1",
        ),
    ],
)
async def test_what_has_too_many_digits_is_refused_with_the_rule(
    client: httpx.AsyncClient, change: Change, pointer: str, says: str
) -> None:
    body = make_body()
    change(body)
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert says in error["detail"]


@pytest.mark.parametrize("price", [None, 0, "0.00"])
async def test_a_price_of_0_or_none_fails_only_the_portfolios_that_hold_it(
    client: httpx.AsyncClient, price: object
) -> None:
    body = make_body(VTI=3, OLD=5, GONE=1)
    body["portfolios"].append({"portfolio_id": "U2", "cash": 1000, "holdings": {"OLD": 0}})
    for name in ("OLD", "GONE"):
        body["prices"].pop(name) if price is None else body["prices"].update({name: price})
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200
    failed, rebalanced = answer.json()
    assert (failed["status"], rebalanced["status"]) == ("FAILED", "REBALANCED")
    assert failed["error"]["type"] == "/problems/prices-missing"
    assert failed["error"]["securities"] == ["GONE", "OLD"]


async def test_a_price_of_0_that_the_model_needs_fails_all_of_it(client: httpx.AsyncClient) -> None:
    body = make_body()
    body["prices"]["VTI"] = 0
    problem = (await client.post(PATH, json=body)).json()
    assert problem["portfolios"][0]["error"]["securities"] == ["VTI"]
    body["model"]["positions"][0]["target"] = 0
    assert read_trades(await post_body(client, body)) == {"BND": "40"}


async def test_5000_positions_are_answered(client: httpx.AsyncClient) -> None:
    lines = [make_line(f"S{i}", "0.0002", low_drift="0.0002", high_drift=1) for i in range(5_000)]
    outcome = await post_body(client, make_body(*lines, cash="2000000"))
    assert len(outcome["drifts"]) == 5_000
    assert set(read_trades(outcome).values()) == {"40"}
    more = make_body(*lines, make_line("ONE", "0.0000000001"))
    more["model"]["positions"][0]["target"] = "0.0001"
    answer = await client.post(PATH, json=more)
    assert answer.status_code == 422
    assert "5,000 positions" in answer.json()["errors"][0]["detail"]


async def test_the_command_line_and_the_client_take_tickers_and_fractions(
    app: FastAPI, tmp_path: Path
) -> None:
    body = make_body(make_line("VTI", "1/3", relative_drift="0.25"), make_line("BND", "0.4"))
    file = tmp_path / "asked.json"
    file.write_text(json.dumps(body))
    async with serve(app) as url:
        shown = await connect_ordergen(url)("optimize", str(file))
        printed = await connect_ordergen(url)("optimize", str(file), "--json")
        async with AsyncClient(url) as service:
            (outcome,) = await service.optimize(body)
    assert "VTI" in shown.stdout
    (first, second) = json.loads(printed.stdout)[0]["drifts"]
    assert (first["target"], first["low_drift"], second["target"]) == ("1/3", "1/12", 0.4)
    assert (outcome.portfolio_id, outcome.drifts[0].target) == ("U1234567", Fraction(1, 3))


async def test_the_document_tells_the_rules_in_force(client: httpx.AsyncClient) -> None:
    rules = (await client.get("/openapi.json")).json()["info"]["x-model-rules"]
    assert (rules["stored_models"]["name"], rules["optimize"]["name"]) == ("globeco", "general")
    assert (rules["stored_models"]["most_positions"], rules["optimize"]["most_positions"]) == (
        100,
        5000,
    )
