"""Refusals of rights: each is in the audit log, however often somebody tries."""

from typing import Any

import pytest
from fastapi import FastAPI

from serve_app.auth.permissions import Role
from serve_app.auth.refusals import RefusalRecorder
from serve_app.settings import Settings, read_settings
from storage.errors import StorageUnavailableError
from tests.support.fakes import Stored, make_model_body
from tests.support.keys import add_key, client_with

pytestmark = pytest.mark.mongo


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys"})


async def list_refusals(app: FastAPI, stored: Stored) -> list[dict[str, Any]]:
    async with client_with(app, await add_key(stored, Role.ADMIN)) as admin:
        answer = await admin.get("/api/v1/audit", params={"action": "right.refuse"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_missing_scope_is_recorded_with_principal_operation_and_reason(
    app: FastAPI, stored: Stored
) -> None:
    async with client_with(app, await add_key(stored, Role.VIEWER)) as viewer:
        answer = await viewer.post(
            "/api/v1/models", json=make_model_body(), headers={"X-Correlation-ID": "tried-it"}
        )

    assert answer.status_code == 403
    (entry,) = await list_refusals(app, stored)
    assert (entry["outcome"], entry["object_id"]) == ("REFUSED", "/api/v1/models")
    assert entry["diff"]["operation"] == "POST /api/v1/models"
    assert "models:write" in entry["diff"]["reason"]
    assert entry["principal"]
    assert entry["correlation_id"] == "tried-it"


async def test_an_object_outside_the_limits_is_recorded_with_its_path(
    app: FastAPI, stored: Stored
) -> None:
    path = f"/api/v1/model/{'0' * 24}"
    async with client_with(app, await add_key(stored, Role.VIEWER, models=("f" * 24,))) as viewer:
        assert (await viewer.get(path)).status_code == 403

    (entry,) = await list_refusals(app, stored)
    assert entry["object_id"] == path
    assert entry["diff"]["operation"] == "GET /api/v1/model/{model_id}"


async def test_what_is_allowed_or_not_found_is_no_refusal(app: FastAPI, stored: Stored) -> None:
    async with client_with(app, await add_key(stored, Role.VIEWER)) as viewer:
        assert (await viewer.get("/api/v1/models")).status_code == 200
        assert (await viewer.get(f"/api/v1/model/{'0' * 24}")).status_code == 404
    async with client_with(app, "no key") as nobody:
        assert (await nobody.get("/api/v1/models")).status_code == 401

    assert await list_refusals(app, stored) == []


async def test_more_refusals_than_the_log_takes_are_refused_all_the_same(
    app: FastAPI, stored: Stored
) -> None:
    async with client_with(app, await add_key(stored, Role.VIEWER)) as viewer:
        answers = [await viewer.post("/api/v1/models", json={}) for _ in range(30)]

    assert {answer.status_code for answer in answers} == {403}
    assert 10 <= len(await list_refusals(app, stored)) < 30


class Lost:
    """Log that is away."""

    async def record_refusal(self, *_: object) -> None:
        raise StorageUnavailableError("gone")


async def test_a_refusal_stands_while_the_audit_log_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await RefusalRecorder(Lost()).record("ada", "POST /api/v1/models", "/", PermissionError())

    assert "was not recorded" in caplog.text
