"""Routes that rebalance, and routes that show the stored results."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import PricedTarget
from serve_app.upstream.errors import UpstreamUnavailableError
from tests.support.fakes import (
    A,
    FakeOptimizer,
    P,
    Q,
    R,
    make_model_body,
    make_purchase,
    make_refusal,
)

NOWHERE = "0" * 24


async def rebalance_model(client: httpx.AsyncClient, model: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")
    assert answer.status_code == 200, answer.text
    return answer.json()


def make_mixed_outcome(portfolio_id: str, securities: tuple[PricedTarget, ...]) -> PortfolioOutcome:
    if portfolio_id == P:
        return make_refusal("infeasible", P, securities=[{"security_id": A}])
    return make_purchase(portfolio_id, securities)


PLAN_OF_P = {
    "portfolio_id": P,
    "status": "REBALANCED",
    "drifts": [
        {
            "security_id": A,
            "original_quantity": "2",
            "adjusted_quantity": "3",
            "target": "0.25",
            "high_drift": "0.02",
            "low_drift": "0.01",
            "actual": "0.0307",
        }
    ],
    "market_value": "1000.50",
    "base": "1000.50",
    "cash_before_rebalance": "980.00",
    "cash_after_rebalance": "969.75",
    "turnover": "10.25",
    "objective": "0.0000002",
    "lower_bound": "0.0000002",
    "proof": "OPTIMAL",
    "other_base": None,
    "method": "SEPARABLE",
    "cost": "0",
    "binding": [],
    "open_orders_counted": 0,
    "violation": "0.00",
    "violation_lower_bound": "0.00",
    "outside_band": [],
    "error": None,
}
POSITION_OF_P = {
    "security_id": A,
    "price": 10.25,
    "original_quantity": 2,
    "adjusted_quantity": 3,
    "original_position_market_value": 20.5,
    "adjusted_position_market_value": 30.75,
    "target": 0.25,
    "high_drift": 0.02,
    "low_drift": 0.01,
    "actual": 0.0307,
    "actual_drift": -0.8772,
    "transaction_type": "BUY",
    "trade_quantity": 1,
}


async def test_a_model_is_rebalanced_into_one_element_per_portfolio(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    first, second = await rebalance_model(client, model)

    today = datetime.now(UTC).astimezone(ZoneInfo("Pacific/Kiritimati")).date().isoformat()
    assert (first["portfolio_id"], second["portfolio_id"]) == (P, Q)
    assert first["rebalance_id"] == second["rebalance_id"]
    trade = {"transaction_type": "BUY", "security_id": A, "quantity": 1, "trade_date": today}
    ids = {"rebalance_id": first["rebalance_id"], "model_id": model["model_id"]}
    assert first == PLAN_OF_P | ids | {"transactions": [trade]}


async def test_a_portfolio_is_rebalanced_to_its_newest_model_or_to_the_one_that_is_named(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    newest = (await client.post("/api/v1/models", json=make_model_body("Newer"))).json()
    path = f"/api/v1/portfolio/{P}/rebalance"

    by_default = await client.post(path)
    by_name = await client.post(path, json={"model_id": model["model_id"]})

    assert by_default.json()["model_id"] == newest["model_id"]
    assert by_name.json()["model_id"] == model["model_id"]


async def test_a_portfolio_that_no_model_has_is_a_404(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/api/v1/portfolio/{R}/rebalance")

    assert answer.status_code == 404
    assert R in answer.json()["detail"]


async def test_one_portfolio_fails_and_the_others_go_on(
    client: httpx.AsyncClient, optimizer: FakeOptimizer, model: dict[str, Any]
) -> None:
    optimizer.outcome = make_mixed_outcome

    failed, other = await rebalance_model(client, model)

    assert (failed["status"], other["status"]) == ("INFEASIBLE", "REBALANCED")
    assert (failed["transactions"], failed["market_value"]) == ([], None)
    assert failed["error"] == {
        "type": "/problems/infeasible",
        "title": "No feasible solution exists",
        "status": 422,
        "detail": "It is no use.",
        "securities": [{"security_id": A}],
    }


async def test_an_infeasible_portfolio_alone_is_a_422_with_its_reasons(
    client: httpx.AsyncClient, optimizer: FakeOptimizer, model: dict[str, Any]
) -> None:
    optimizer.outcome = make_mixed_outcome

    answer = await client.post(f"/api/v1/portfolio/{P}/rebalance")

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/infeasible")
    assert problem["title"] == "No feasible solution exists"
    assert problem["securities"] == [{"security_id": A}]
    assert (problem["portfolio_id"], problem["model_id"]) == (P, model["model_id"])
    stored = await client.get(answer.headers["location"])
    assert stored.json()["counts"] == {"INFEASIBLE": 1}


@pytest.mark.parametrize(
    ("codes", "status", "slug"),
    [
        (("infeasible", "infeasible"), 422, "infeasible"),
        (("infeasible", "prices-missing"), 422, "none-rebalanced"),
        (("upstream-unavailable", "upstream-unavailable"), 503, "upstream-unavailable"),
        (("never-heard-of", "never-heard-of"), 422, "refused"),
    ],
)
async def test_when_all_portfolios_fail_the_answer_fails_and_says_why_for_each(
    client: httpx.AsyncClient,
    optimizer: FakeOptimizer,
    model: dict[str, Any],
    codes: tuple[str, str],
    status: int,
    slug: str,
) -> None:
    code_of = dict(zip((P, Q), codes, strict=True))
    optimizer.outcome = lambda portfolio_id, _: make_refusal(code_of[portfolio_id], portfolio_id)

    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{slug}")
    assert [each["portfolio_id"] for each in problem["portfolios"]] == [P, Q]
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_an_upstream_that_is_down_is_a_503_that_names_it(
    client: httpx.AsyncClient, optimizer: FakeOptimizer, model: dict[str, Any]
) -> None:
    optimizer.error = UpstreamUnavailableError("pricing", "no answer within 10 s", 12.2)

    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "13"
    assert answer.json()["upstream"] == "pricing"


async def test_the_same_key_rebalances_once_and_gives_the_same_answer(
    client: httpx.AsyncClient, optimizer: FakeOptimizer, model: dict[str, Any]
) -> None:
    optimizer.outcome = make_mixed_outcome
    key = {"idempotency-key": "key-1"}
    of_model, of_portfolio = (
        f"/api/v1/model/{model['model_id']}/rebalance",
        f"/api/v1/portfolio/{P}/rebalance",
    )

    first, second = [await client.post(of_model, headers=key) for _ in range(2)]
    elsewhere = await client.post(of_portfolio, headers=key)
    third, fourth = [
        await client.post(of_portfolio, headers={"idempotency-key": "key-2"}) for _ in range(2)
    ]

    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"
    assert elsewhere.status_code == 422
    assert (third.status_code, fourth.status_code) == (422, 422)
    assert fourth.json()["rebalance_id"] == third.json()["rebalance_id"]
    assert len(optimizer.asked) == 2


async def test_while_the_first_request_of_a_key_is_at_work_the_second_one_waits_its_turn(
    client: httpx.AsyncClient, stored: Any, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    key = {"idempotency-key": "key-1"}

    answers = await asyncio.gather(*(client.post(path, headers=key) for _ in range(4)))

    done = [answer for answer in answers if answer.status_code == 200]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(done) + len(waiting) == 4
    assert {answer.json()[0]["rebalance_id"] for answer in done} != set()
    assert all(int(answer.headers["retry-after"]) > 0 for answer in waiting)
    assert (await stored.rebalances.read_page())[1] == 1


async def test_a_stored_rebalance_has_its_decimals_as_plain_numbers(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    rebalance_id = (await rebalance_model(client, model))[0]["rebalance_id"]

    answer = await client.get(f"/api/v1/rebalance/{rebalance_id}")

    body = answer.json()
    assert '"price":10.25,' in answer.text
    assert '"market_value":1000.50,' in answer.text
    assert body["portfolios"][0] == {
        "portfolio_id": P,
        "market_value": 1000.5,
        "base": 1000.5,
        "cash_before_rebalance": 980.0,
        "cash_after_rebalance": 969.75,
        "positions": body["portfolios"][0]["positions"],
        "status": "REBALANCED",
        "open_orders_counted": 0,
        "outside_band": [],
        "error": None,
    }
    (position,) = body["portfolios"][0]["positions"]
    assert position == POSITION_OF_P | {"trade_date": position["trade_date"]}
    assert (body["number_of_portfolios"], body["version"]) == (2, 1)
    assert (body["status"], body["counts"]) == ("COMPLETED", {"REBALANCED": 2})
    assert body["rebalance_date"].endswith("Z")
    assert len(body["rebalance_date"]) == len("2026-11-23T09:30:00.000Z")


async def test_a_rebalance_of_more_portfolios_than_are_read_at_once_comes_whole(
    client: httpx.AsyncClient,
) -> None:
    portfolios = [f"{i:024}" for i in range(205)]
    model = (
        await client.post("/api/v1/models", json=make_model_body(portfolios=portfolios))
    ).json()
    rebalance_id = (await rebalance_model(client, model))[0]["rebalance_id"]

    whole = (await client.get(f"/api/v1/rebalance/{rebalance_id}")).json()
    page = await client.get(f"/api/v1/rebalance/{rebalance_id}/portfolios?offset=200&limit=10")
    listed = (await client.get("/api/v1/rebalances")).json()

    assert [each["portfolio_id"] for each in whole["portfolios"]] == portfolios
    assert [each["portfolio_id"] for each in page.json()] == portfolios[200:]
    assert page.headers["x-total-count"] == "205"
    assert listed == [whole]


async def test_a_list_has_five_thousand_portfolios_a_page_and_says_what_it_omits(
    client: httpx.AsyncClient,
) -> None:
    portfolios = [f"{i:024}" for i in range(3_000)]
    model = (
        await client.post("/api/v1/models", json=make_model_body(portfolios=portfolios))
    ).json()
    old, new = [(await rebalance_model(client, model))[0]["rebalance_id"] for _ in range(2)]

    first, second = (await client.get("/api/v1/rebalances")).json()
    rest = await client.get(second["portfolios_link"])
    alone = (await client.get("/api/v1/rebalances?offset=1")).json()
    by_default = (await client.get(f"/api/v1/rebalance/{old}/portfolios")).json()

    assert [first["rebalance_id"], second["rebalance_id"]] == [new, old]
    assert [each["portfolio_id"] for each in first["portfolios"]] == portfolios
    assert {"portfolios_omitted", "portfolios_link"}.isdisjoint(first)
    assert (len(second["portfolios"]), second["portfolios_omitted"]) == (2_000, 1_000)
    assert second["portfolios"] + rest.json() == alone[0]["portfolios"] == by_default


async def test_a_list_of_chosen_portfolios_says_what_it_omits_and_leads_to_it(
    client: httpx.AsyncClient,
) -> None:
    portfolios = [f"{i:024}" for i in range(900)]
    model = (
        await client.post("/api/v1/models", json=make_model_body(portfolios=portfolios))
    ).json()
    for _ in range(6):
        await rebalance_model(client, model)
    path, wanted = "/api/v1/rebalances/portfolios", {"portfolios": portfolios}

    listed = (await client.post(path, json=wanted)).json()
    last = listed[-1]
    (whole,) = (await client.post(last["portfolios_link"], json=wanted)).json()

    assert [len(each["portfolios"]) for each in listed] == [900] * 5 + [500]
    assert [each.get("portfolios_omitted", 0) for each in listed] == [0] * 5 + [400]
    assert whole["rebalance_id"] == last["rebalance_id"]
    assert [each["portfolio_id"] for each in whole["portfolios"]] == portfolios


async def test_rebalances_are_listed_newest_first_or_as_asked(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    old, new = [(await rebalance_model(client, model))[0]["rebalance_id"] for _ in range(2)]

    by_default = await client.get("/api/v1/rebalances")
    by_id = await client.get("/api/v1/rebalances?sort_by=rebalance_id&limit=1")

    assert [run["rebalance_id"] for run in by_default.json()] == [new, old]
    assert [run["rebalance_id"] for run in by_id.json()] == [old]
    assert by_id.headers["x-total-count"] == "2"


async def test_rebalances_of_portfolios_are_cut_down_to_them(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    await rebalance_model(client, model)
    path = "/api/v1/rebalances/portfolios"

    found = await client.post(path, json={"portfolios": [Q, R]})
    none = await client.post(path, json={"portfolios": [R]})
    refused = await client.post(path, json={"portfolios": []})

    assert [each["portfolio_id"] for each in found.json()[0]["portfolios"]] == [Q]
    assert found.json()[0]["number_of_portfolios"] == 2
    assert none.json() == []
    assert refused.status_code == 422


async def test_one_portfolio_has_its_positions_and_a_404_names_the_id_that_is_missing(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    rebalance_id = (await rebalance_model(client, model))[0]["rebalance_id"]
    path = "/api/v1/rebalance/{}/portfolio/{}/positions"

    found = await client.get(path.format(rebalance_id, P))
    no_portfolio = await client.get(path.format(rebalance_id, R))
    no_rebalance = await client.get(path.format(NOWHERE, P))
    bad = await client.get(path.format("zz", P))

    assert [each["security_id"] for each in found.json()] == [A]
    assert (no_portfolio.status_code, no_rebalance.status_code, bad.status_code) == (404, 404, 400)
    assert R in no_portfolio.json()["detail"]
    assert NOWHERE in no_rebalance.json()["detail"]


async def test_a_rebalance_is_removed_by_its_version_alone(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/rebalance/{(await rebalance_model(client, model))[0]['rebalance_id']}"

    without = await client.delete(path)
    stale = await client.delete(f"{path}?version=7")
    gone = await client.delete(f"{path}?version=1")
    again = await client.delete(f"{path}?version=1")

    statuses = [answer.status_code for answer in (without, stale, gone, again)]
    assert statuses == [422, 409, 200, 404]
    assert "deleted" in gone.json()["message"]
