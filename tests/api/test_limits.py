"""Keys that are limited to models or portfolios: what they see of what is stored."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_app.auth.permissions import Role
from serve_app.settings import Settings, read_settings
from tests.support.fakes import P, Q, R, Stored, make_model_body
from tests.support.keys import add_key, client_with

pytestmark = pytest.mark.mongo


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys"})


@pytest.fixture
async def admin(app: FastAPI, stored: Stored) -> Any:
    async with client_with(app, await add_key(stored, Role.ADMIN)) as client:
        yield client


async def added(admin: httpx.AsyncClient, name: str, *portfolios: str) -> str:
    answer = await admin.post(
        "/api/v1/models", json=make_model_body(name, portfolios=[*portfolios])
    )
    return answer.json()["model_id"]


async def rebalanced(admin: httpx.AsyncClient, path: str) -> str:
    answer = await admin.post(f"/api/v1/{path}/rebalance")
    assert answer.status_code == 200, answer.text
    return answer.headers["location"].rpartition("/")[2]


def paths_of(rebalance_id: str) -> list[str]:
    one = f"/api/v1/rebalance/{rebalance_id}"
    return [one, *(f"{one}/{part}" for part in ("portfolios", "transactions", "orders"))]


async def test_a_key_for_a_model_sees_that_model_and_its_rebalances_alone(
    app: FastAPI, stored: Stored, admin: httpx.AsyncClient
) -> None:
    own, other = await added(admin, "Own", P), await added(admin, "Other", Q)
    ours, theirs = (
        await rebalanced(admin, f"model/{own}"),
        await rebalanced(admin, f"model/{other}"),
    )

    async with client_with(app, await add_key(stored, Role.ADMIN, models=(own,))) as client:
        listed = await client.get("/api/v1/models")
        allowed = [await client.get(path) for path in paths_of(ours)]
        refused = [await client.get(path) for path in [f"/api/v1/model/{other}", *paths_of(theirs)]]
        in_capitals = await client.get(f"/api/v1/model/{own.upper()}")

    assert [each["model_id"] for each in listed.json()] == [own]
    assert listed.headers["x-total-count"] == "1"
    assert [answer.status_code for answer in (*allowed, in_capitals)] == [200] * 5
    assert [answer.json()["type"] for answer in refused] == ["/problems/outside-limits"] * 5


async def test_a_key_for_portfolios_sees_rebalances_that_have_no_other_portfolio(
    app: FastAPI, stored: Stored, admin: httpx.AsyncClient
) -> None:
    model = await added(admin, "Growth", P, Q)
    whole, single = (
        await rebalanced(admin, f"model/{model}"),
        await rebalanced(admin, f"portfolio/{P}"),
    )
    positions = f"/api/v1/rebalance/{whole}/portfolio"

    async with client_with(app, await add_key(stored, Role.ADMIN, portfolios=(P, R))) as client:
        allowed = [await client.get(path) for path in paths_of(single)]
        allowed.append(await client.get(f"{positions}/{P}/positions"))
        refused = [await client.get(path) for path in paths_of(whole)]
        refused.append(await client.get(f"{positions}/{Q}/positions"))
        refused.append(await client.post(f"/api/v1/portfolio/{Q}/rebalance"))
        refused.append(
            await client.post("/api/v1/rebalances/portfolios", json={"portfolios": [P, Q]})
        )
        refused.append(await client.get("/api/v1/portfolios", params={"ids": [P, Q]}))
        refused.append(await client.post("/api/v1/runs", json={"models": [model]}))
        refused.append(await client.post("/api/v1/runs", json={"whole_book": True}))

    assert [answer.status_code for answer in allowed] == [200] * 5
    assert {answer.json()["type"] for answer in refused} == {"/problems/outside-limits"}


async def test_a_key_for_a_model_has_to_name_it_for_a_single_portfolio(
    app: FastAPI, stored: Stored, admin: httpx.AsyncClient
) -> None:
    own, other = await added(admin, "Own", P), await added(admin, "Other", P)
    path = f"/api/v1/portfolio/{P}/rebalance"

    async with client_with(app, await add_key(stored, Role.TRADER, models=(own,))) as client:
        named = await client.post(path, json={"model_id": own})
        refused = [await client.post(path), await client.post(path, json={"model_id": other})]

    assert named.status_code == 200
    assert [answer.status_code for answer in refused] == [403, 403]
    assert "name the models" in refused[0].json()["detail"]


async def test_an_idempotency_key_never_leads_to_the_work_of_another_caller(
    app: FastAPI, stored: Stored, admin: httpx.AsyncClient
) -> None:
    model = await added(admin, "Growth", P)
    path, once = f"/api/v1/model/{model}/rebalance", {"Idempotency-Key": "nightly"}
    first = await admin.post(path, headers=once)

    async with client_with(app, await add_key(stored, Role.TRADER, owner="other")) as client:
        second = await client.post(path, headers=once)

    assert first.status_code == 200
    assert second.json()["type"] == "/problems/idempotency-key-reused"
