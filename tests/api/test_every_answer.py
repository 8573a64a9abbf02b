"""Every answer: ids, headers, one shape of errors, and a document that matches."""

import logging
import pickle
import re

import httpx
import jsonschema
import pytest
from fastapi import FastAPI

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.ports.errors import OverloadedError, ReplicaLostError
from serve_app.problems.catalogue import KINDS
from serve_app.problems.errors import NotReadyError, PreconditionFailedError
from serve_app.settings import read_settings
from tests.support.fakes import (
    FakeOptimizer,
    P,
    Stored,
    make_model_body,
    make_refusal,
    render_no_metrics,
)


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def test_ids_of_a_request_are_echoed(client: httpx.AsyncClient) -> None:
    ids = {"x-correlation-id": "desk-7:run/3", "x-request-id": "r-1"}

    answer = await client.get("/health/live", headers=ids)

    assert ids.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("offered", ["", "x" * 129, "a b", "a{b}", "é"])
async def test_an_id_that_could_do_harm_is_replaced(
    client: httpx.AsyncClient, offered: str
) -> None:
    headers = {"x-correlation-id": offered.encode()}

    answer = await client.get("/api/v1/model/zz", headers=headers)

    made = answer.headers["x-correlation-id"]
    assert len(made) == 32
    assert answer.json()["correlation_id"] == made


@pytest.mark.parametrize(
    "path", ["/health/live", "/nope", "/docs", "/problems", "/api/v1/model/zz"]
)
async def test_every_answer_has_the_security_headers(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "strict-transport-security" not in answer.headers


async def test_hsts_is_sent_behind_tls_alone(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health/live", headers={"x-forwarded-proto": "https"})

    assert answer.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize("path", ["/docs/", "/redoc"])
async def test_the_docs_load_everything_from_this_service_and_may_run_nothing_else(
    client: httpx.AsyncClient, path: str
) -> None:
    page = await client.get(path)

    policy = page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href|spec-url)="([^"]+)"|url: \'([^\']+)\'', page.text)
    addresses = [either or other for either, other in loaded]
    assert len(addresses) >= 3
    assert all(address.startswith("/") for address in addresses)
    assert "http" not in policy
    assert "script-src 'self' 'sha256-" in policy or "<script>" not in page.text
    for address in addresses:
        answer = await client.get(address)
        assert answer.status_code == 200
        assert len(answer.content) > 1000


async def test_no_page_of_another_origin_may_read_an_answer_by_default(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/api/v1/models", headers={"origin": "http://portal"})

    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-credentials" not in answer.headers


async def test_origins_that_are_not_set_are_not_allowed(
    stored: Stored, optimizer: FakeOptimizer
) -> None:
    settings = read_settings({"cors_origins": "http://portal"})
    app = api_app(settings, Ports(stored.port, optimizer, {}, render_no_metrics))

    async with client_of(app) as client:
        allowed = await client.get("/health/live", headers={"origin": "http://portal"})
        other = await client.get("/health/live", headers={"origin": "http://elsewhere"})

    assert allowed.headers["access-control-allow-origin"] == "http://portal"
    assert "access-control-allow-credentials" not in allowed.headers
    assert "X-Total-Count" in allowed.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("path", ["/nope", "/api/v1", "/api/v1/model", "/api/v2/models"])
async def test_an_unknown_route_is_a_404_problem(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["instance"]) == (404, path)
    assert answer.json()["type"] == "/problems/unknown-route"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/models", "GET, POST"),
        ("/api/v1/models/", "GET, POST"),
        (f"/api/v1/model/{'0' * 24}", "DELETE, GET, PUT"),
        (f"/api/v1/model/{'0' * 24}/position", "DELETE, POST, PUT"),
        (f"/api/v1/model/{'0' * 24}/portfolio", "DELETE, POST"),
        (f"/api/v1/rebalance/{'0' * 24}", "DELETE, GET"),
        ("/api/v1/rebalances/portfolios", "POST"),
        ("/health/health", "GET"),
        ("/docs", "GET"),
        ("/problems/invalid-request", "GET"),
    ],
)
async def test_a_wrong_method_is_a_405_that_names_all_methods_of_the_resource(
    client: httpx.AsyncClient, path: str, allowed: str
) -> None:
    answer = await client.patch(path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["type"] == "/problems/method-not-allowed"


async def test_an_unexpected_error_is_logged_once_and_shows_nothing(
    client: httpx.AsyncClient, optimizer: FakeOptimizer, caplog: pytest.LogCaptureFixture
) -> None:
    optimizer.error = ZeroDivisionError("the secret")
    model = (await client.post("/api/v1/models", json=make_model_body())).json()

    with caplog.at_level(logging.ERROR):
        answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")

    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal-error")
    assert "secret" not in answer.text
    assert "x-correlation-id" in answer.headers
    assert len(caplog.records) == 1


@pytest.mark.parametrize("error", [ReplicaLostError("Optimizer"), OverloadedError("Optimizer")])
async def test_a_deployment_that_cannot_take_the_call_is_a_503_to_be_sent_again(
    client: httpx.AsyncClient, optimizer: FakeOptimizer, error: Exception
) -> None:
    optimizer.error = error
    model = (await client.post("/api/v1/models", json=make_model_body())).json()

    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/overloaded")
    assert int(answer.headers["retry-after"]) > 0


async def test_metrics_are_prometheus_text(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.text == await render_no_metrics()


async def test_every_type_of_problem_leads_to_its_page(client: httpx.AsyncClient) -> None:
    index = (await client.get("/problems")).text

    for kind in KINDS.values():
        page = await client.get(kind.uri)
        assert page.headers["content-type"].startswith("text/html")
        assert kind.title in page.text
        assert kind.uri in index
    assert (await client.get("/problems/none")).status_code == 404


async def test_what_is_written_is_what_the_document_promises(
    client: httpx.AsyncClient, optimizer: FakeOptimizer
) -> None:
    document = (await client.get("/openapi.json")).json()
    model = (await client.post("/api/v1/models", json=make_model_body())).json()
    path = f"/api/v1/model/{model['model_id']}/rebalance"
    elements = (await client.post(path)).json()
    rebalance = await client.get(f"/api/v1/rebalance/{elements[0]['rebalance_id']}")
    optimizer.outcome = lambda portfolio_id, _: make_refusal("infeasible", portfolio_id)
    problem = (await client.post(f"/api/v1/portfolio/{P}/rebalance")).json()
    drift = (await client.get(f"/api/v1/portfolio/{P}/drift")).json()
    drifts = (await client.get(f"/api/v1/model/{model['model_id']}/drift")).json()

    for value, name in (
        (model, "ModelAnswer"),
        (elements[0], "RebalanceAnswer"),
        (rebalance.json(), "RebalanceResult"),
        (drift, "PortfolioDriftAnswer"),
        (drifts[0], "DriftSummaryAnswer"),
        (problem, "Problem"),
    ):
        schema = document | {"$ref": f"#/components/schemas/{name}"}
        jsonschema.validate(value, schema, jsonschema.Draft202012Validator)
        undocumented = value.keys() - document["components"]["schemas"][name]["properties"].keys()
        assert name == "Problem" or undocumented == set()


@pytest.mark.parametrize(
    "error",
    [
        PreconditionFailedError('"1"', 2),
        NotReadyError(("pricing",), {"pricing": "failing"}, {"pricing": "open"}),
    ],
)
def test_errors_of_the_routes_survive_pickling(error: Exception) -> None:
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
