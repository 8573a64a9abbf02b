"""Routes of API keys."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_app.api.app import api_app
from serve_app.auth.permissions import Role, Scope
from serve_app.settings import Settings, read_settings
from tests.support.fakes import Stored
from tests.support.keys import add_key, client_with

pytestmark = pytest.mark.mongo
KEYS = "/api/v1/keys"


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys"})


@pytest.fixture
async def admin(app: FastAPI, stored: Stored) -> Any:
    key = await add_key(stored, Role.ADMIN, owner="ada")
    async with client_with(app, key) as client:
        yield client


async def made(admin: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await admin.post(KEYS, json={"owner": "nightly", "roles": ["trader"], **body})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def status_with(app: FastAPI, key: str) -> int:
    async with client_with(app, key) as client:
        return (await client.get("/api/v1/models")).status_code


async def test_a_new_key_works_and_its_secret_is_shown_once(
    app: FastAPI, admin: httpx.AsyncClient
) -> None:
    new = await made(admin)
    listed = await admin.get(KEYS)

    assert await status_with(app, new["key"]) == 200
    assert (new["owner"], new["roles"], new["created_by"]) == ("nightly", ["trader"], "ada")
    assert new["expires_at"] is not None
    assert [each["owner"] for each in listed.json()] == ["nightly", "ada"]
    assert listed.headers["x-total-count"] == "2"
    assert new["key"].rpartition("_")[2] not in listed.text


async def test_both_secrets_work_after_a_rotation_and_only_the_new_one_without_overlap(
    app: FastAPI, admin: httpx.AsyncClient
) -> None:
    first = await made(admin)
    path = f"{KEYS}/{first['key_id']}/rotate"

    second = (await admin.post(path)).json()
    assert [await status_with(app, each["key"]) for each in (first, second)] == [200, 200]

    third = (await admin.post(path, json={"overlap_hours": 0})).json()
    keys = [each["key"] for each in (first, second, third)]
    fresh = another_replica(app)
    assert [await status_with(fresh, key) for key in keys] == [401, 401, 200]


def another_replica(app: FastAPI) -> FastAPI:
    """Make another replica, because each caches keys for 5 s."""
    return api_app(app.state.settings, app.state.ports)


async def test_a_revoked_key_is_refused(app: FastAPI, admin: httpx.AsyncClient) -> None:
    new = await made(admin)
    revoked = await admin.delete(f"{KEYS}/{new['key_id']}")
    again = await admin.delete(f"{KEYS}/{new['key_id']}")

    assert revoked.json()["revoked_at"] is not None
    assert await status_with(another_replica(app), new["key"]) == 401
    assert again.status_code == 404


async def test_nobody_can_give_or_take_over_rights_that_it_lacks(
    app: FastAPI, stored: Stored, admin: httpx.AsyncClient
) -> None:
    strong = await made(admin, roles=["admin"])
    weak = await add_key(stored, Role.VIEWER, scopes=(Scope.KEYS_MANAGE,), owner="weak")

    async with client_with(app, weak) as client:
        given = await client.post(KEYS, json={"owner": "x", "roles": ["trader"]})
        taken = await client.post(f"{KEYS}/{strong['key_id']}/rotate")
        allowed = await client.post(KEYS, json={"owner": "x", "roles": ["viewer"]})

    assert [answer.status_code for answer in (given, taken, allowed)] == [403, 403, 201]
    assert given.json()["scopes"] == [
        "optimize:use", "orders:send", "rebalances:start", "runs:cancel",
    ]  # fmt: skip


async def test_a_limited_key_can_make_no_keys(app: FastAPI, stored: Stored) -> None:
    limited = await add_key(stored, Role.ADMIN, models=("6" * 24,))
    async with client_with(app, limited) as client:
        answer = await client.post(KEYS, json={"owner": "x", "roles": ["viewer"]})

    assert answer.json()["type"] == "/problems/outside-limits"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"roles": []}, "/roles"),
        ({"roles": ["king"]}, "/roles/0"),
        ({"scopes": ["models:*"]}, "/scopes/0"),
        ({"owner": ""}, "/owner"),
        ({"owner": "a\nb"}, "/owner"),
        ({"models": []}, "/models"),
        ({"models": ["x"]}, "/models/0"),
        ({"portfolios": [""]}, "/portfolios/0"),
        ({"days": 0}, "/days"),
        ({"days": 4000}, "/days"),
        ({"secret": "mine"}, "/secret"),
    ],
)
async def test_a_wrong_key_is_refused_by_its_field(
    admin: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    answer = await admin.post(KEYS, json={"owner": "nightly", "roles": ["trader"], **body})

    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


async def test_a_service_without_authentication_makes_no_keys(stored: Stored, app: FastAPI) -> None:
    open_app = api_app(read_settings(), app.state.ports)
    async with client_with(open_app) as client:
        answers = [await client.get(KEYS), await client.post(KEYS, json={})]
        document = (await client.get("/openapi.json")).json()

    assert [answer.status_code for answer in answers] == [404, 404]
    assert KEYS not in document["paths"]
    assert "securitySchemes" not in document["components"]
    assert not any(
        "security" in each for path in document["paths"].values() for each in path.values()
    )
