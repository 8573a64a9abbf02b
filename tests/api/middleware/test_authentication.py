"""Authentication of requests: which paths are open, and what a wrong credential gets."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.routes import optimize
from serve_app.auth.api_keys import make_key
from serve_app.auth.permissions import Role
from serve_app.call_context import CallContext, principal
from serve_app.settings import Settings, read_settings
from storage.errors import StorageUnavailableError
from tests.support.fakes import FakeOptimizer, Stored, render_no_metrics
from tests.support.keys import add_key, client_with

pytestmark = pytest.mark.mongo
MODELS = "/api/v1/models"
DOCS = ("/docs", "/redoc", "/openapi.json", "/problems", "/problems/not-found")
BREAKERS = {"pricing": "closed"}


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys"})


@pytest.fixture
def app_of(stored: Stored, optimizer: FakeOptimizer) -> Callable[..., FastAPI]:
    def build(**changes: Any) -> FastAPI:
        settings = read_settings({"auth": "keys", **changes})
        return api_app(settings, Ports(stored.port, optimizer, {}, render_no_metrics))

    return build


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Basic YTpi")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", "Bearer x")],
        [("Authorization", f"Bearer {'x' * 20_000}")],
        [("Authorization", str(make_key()))],
        [("Authorization", f"Bearer {make_key()}")],
        [("Authorization", f"Bearer {make_key()}"), ("Authorization", f"Bearer {make_key()}")],
    ],
)
async def test_a_wrong_credential_is_a_401_that_says_no_more(
    app: FastAPI, headers: list[tuple[str, str]]
) -> None:
    async with client_with(app) as client:
        answer = await client.get(MODELS, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].endswith('error="invalid_token"')
    assert answer.json()["type"] == "/problems/unauthenticated"
    assert len(answer.json()["detail"]) < 60


async def test_the_scheme_is_read_in_any_case(app: FastAPI, stored: Stored) -> None:
    key = await add_key(stored, Role.VIEWER)
    async with client_with(app) as client:
        answer = await client.get(MODELS, headers={"Authorization": f"bEARER {key}"})

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/nothing", "/api/v1/models/"])
async def test_paths_are_not_told_apart_without_credentials(app: FastAPI, path: str) -> None:
    async with client_with(app) as client:
        assert (await client.get(path)).status_code == 401


@pytest.mark.parametrize(
    ("changes", "path", "status"),
    [
        ({}, "/metrics", 401),
        ({"open_metrics": True}, "/metrics", 200),
        *(({}, path, 200) for path in DOCS),
        *(({"open_docs": False}, path, 401) for path in DOCS),
        ({"open_metrics": True}, MODELS, 401),
    ],
)
async def test_metrics_and_docs_are_open_by_settings_of_their_own(
    app_of: Callable[..., FastAPI], changes: dict[str, Any], path: str, status: int
) -> None:
    async with client_with(app_of(**changes)) as client:
        assert (await client.get(path)).status_code == status


async def test_health_tells_everybody_names_and_states_and_details_to_those_with_the_scope(
    app: FastAPI, stored: Stored
) -> None:
    async with client_with(app) as client:
        ready = (await client.get("/health/ready")).json()
    for role, sees in ((Role.VIEWER, False), (Role.OPERATOR, True)):
        async with client_with(app, await add_key(stored, role)) as client:
            found = (await client.get("/health")).json()
            assert bool(found["simulated"]) == sees, role

    assert ready["checks"] == {"database": "healthy"}
    assert (ready["breakers"], ready["simulated"]) == ({}, [])


async def test_liveness_needs_no_database_whatever_the_caller_sends(
    app: FastAPI, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise StorageUnavailableError("the database cannot be reached")

    monkeypatch.setattr(type(stored.resources.api_keys), "find", fail)
    async with client_with(app, str(make_key())) as client:
        live, models = await client.get("/health/live"), await client.get(MODELS)

    assert live.status_code == 200
    assert (models.status_code, models.json()["type"]) == (503, "/problems/storage-unavailable")


@pytest.mark.parametrize("size", [optimize.MIN_LONG_BODY_BYTES, 0])
@pytest.mark.parametrize("content_type", ["application/json", "text/csv"])
async def test_optimize_requires_its_scope_whichever_process_reads_the_body(
    app: FastAPI, stored: Stored, monkeypatch: pytest.MonkeyPatch, size: int, content_type: str
) -> None:
    monkeypatch.setattr(optimize, "MIN_LONG_BODY_BYTES", size)
    headers = {"content-type": content_type}
    async with client_with(app, await add_key(stored, Role.VIEWER)) as client:
        answer = await client.post("/api/v1/optimize", content=b"{}", headers=headers)

    assert answer.json()["type"] == "/problems/scope-missing"


async def test_a_refused_request_is_refused_before_its_body_is_read(app: FastAPI) -> None:
    async def body() -> Any:
        raise AssertionError("the body is read")
        yield b""

    async with client_with(app) as client:
        answer: httpx.Response = await client.post(MODELS, content=body())

    assert answer.status_code == 401


async def test_the_name_of_the_caller_goes_with_the_calls_of_its_request(
    app: FastAPI, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    read_page = type(stored.models).read_page

    async def note(*arguments: Any) -> Any:
        seen.append(principal.get())
        return await read_page(*arguments)

    monkeypatch.setattr(type(stored.models), "read_page", note)
    async with client_with(app, await add_key(stored, Role.VIEWER, owner="desk-7")) as client:
        await client.get(MODELS)

    assert seen == ["desk-7"]


def test_a_call_context_carries_the_caller_to_another_process() -> None:
    token = principal.set("desk-7")
    context = CallContext.capture()
    principal.reset(token)

    with context.activate():
        assert principal.get() == "desk-7"
    assert principal.get() == ""
