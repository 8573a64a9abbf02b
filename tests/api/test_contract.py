"""Routes of the contract: the status of each for a malformed id and for an unknown id."""

from typing import Any

import httpx
import pytest

from serve_app.ports.rebalances import RebalanceModel
from tests.support.fakes import FakeOptimizer, P, R, Stored, make_model_body, make_position

UNKNOWN = "0" * 24
MODEL_ROUTES = [
    ("GET", "/model/{}", None),
    ("PUT", "/model/{}", make_model_body(version=1)),
    ("DELETE", "/model/{}?version=1", None),
    ("POST", "/model/{}/position", make_position()),
    ("PUT", "/model/{}/position", make_position()),
    ("DELETE", "/model/{}/position", make_position()),
    ("POST", "/model/{}/portfolio", {"portfolios": [P]}),
    ("DELETE", "/model/{}/portfolio", {"portfolios": [P]}),
    ("POST", "/model/{}/rebalance", None),
    ("POST", "/model/{}/rebalance", {"cash_floor": "1%"}),
]
REBALANCE_ROUTES = [
    ("GET", "/rebalance/{}", None),
    ("GET", "/rebalance/{}/portfolios", None),
    ("GET", f"/rebalance/{{}}/portfolio/{P}/positions", None),
    ("DELETE", "/rebalance/{}?version=1", None),
]
WITHOUT_ITS_BODY = [
    ("POST", "/models"),
    ("PUT", "/model/{}"),
    ("POST", "/model/{}/position"),
    ("PUT", "/model/{}/position"),
    ("DELETE", "/model/{}/position"),
    ("POST", "/model/{}/portfolio"),
    ("DELETE", "/model/{}/portfolio"),
    ("POST", "/rebalances/portfolios"),
]


@pytest.mark.parametrize(("method", "path", "body"), MODEL_ROUTES + REBALANCE_ROUTES)
async def test_an_id_that_is_none_is_a_400_and_one_of_nothing_a_404(
    client: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    bad = await client.request(method, f"/api/v1{path.format('zz')}", json=body)
    unknown = await client.request(method, f"/api/v1{path.format(UNKNOWN)}", json=body)

    assert (bad.status_code, bad.json()["type"]) == (400, "/problems/bad-id")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/not-found")
    assert UNKNOWN in unknown.json()["detail"]


async def test_a_portfolio_that_is_no_id_is_a_400_and_one_without_a_model_a_404(
    client: httpx.AsyncClient,
) -> None:
    bad = await client.post("/api/v1/portfolio/short/rebalance")
    unknown = await client.post(f"/api/v1/portfolio/{R}/rebalance")

    assert (bad.status_code, unknown.status_code) == (400, 404)


@pytest.mark.parametrize(("method", "path"), WITHOUT_ITS_BODY)
async def test_a_request_without_its_body_is_a_422(
    client: httpx.AsyncClient, model: dict[str, Any], method: str, path: str
) -> None:
    answer = await client.request(method, f"/api/v1{path.format(model['model_id'])}")

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")


@pytest.mark.parametrize("list_route", ["/rebalances", "/rebalances/portfolios"])
@pytest.mark.parametrize("query", ["offset=-1", "offset=x", "limit=0", "limit=101", "limit=1.5"])
async def test_a_page_of_rebalances_has_one_to_a_hundred(
    client: httpx.AsyncClient, list_route: str, query: str
) -> None:
    method, body = ("GET", None) if list_route == "/rebalances" else ("POST", {"portfolios": [P]})

    answer = await client.request(method, f"/api/v1{list_route}?{query}", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]


async def test_ten_rebalances_are_a_page_unless_said_otherwise(
    client: httpx.AsyncClient, optimizer: FakeOptimizer, stored: Stored, model: dict[str, Any]
) -> None:
    for _ in range(11):
        await optimizer.rebalance_model(RebalanceModel("", model["model_id"]))

    listed = await client.get("/api/v1/rebalances")
    found = await client.post("/api/v1/rebalances/portfolios", json={"portfolios": [P]})
    beyond = await client.get("/api/v1/rebalances?offset=11")

    for answer in (listed, found):
        assert len(answer.json()) == 10
        assert answer.headers["x-total-count"] == "11"
        assert 'rel="next"' in answer.headers["link"]
    assert beyond.json() == []


@pytest.mark.parametrize("field", ["x" * 900_000, "é" * 100_000])
async def test_an_answer_does_not_repeat_a_long_name_that_nobody_knows(
    client: httpx.AsyncClient, field: str
) -> None:
    answer = await client.post(f"/api/v1/portfolio/{P}/rebalance", json={field: 1})
    lots = await client.post(f"/api/v1/portfolio/{P}/rebalance", json={"lots": {field: 1}})

    for each in (answer, lots):
        assert each.status_code == 422
        assert len(each.content) < 2_000
