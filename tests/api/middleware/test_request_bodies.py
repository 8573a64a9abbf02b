"""Request bodies: their size limits, and bodies that cannot be read."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from storage.models.documents import MAX_PORTFOLIOS_PER_MODEL
from tests.support.fakes import P, Q, make_model_body, make_position

JSON = {"content-type": "application/json"}
NOWHERE = "0" * 24


async def blanks(megabytes: int) -> AsyncIterator[bytes]:
    """Yield so many million blanks and one more, of unannounced length."""
    for _ in range(megabytes * 10):
        yield b" " * 100_000
    yield b" "


@pytest.mark.parametrize(
    ("method", "path", "megabytes"),
    [
        ("POST", "/api/v1/rebalances/portfolios", 1),
        ("POST", f"/api/v1/model/{NOWHERE}/rebalance", 1),
        ("POST", f"/api/v1/portfolio/{P}/rebalance", 1),
        ("PUT", f"/api/v1/model/{NOWHERE}/position", 1),
        ("POST", "/api/v1/models", 4),
        ("PUT", f"/api/v1/model/{NOWHERE}", 4),
        ("POST", f"/api/v1/model/{NOWHERE}/portfolio/", 4),
    ],
)
async def test_a_body_that_is_too_long_is_a_413_however_it_arrives(
    client: httpx.AsyncClient, method: str, path: str, megabytes: int
) -> None:
    most = megabytes * 1_000_000
    announced = await client.request(method, path, content=b" " * (most + 1), headers=JSON)
    arriving = await client.request(method, path, content=blanks(megabytes), headers=JSON)
    allowed = await client.request(method, path, content=b" " * most, headers=JSON)

    for answer in (announced, arriving):
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")
    assert allowed.status_code == 400  # blanks are not JSON


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"portfolios",
        b"[" * 100_000,
        b"9" * 5_000,
        b'{"a": Infinity}',
        b'{"a": NaN}',
        b'{"name": "\xff"}',
        b"\xff\xfe{\x00}\x00",
        b"{} {}",
    ],
)
async def test_a_body_that_is_not_json_is_a_400(client: httpx.AsyncClient, text: bytes) -> None:
    answer = await client.post("/api/v1/models", content=text, headers=JSON)

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/not-json")


@pytest.mark.parametrize("text", ["", "null", "[]", "1", '"text"'])
async def test_json_of_another_shape_is_a_422(client: httpx.AsyncClient, text: str) -> None:
    answer = await client.post("/api/v1/models", content=text, headers=JSON)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")


async def test_ten_thousand_portfolios_follow_a_model(client: httpx.AsyncClient) -> None:
    portfolios = [f"{number:024}" for number in range(10_000)]

    answer = await client.post("/api/v1/models", json=make_model_body(portfolios=portfolios))

    path = f"/api/v1/model/{answer.json()['model_id']}"
    assert answer.status_code == 201
    assert (await client.get(path)).json()["portfolios"] == portfolios


async def test_more_portfolios_than_the_database_takes_are_refused_by_a_rule(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{model['model_id']}"
    portfolios = [f"{number:024}" for number in range(MAX_PORTFOLIOS_PER_MODEL - 2)]

    full = await client.post(f"{path}/portfolio", json={"portfolios": portfolios})
    one_more = await client.post(f"{path}/portfolio", json={"portfolios": ["X" * 24]})

    assert full.status_code == 200
    assert one_more.status_code == 422
    assert one_more.json()["errors"][0]["pointer"] == "/portfolios"
    assert len((await client.get(path)).json()["portfolios"]) == MAX_PORTFOLIOS_PER_MODEL


async def test_fields_that_nobody_knows_are_ignored_in_a_model_and_refused_in_options(
    client: httpx.AsyncClient,
) -> None:
    model = make_model_body(owner="me", positions=[make_position() | {"note": 1}])

    made = await client.post("/api/v1/models", json=model)
    options = await client.post(f"/api/v1/portfolio/{Q}/rebalance", json={"cash_floors": 1})

    assert made.status_code == 201
    assert options.status_code == 422
    assert options.json()["errors"] == [{"pointer": "/cash_floors", "detail": "unknown field"}]
