"""?dry_run=true: the answer of a rebalance without storing anything."""

from typing import Any

import httpx
import pytest

from tests.support.fakes import A, P, Q, Stored
from tests.support.in_process import Upstreams, make_two_owners

DRY = {"dry_run": "true"}


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_owners()


def drop_ids(element: dict[str, Any]) -> dict[str, Any]:
    return element | {"rebalance_id": None}


async def test_a_dry_run_of_a_model_answers_what_the_rebalance_does(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"

    dry = await client.post(path, params=DRY)
    real = await client.post(path)

    assert (dry.status_code, real.status_code) == (200, 200)
    assert dry.json() == [drop_ids(element) for element in real.json()]
    assert [element["status"] for element in dry.json()] == ["REBALANCED", "REBALANCED"]


async def test_a_dry_run_of_a_portfolio_answers_what_the_rebalance_does(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path, options = f"/api/v1/portfolio/{P}/rebalance", {"cash_floor": "80%"}

    dry = await client.post(path, params=DRY)
    real = await client.post(path)
    without_plan = await client.post(path, params=DRY, json=options)
    refused = await client.post(path, json=options)

    assert dry.json() == drop_ids(real.json())
    own = {"correlation_id": without_plan.json()["correlation_id"]}
    assert without_plan.status_code == refused.status_code == 422
    assert without_plan.json() == drop_ids(refused.json()) | own


async def test_a_dry_run_leaves_nothing_behind(
    client: httpx.AsyncClient, stored: Stored, model: dict[str, Any]
) -> None:
    paths = (f"/api/v1/model/{model['model_id']}/rebalance", f"/api/v1/portfolio/{P}/rebalance")

    answers = [await client.post(path, params=DRY) for path in paths]

    assert all("location" not in answer.headers for answer in answers)
    assert await stored.rebalances.read_page() == ((), 0)
    for name in ("outcomes", "outcome_chunks"):
        assert await stored.resources.database[name].count_documents({}) == 0
    assert (await client.get(f"/api/v1/model/{model['model_id']}")).json() == model


async def test_a_dry_run_does_not_use_up_an_idempotency_key(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    key = {"idempotency-key": "key-1"}

    dry = [await client.post(path, params=DRY, headers=key) for _ in range(2)]
    first = await client.post(path, headers=key)
    again = await client.post(path, headers=key)
    dry.append(await client.post(path, params=DRY, headers=key))

    assert all(answer.json()[0]["rebalance_id"] is None for answer in dry)
    assert all("idempotent-replayed" not in answer.headers for answer in (*dry, first))
    assert first.json()[0]["rebalance_id"]
    assert again.content == first.content


async def test_portfolios_that_fail_in_a_dry_run_say_why(
    client: httpx.AsyncClient, upstreams: Upstreams, model: dict[str, Any]
) -> None:
    del upstreams.balances[P]
    path = f"/api/v1/model/{model['model_id']}/rebalance"

    mixed = await client.post(path, params=DRY)
    upstreams.balances.clear()
    none = await client.post(path, params=DRY)

    assert [element["status"] for element in mixed.json()] == ["FAILED", "REBALANCED"]
    assert mixed.json()[0]["error"]["type"] == "/problems/holdings-missing"
    assert (none.status_code, none.json()["type"]) == (422, "/problems/holdings-missing")
    assert none.json()["rebalance_id"] is None
    assert [element["portfolio_id"] for element in none.json()["portfolios"]] == [P, Q]


async def test_a_dry_run_of_a_model_whose_own_security_has_no_price_says_so_for_every_portfolio(
    client: httpx.AsyncClient, upstreams: Upstreams, model: dict[str, Any]
) -> None:
    del upstreams.prices[A]

    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance", params=DRY)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/prices-missing")
    assert [element["error"]["securities"] for element in answer.json()["portfolios"]] == [[A], [A]]


@pytest.mark.parametrize("upstream", ["pricing", "security", "accounting"])
async def test_a_dry_run_without_an_upstream_is_a_503_that_names_it(
    client: httpx.AsyncClient, upstreams: Upstreams, model: dict[str, Any], upstream: str
) -> None:
    upstreams.down = upstream

    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance", params=DRY)

    assert (answer.status_code, answer.json()["upstream"]) == (503, upstream)
    assert answer.headers["retry-after"] == "1"


async def test_what_is_neither_true_nor_false_is_refused(
    client: httpx.AsyncClient, stored: Stored, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}/rebalance"

    answer = await client.post(path, params={"dry_run": "perhaps"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "dry_run"
    assert await stored.rebalances.read_page() == ((), 0)
