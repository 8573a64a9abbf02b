"""Hostile requests to the running service."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from serve_app.launch.launcher import format_url
from serve_app.settings import Settings
from tests.end_to_end.book import Book
from tests.end_to_end.calls import add_model, make_model
from tests.support.fuzzing import run_schemathesis

pytestmark = pytest.mark.cluster
JSON = {"content-type": "application/json"}


@pytest.mark.apart
async def test_schemathesis_finds_nothing_that_its_configuration_does_not_explain(
    http: httpx.AsyncClient, service: Settings, tmp_path: Path
) -> None:
    # Left out, because a run over all portfolios takes too long here; tests/api has these routes.
    without = "--exclude-path-regex=^/api/v1/runs"
    arguments = run_schemathesis, format_url(service), 5, tmp_path, without
    code, report = await asyncio.to_thread(*arguments)
    assert code == 0, report
    assert (await http.get("/health/ready")).status_code == 200


async def test_a_body_of_ten_megabytes_is_a_413_whether_or_not_its_length_is_told(
    http: httpx.AsyncClient,
) -> None:
    body = json.dumps({"name": "x" * 10_000_000}).encode()

    async def in_parts():
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    for path in ("/api/v1/models", "/api/v1/rebalances/portfolios"):
        for content in (body, in_parts()):
            answer = await http.post(path, content=content, headers=JSON)
            assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")


async def test_ten_thousand_portfolios_follow_a_model(http: httpx.AsyncClient, book: Book) -> None:
    ids = [f"Many{number:020}" for number in range(10_000)]
    model = await add_model(http, make_model(book, ids))
    path = f"/api/v1/model/{model['model_id']}"
    assert (await http.get(path)).json()["portfolios"] == ids
    assert (await http.delete(path, params={"version": 1})).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/model/%00", 400),
        ("GET", "/api/v1/model/..%2f..%2fetc", 404),
        ("GET", "/nowhere", 404),
        ("PATCH", "/api/v1/models", 405),
        ("POST", "/api/v1/models", 422),
        ("GET", "/problems/infeasible", 200),
        ("GET", "/docs", 200),
        ("GET", "/docs-files/swagger-ui-bundle.js", 200),
    ],
)
async def test_every_answer_comes_from_the_application(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    if status == 405:
        assert answer.headers["allow"] == "GET, POST"
