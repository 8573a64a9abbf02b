"""GET /system: the service as its operators see it, without secrets."""

import httpx
import pytest
from fastapi import FastAPI

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.settings import Settings, read_settings
from storage.errors import StorageUnavailableError
from tests.support.fakes import Stored, render_no_metrics

PASSWORD = "correct-horse-battery"


@pytest.fixture
def settings() -> Settings:
    urls = {
        f"{name}_service_url": f"http://desk:{PASSWORD}@upstream:8000"
        for name in ("portfolio_accounting", "pricing", "security", "portfolio", "order")
    }
    uri = f"mongodb://desk:{PASSWORD}@127.0.0.1:27017"
    return read_settings({"upstreams": "real", "mongodb_uri": uri, "event_streams": 7, **urls})


async def lost() -> None:
    raise StorageUnavailableError("gone")


@pytest.fixture
def app(settings: Settings, stored: Stored) -> FastAPI:
    return api_app(settings, Ports(stored.port, stored.port, {"database": lost}, render_no_metrics))


async def test_operators_see_version_state_streams_and_settings(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/system")

    assert answer.status_code == 200
    found = answer.json()
    assert found["version"]
    assert (found["model_rules"], found["auth"]) == ("globeco", "none")
    assert found["health"]["status"] == "unhealthy"
    assert found["health"]["checks"] == {"database": "failing"}
    assert found["event_streams"] == {"open": 0, "most": 7}
    assert found["settings"]["EVENT_STREAMS"] == 7
    assert found["settings"]["UPSTREAMS"] == "real"
    assert found["settings"].keys() == {name.upper() for name in Settings.model_fields}


async def test_no_secret_and_no_password_is_shown(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/system")

    assert PASSWORD not in answer.text
    assert answer.json()["settings"]["MONGODB_URI"] == "(set)"
    assert answer.json()["settings"]["PRICING_SERVICE_URL"] == "http://upstream:8000"
