"""Costly mistakes are refused on every route: empty models, unknown ids, ambiguous amounts."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from optimization.domain.model import Model
from optimization.domain.options import RebalanceOptions
from serve_app.rebalances.replay import replay_rebalance
from tests.support.fakes import PRICE, A, B, P, Q, Stored, make_model_body, make_position
from tests.support.in_process import Upstreams, make_two_owners

Json = dict[str, Any]
DRY = {"dry_run": "true"}
C = "C" * 24
ASYNC = {"Prefer": "respond-async"}
WAYS: dict[str, tuple[Json, Json]] = {"stored": ({}, {}), "dry": (DRY, {}), "async": ({}, ASYNC)}


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_owners()


async def has_stored_anything(client: httpx.AsyncClient) -> bool:
    runs, rebalances = await client.get("/api/v1/runs"), await client.get("/api/v1/rebalances")
    return bool(runs.json() or rebalances.json())


async def empty_model(client: httpx.AsyncClient) -> str:
    body = {"name": "Empty", "targets": [make_position()], "portfolios": [P, Q]}
    return (await client.post("/api/v1/models", json=body)).json()["model_id"]


@pytest.mark.parametrize("way", WAYS)
async def test_an_empty_model_is_refused_on_every_route_and_nothing_is_stored(
    client: httpx.AsyncClient, way: str
) -> None:
    params, headers = WAYS[way]
    model_id = await empty_model(client)
    for path in (f"model/{model_id}", f"portfolio/{P}"):
        for options in (None, {}, {"liquidate": False}, {"liquidate": None}):
            answer = await client.post(
                f"/api/v1/{path}/rebalance", params=params, headers=headers, json=options
            )
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/empty-model")
    assert not await has_stored_anything(client)


async def test_a_run_of_an_empty_model_is_refused_and_one_of_several_says_so_for_each_portfolio(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    model_id = await empty_model(client)
    answer = await client.post("/api/v1/runs", json={"models": [model_id]})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/empty-model")
    upstreams.set_balance(C, 1000)
    other = await client.post("/api/v1/models", json=make_model_body(name="Other", portfolios=[C]))
    models = [model_id, other.json()["model_id"]]
    run = await wait_until_over(
        client, (await client.post("/api/v1/runs", json={"models": models})).json()
    )
    assert run["counts"] == {"FAILED": 2, "REBALANCED": 1}
    lines = (await client.get(f"/api/v1/runs/{run['run_id']}/outcomes")).text
    assert lines.count("/problems/empty-model") == 2


SELL_ALL = {"liquidate": True}


@pytest.mark.parametrize("selected", ["models", "portfolios", "both", "whole book"])
async def test_a_run_of_an_empty_model_begins_where_single_portfolios_say_that_everything_is_sold(
    client: httpx.AsyncClient, selected: str
) -> None:
    models = {"models": [await empty_model(client)]}
    portfolios = {"portfolios": [P, Q]}
    selections: dict[str, Json] = {
        "models": models,
        "portfolios": portfolios,
        "both": models | portfolios,
        "whole book": {"whole_book": True},
    }
    for own, counts in (
        ({P: SELL_ALL, Q: SELL_ALL}, {"REBALANCED": 2}),
        ({P: SELL_ALL}, {"REBALANCED": 1, "FAILED": 1}),
        ({P: {"direction": "SELL_ONLY"}, Q: SELL_ALL}, {"REBALANCED": 1, "FAILED": 1}),
    ):
        asked = selections[selected] | {"options_by_portfolio": own}
        answer = await client.post("/api/v1/runs", json=asked)
        assert answer.status_code == 202, answer.text
        run = await wait_until_over(client, answer.json())
        assert run["counts"] == counts
        lines = (await client.get(f"/api/v1/runs/{run['run_id']}/outcomes")).text
        assert lines.count("/problems/empty-model") == counts.get("FAILED", 0)


async def test_a_run_of_an_empty_model_is_refused_where_only_portfolios_of_others_have_options(
    client: httpx.AsyncClient,
) -> None:
    models = {"models": [await empty_model(client)]}
    answer = await client.post(
        "/api/v1/runs", json=models | {"options_by_portfolio": {C: SELL_ALL}}
    )
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/empty-model")
    assert not await has_stored_anything(client)


async def wait_until_over(client: httpx.AsyncClient, run: Json) -> Json:
    while run["status"] in {"QUEUED", "RUNNING"}:
        run = (await client.get(f"/api/v1/runs/{run['run_id']}")).json()
    return run


async def test_everything_is_sold_to_an_empty_model_where_it_is_said(
    client: httpx.AsyncClient,
) -> None:
    model_id = await empty_model(client)
    options = {"liquidate": True}
    answer = await client.post(f"/api/v1/model/{model_id}/rebalance", json=options)
    assert [len(each["transactions"]) for each in answer.json()] == [1, 1]
    alone = await client.post(f"/api/v1/portfolio/{P}/rebalance", params=DRY, json=options)
    (trade,) = alone.json()["transactions"]
    assert (trade["transaction_type"], trade["quantity"]) == ("SELL", 2)


async def test_everything_is_not_sold_to_a_model_with_targets(
    client: httpx.AsyncClient, model: Json
) -> None:
    for path in (f"model/{model['model_id']}", f"portfolio/{P}"):
        answer = await client.post(f"/api/v1/{path}/rebalance", json={"liquidate": True})
        assert (answer.status_code, answer.json()["options"]) == (422, ["liquidate"])


RESTRICTIONS: list[Json] = [
    {"do_not_buy": [C]},
    {"do_not_sell": [A, C]},
    {"frozen": [C]},
    {"lots": {C: 10}},
    {"groups": [{"name": "g", "security_ids": [C]}]},
]


@pytest.mark.parametrize("params", [{}, DRY], ids=["stored", "dry"])
@pytest.mark.parametrize("options", RESTRICTIONS)
async def test_what_nobody_has_may_not_be_restricted_for_one_portfolio(
    client: httpx.AsyncClient, model: Json, options: Json, params: Json
) -> None:
    answer = await client.post(f"/api/v1/portfolio/{P}/rebalance", params=params, json=options)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/invalid-request")
    (error,) = problem["errors"]
    (name,) = options
    assert error["pointer"].startswith(f"/{name}")
    assert error["detail"].startswith(f"{C}, which is in no portfolio of the call")
    assert name in problem["detail"]
    assert not await has_stored_anything(client)


async def test_what_the_model_or_the_portfolio_has_may_be_restricted(
    client: httpx.AsyncClient, model: Json
) -> None:
    options = {"do_not_sell": [B], "lots": {A: 1}}
    answer = await client.post(f"/api/v1/portfolio/{Q}/rebalance", json=options)
    assert answer.status_code == 200


async def test_what_a_model_restricts_is_meant_for_all_its_portfolios(
    client: httpx.AsyncClient, model: Json
) -> None:
    body = {**model, "rebalance_options": {"do_not_sell": [B, C]}}
    assert (await client.put(f"/api/v1/model/{model['model_id']}", json=body)).status_code == 200
    assert (await client.post(f"/api/v1/portfolio/{P}/rebalance")).status_code == 200


async def test_a_portfolio_without_holdings_says_that_first(
    client: httpx.AsyncClient, model: Json, upstreams: Upstreams
) -> None:
    upstreams.balances.pop(P)
    answer = await client.post(f"/api/v1/portfolio/{P}/rebalance", json={"frozen": [C]})
    assert answer.json()["type"] == "/problems/holdings-missing"


AMOUNTS = ("cash_floor", "cash_ceiling", "turnover_cap", "minimum_value", "maximum_value")


@pytest.mark.parametrize("name", AMOUNTS)
async def test_an_amount_that_may_be_a_part_is_refused_wherever_options_stand(
    client: httpx.AsyncClient, model: Json, name: str
) -> None:
    options = {name: 0.02}
    path = f"/api/v1/model/{model['model_id']}"
    calls = {
        f"/{name}": [(f"{path}/rebalance", options), (f"/api/v1/portfolio/{P}/rebalance", options)],
        f"/options/{name}": [("/api/v1/runs", {"whole_book": True, "options": options})],
        f"/rebalance_options/{name}": [
            ("/api/v1/models", make_model_body(rebalance_options=options))
        ],
    }
    for pointer, bodies in calls.items():
        for at, body in bodies:
            answer = await client.post(at, json=body)
            (error,) = answer.json()["errors"]
            assert (answer.status_code, error["pointer"]) == (422, pointer)
            assert '"2%"' in error["detail"]
            assert 'or {"amount": "0.02"} for' in error["detail"]
    answer = await client.put(path, json={**model, "rebalance_options": options})
    assert answer.json()["errors"][0]["pointer"] == f"/rebalance_options/{name}"
    assert not await has_stored_anything(client)


async def test_a_small_amount_that_is_stored_keeps_its_meaning_and_can_be_sent_back(
    client: httpx.AsyncClient, stored: Stored, model: Json
) -> None:
    old: Model = await stored.models.read(model["model_id"])
    options = RebalanceOptions(cash_floor=Decimal("0.02"), minimum_value=Decimal("0.5"))
    await stored.models.replace(replace(old, options=options))
    shown = (await client.get(f"/api/v1/model/{model['model_id']}")).json()
    assert shown["rebalance_options"] == {
        "cash_floor": {"amount": "0.02"},
        "minimum_value": {"amount": "0.5"},
    }
    answer = await client.put(f"/api/v1/model/{model['model_id']}", json=shown)
    assert answer.status_code == 200, answer.text
    assert (await stored.models.read(model["model_id"])).options == options


@pytest.mark.parametrize("price", [None, Decimal(0)])
async def test_a_price_of_0_or_none_fails_only_who_holds_it_on_every_path(
    client: httpx.AsyncClient, model: Json, upstreams: Upstreams, price: Decimal | None
) -> None:
    if price is None:
        del upstreams.prices[B]
    else:
        upstreams.prices[B] = price
    path = f"/api/v1/model/{model['model_id']}"
    for params in ({}, DRY):
        first, second = (await client.post(f"{path}/rebalance", params=params)).json()
        assert (first["status"], second["status"]) == ("REBALANCED", "FAILED")
        assert second["error"]["type"] == "/problems/prices-missing"
        assert second["error"]["securities"] == [B]
    run = (await client.post("/api/v1/runs", json={"models": [model["model_id"]]})).json()
    assert (await wait_until_over(client, run))["counts"] == {"REBALANCED": 1, "FAILED": 1}
    drift = (await client.get(f"{path}/drift")).json()
    assert [each["status"] for each in drift if each["portfolio_id"] == Q] == ["FAILED"]
    alone = await client.get(f"/api/v1/portfolio/{Q}/drift")
    assert (alone.status_code, alone.json()["securities"]) == (422, [B])
    assert (await client.get(f"/api/v1/portfolio/{P}/drift")).status_code == 200


async def test_a_rebalance_of_a_model_lists_what_options_name_and_nobody_has(
    client: httpx.AsyncClient, model: Json
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    groups = [{"name": "g", "security_ids": ["VTI é", A]}]
    options = {"do_not_sell": [B, C], "lots": {"D" * 24: 1}, "groups": groups}
    for params in (DRY, {}):
        answer = await client.post(path, params=params, json=options)
        assert answer.headers["Unmatched-Ids"] == f"{C}, {'D' * 24}, VTI%20%C3%A9"
    stored = (await client.get(answer.headers["Location"])).json()
    assert stored["unmatched"] == [C, "D" * 24, "VTI é"]
    plain = await client.post(path, json={"do_not_sell": [A, B]})
    assert "Unmatched-Ids" not in plain.headers
    assert (await client.get(plain.headers["Location"])).json()["unmatched"] == []


@pytest.mark.parametrize("way", ["whole book", "one model"])
async def test_a_run_lists_what_options_name_and_nobody_has(
    client: httpx.AsyncClient, model: Json, upstreams: Upstreams, way: str
) -> None:
    upstreams.set_balance(C, 1000, **{"F" * 24: 1})
    upstreams.prices["F" * 24] = PRICE
    body = make_model_body(name="Other", positions=[make_position(B)], portfolios=[C])
    other = (await client.post("/api/v1/models", json=body)).json()["model_id"]
    asked: Json = {"options": {"do_not_sell": [A, B, "D" * 24, "F" * 24]}}
    if way == "one model":
        asked["models"] = [model["model_id"]]
        expected = {model["model_id"]: ["D" * 24, "F" * 24]}
        unmatched = ["D" * 24, "F" * 24]
    else:
        own = {P: {"do_not_buy": ["E" * 24]}, "N" * 24: {}}
        asked |= {"whole_book": True, "options_by_portfolio": own}
        # An id that one rebalance knows is not misspelt, but a portfolio outside the run may be.
        expected = {model["model_id"]: ["D" * 24, "E" * 24, "F" * 24], other: [A, "D" * 24]}
        unmatched = ["D" * 24, "E" * 24, "N" * 24]
    run = await wait_until_over(client, (await client.post("/api/v1/runs", json=asked)).json())
    assert (run["status"], run["unmatched"]) == ("COMPLETED", unmatched)
    found = [(await client.get(f"/api/v1/rebalance/{each}")).json() for each in run["rebalances"]]
    assert {each["model_id"]: each["unmatched"] for each in found} == expected


async def test_a_run_merges_the_options_of_single_portfolios_over_its_own(
    client: httpx.AsyncClient, model: Json, upstreams: Upstreams, stored: Stored
) -> None:
    asked = {
        "models": [model["model_id"]],
        "options": {"cash_floor": "90%", "direction": "BUY_ONLY"},
        "options_by_portfolio": {P: {"cash_floor": None}, Q: {"do_not_sell": [B]}},
    }
    run = await wait_until_over(client, (await client.post("/api/v1/runs", json=asked)).json())
    path = f"/api/v1/rebalance/{run['rebalances'][0]}/portfolios"
    first, second = (await client.get(path)).json()
    assert (first["portfolio_id"], first["status"]) == (P, "REBALANCED")
    assert (second["portfolio_id"], second["status"]) == (Q, "INFEASIBLE")
    rebalance = await stored.rebalances.read(run["rebalances"][0])
    verdicts = [each.verdict async for each in replay_rebalance(rebalance, stored.rebalances, 30.0)]
    assert verdicts == ["agree", "agree"]


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"portfolios": [P], "options_by_portfolio": {Q: {}}}, f"/options_by_portfolio/{Q}"),
        (
            {"whole_book": True, "options_by_portfolio": {P: {"cash_floor": 0.02}}},
            f"/options_by_portfolio/{P}/cash_floor",
        ),
        (
            {"whole_book": True, "options_by_portfolio": {P: {"cash_floors": 2}}},
            f"/options_by_portfolio/{P}/cash_floors",
        ),
        (
            {"whole_book": True, "options_by_portfolio": {P: {"cash_ceiling": "101%"}}},
            f"/options_by_portfolio/{P}/cash_ceiling",
        ),
    ],
)
async def test_wrong_options_of_a_portfolio_of_a_run_are_refused_with_their_place(
    client: httpx.AsyncClient, model: Json, asked: Json, pointer: str
) -> None:
    answer = await client.post("/api/v1/runs", json=asked)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, pointer)


async def test_options_of_a_portfolio_that_exclude_those_of_the_run_are_refused(
    client: httpx.AsyncClient, model: Json
) -> None:
    own = {P: {"cash_ceiling": "1%"}}
    asked = {"whole_book": True, "options": {"cash_floor": "2%"}, "options_by_portfolio": own}
    answer = await client.post("/api/v1/runs", json=asked)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/options-conflict")


async def test_options_of_a_portfolio_that_exclude_those_of_its_model_fail_it_alone(
    client: httpx.AsyncClient, model: Json
) -> None:
    path = f"/api/v1/model/{model['model_id']}"
    await client.put(path, json={**model, "rebalance_options": {"cash_floor": "2%"}})
    asked = {"whole_book": True, "options_by_portfolio": {Q: {"cash_ceiling": "1%"}}}
    run = await wait_until_over(client, (await client.post("/api/v1/runs", json=asked)).json())
    assert run["counts"] == {"REBALANCED": 1, "FAILED": 1}
