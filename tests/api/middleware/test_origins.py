"""Pages of other sites, which reach the service through the browser of somebody who may."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import FastAPI

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.middleware.origins import host_name
from serve_app.settings import Settings, read_settings
from tests.support.fakes import FakeOptimizer, Stored, render_no_metrics

MODELS = "/api/v1/models"
CHANGES = [
    ("POST", "/api/v1/models"),
    ("PUT", f"/api/v1/model/{'0' * 24}"),
    ("DELETE", f"/api/v1/model/{'0' * 24}"),
    ("POST", f"/api/v1/model/{'0' * 24}/rebalance"),
    ("POST", f"/api/v1/rebalance/{'0' * 24}/orders"),
]
Serve = Callable[..., FastAPI]


@pytest.fixture
def serve(stored: Stored, optimizer: FakeOptimizer) -> Serve:
    def serve(**given: object) -> FastAPI:
        return api_app(read_settings(given), Ports(stored.port, optimizer, {}, render_no_metrics))

    return serve


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(serve()) as client:
        yield client


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8088")


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost:8088"},
    ],
    ids=["other site", "sandbox", "other port", "cross-site", "same-site", "forged origin"],
)
async def test_a_change_from_a_page_of_another_site_is_refused(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await client.request(method, path, headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/foreign-site")
    (value, *_) = [headers.get("origin") or headers["sec-fetch-site"]]
    assert value in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "http://localhost:8088"},
        {"origin": "https://localhost:8088"},  # TLS ends in front of the service
    ],
    ids=["no browser", "typed address", "own page", "behind TLS"],
)
async def test_a_change_from_a_program_or_an_own_page_is_taken(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.delete(f"/api/v1/model/{'0' * 24}?version=1", headers=headers)

    assert answer.status_code == 404


async def test_an_origin_that_is_set_may_send_changes(serve: Serve) -> None:
    headers = {"origin": "http://portal", "sec-fetch-site": "cross-site"}
    async with client_of(serve(cors_origins="http://portal")) as client:
        answer = await client.delete(f"/api/v1/model/{'0' * 24}?version=1", headers=headers)
        other = await client.delete(
            f"/api/v1/model/{'0' * 24}?version=1", headers={"origin": "http://elsewhere"}
        )

    assert (answer.status_code, other.status_code) == (404, 403)


FROM_ELSEWHERE = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


async def test_a_read_from_another_site_is_answered_but_shown_to_nobody(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(MODELS, headers=FROM_ELSEWHERE)

    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8088", "127.0.0.1.evil.example", "", "[::2]:8088"]
)
async def test_a_name_that_another_site_bound_to_our_address_is_refused(
    client: httpx.AsyncClient, host: str
) -> None:
    answer = await client.get(MODELS, headers={"host": host})

    assert (answer.status_code, answer.json()["type"]) == (421, "/problems/host-not-allowed")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8088", "127.0.0.1:1", "[::1]:8088", "localhost."]
)
async def test_loopback_names_are_ours(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get(MODELS, headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    ("given", "host", "status"),
    [
        ({"allowed_hosts": "orders.example.com"}, "orders.example.com", 200),
        ({"allowed_hosts": "orders.example.com"}, "other.example.com", 421),
        ({"allowed_hosts": "*.example.com"}, "orders.example.com", 200),
        ({"allowed_hosts": "*.example.com"}, "example.com", 421),
        ({"allowed_hosts": "*.example.com"}, "evilexample.com", 421),
        ({"allowed_hosts": "*", "host": "0.0.0.0"}, "anything", 200),
        ({"host": "10.1.2.3"}, "10.1.2.3:8088", 200),
        ({"host": "10.1.2.3"}, "10.1.2.4:8088", 421),
    ],
)
async def test_names_that_are_set_are_ours(
    serve: Serve, given: dict[str, str], host: str, status: int
) -> None:
    async with client_of(serve(**given)) as client:
        assert (await client.get(MODELS, headers={"host": host})).status_code == status


@pytest.mark.parametrize("path", ["/health/live", "/health", "/metrics"])
async def test_probes_may_use_the_address_of_a_pod(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers={"host": "10.244.0.7:8088"})).status_code == 200


def test_the_name_of_a_host_has_no_port_and_no_brackets() -> None:
    assert [host_name(each) for each in ("A:80", "[::1]:80", "b", "a:b:c")] == ["a", "::1", "b", ""]


def test_settings_name_the_hosts_of_the_service() -> None:
    settings: Settings = read_settings({"host": "0.0.0.0", "allowed_hosts": "a, b"})

    assert settings.host_names == ("localhost", "127.0.0.1", "::1", "a", "b")
