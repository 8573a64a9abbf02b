"""POST /model/{id}/what-if: a model that is tried before it is saved."""

from typing import Any

import httpx
import pytest

from serve_app.api.schemas.what_if import spread
from tests.support.fakes import A, P, Q, R, make_position
from tests.support.in_process import Upstreams, make_two_owners

Json = dict[str, Any]
HALF = make_position(A, target="0.5")


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_owners()


async def try_model(client: httpx.AsyncClient, model: Json, **body: Any) -> httpx.Response:
    return await client.post(f"/api/v1/model/{model['model_id']}/what-if", json=body)


async def rebalance_count(client: httpx.AsyncClient) -> str:
    return (await client.get("/api/v1/rebalances/summary")).headers["x-total-count"]


async def test_positions_are_tried_on_the_followers_and_nothing_is_stored(
    client: httpx.AsyncClient, model: Json
) -> None:
    answer = await try_model(client, model, positions=[HALF])

    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["followers"], found["tried"], found["counts"]) == (2, 2, {"REBALANCED": 2})
    assert (found["out_of_band_before"], found["out_of_band_after"]) == (2, 0)
    assert [each["portfolio_id"] for each in found["outcomes"]] == [P, Q]
    assert all(float(each["turnover"]) > 0 for each in found["outcomes"])
    assert await rebalance_count(client) == "0"
    stored = (await client.get(f"/api/v1/model/{model['model_id']}")).json()
    assert stored == model


async def test_it_is_what_a_dry_run_of_the_saved_model_answers(
    client: httpx.AsyncClient, model: Json
) -> None:
    tried = (await try_model(client, model, positions=[HALF])).json()
    saved = await client.put(
        f"/api/v1/model/{model['model_id']}",
        json={**model, "positions": [HALF], "last_rebalance_date": None},
    )
    assert saved.status_code == 200, saved.text
    dry = await client.post(f"/api/v1/model/{model['model_id']}/rebalance?dry_run=true", json={})

    for name in ("portfolio_id", "status", "objective", "turnover", "cash_after_rebalance"):
        assert [each[name] for each in tried["outcomes"]] == [each[name] for each in dry.json()]


async def test_without_positions_the_stored_model_is_tried_for_the_comparison(
    client: httpx.AsyncClient, model: Json
) -> None:
    stored = (await try_model(client, model)).json()
    dry = await client.post(f"/api/v1/model/{model['model_id']}/rebalance?dry_run=true", json={})

    assert [each["objective"] for each in stored["outcomes"]] == [
        each["objective"] for each in dry.json()
    ]


async def test_options_and_portfolios_may_be_named(client: httpx.AsyncClient, model: Json) -> None:
    answer = await try_model(
        client, model, positions=[HALF], portfolios=[Q, Q], options={"frozen": [A], "bands": "HARD"}
    )

    assert answer.json()["counts"] == {"INFEASIBLE": 1}
    assert answer.json()["outcomes"][0]["error"]["type"] == "/problems/infeasible"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"positions": [HALF, HALF]}, "positions"),
        ({"positions": [{**HALF, "target": "0.501"}]}, "0.501"),
        ({"positions": [{**HALF, "target": "0.96"}]}, "0.95"),
        ({"sample": 0}, "sample"),
        ({"portfolios": []}, "portfolios"),
        ({"targets": []}, "targets"),
    ],
)
async def test_what_a_model_may_not_be_is_refused_as_it_is_when_saved(
    client: httpx.AsyncClient, model: Json, body: Json, told: str
) -> None:
    answer = await try_model(client, model, **body)

    assert answer.status_code == 422
    assert told in answer.text


async def test_an_unknown_model_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/api/v1/model/{'0' * 24}/what-if", json={})

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_a_portfolio_without_holdings_fails_alone(
    client: httpx.AsyncClient, model: Json
) -> None:
    answer = await try_model(client, model, portfolios=[P, R])

    assert answer.json()["counts"] == {"REBALANCED": 1, "FAILED": 1}


@pytest.mark.parametrize(("count", "most"), [(0, 5), (5, 5), (1_000, 7), (11, 10)])
def test_a_sample_has_as_many_different_followers_as_asked_from_the_first_on(
    count: int, most: int
) -> None:
    ids = tuple(f"P{at}" for at in range(count))

    chosen = spread(ids, most)

    assert len(chosen) == len(set(chosen)) == min(count, most)
    assert chosen[:1] == ids[:1]
    assert list(chosen) == [each for each in ids if each in set(chosen)]
