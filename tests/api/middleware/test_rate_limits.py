"""Rate limits over HTTP: who is counted, and what a caller beyond the limit is told."""

import pytest
from fastapi import FastAPI

from serve_app.auth.permissions import Role
from serve_app.settings import Settings, read_settings
from tests.support.fakes import Stored
from tests.support.keys import add_key, client_with

pytestmark = pytest.mark.mongo
MODELS = "/api/v1/models"


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys", "rate_limit_per_minute": 1})


async def test_beyond_the_limit_a_caller_is_told_when_to_come_back(
    app: FastAPI, stored: Stored
) -> None:
    async with client_with(app, await add_key(stored, Role.VIEWER, owner="desk")) as client:
        first, second = await client.get(MODELS), await client.get(MODELS)

    assert first.status_code == 200
    assert second.status_code == 429
    assert second.json()["type"] == "/problems/rate-exceeded"
    assert "desk" in second.json()["detail"]
    assert 1 <= int(second.headers["retry-after"]) <= 60


async def test_the_keys_of_one_owner_share_the_limit_and_other_owners_have_their_own(
    app: FastAPI, stored: Stored
) -> None:
    statuses: list[int] = []
    for owner in ("desk", "desk", "reporting"):
        async with client_with(app, await add_key(stored, Role.VIEWER, owner=owner)) as client:
            statuses.append((await client.get(MODELS)).status_code)

    assert statuses == [200, 429, 200]


async def test_requests_without_a_key_are_not_counted(app: FastAPI) -> None:
    async with client_with(app) as client:
        health = [(await client.get("/health/ready")).status_code for _ in range(3)]
        models = [(await client.get(MODELS)).status_code for _ in range(3)]

    assert (health, models) == ([200] * 3, [401] * 3)
