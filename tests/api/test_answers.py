"""Answers of every route: HEAD matches GET, and the body is compressed if the caller accepts it."""

import gzip
from typing import Any

import httpx
import pytest

from tests.support.every_route import DOCUMENT, Operation, list_operations
from tests.support.fakes import P, make_model_body

READING = [each for each in list_operations() if each.method == "GET"]
IDENTITY = {"accept-encoding": "identity"}
GZIP = {"accept-encoding": "gzip"}
OWN = {"x-request-id", "x-correlation-id"}


@pytest.fixture
async def paths(client: httpx.AsyncClient) -> dict[str, str]:
    """Paths of all routes of the document, filled with ids of stored objects."""
    portfolios = [f"{number:024}" for number in range(200)]
    model = (
        await client.post("/api/v1/models", json=make_model_body(portfolios=[P, *portfolios]))
    ).json()
    rebalance = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")
    ids = {
        "model_id": model["model_id"],
        "portfolio_id": P,
        "rebalance_id": rebalance.headers["location"].rpartition("/")[2],
        **dict.fromkeys(("run_id", "proposal_id", "rule_id", "scan_id"), "0" * 24),
        "version": "1",
    }
    return {
        operation["operationId"]: template.format(**ids)
        for template, methods in DOCUMENT["paths"].items()
        for operation in methods.values()
    }


def lasting(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OWN}


@pytest.mark.parametrize("operation", READING, ids=str)
async def test_head_is_answered_as_get_is_without_the_body(
    client: httpx.AsyncClient, paths: dict[str, str], operation: Operation
) -> None:
    path = paths[operation.name]
    for headers in (IDENTITY, GZIP):
        got = await client.get(path, headers=headers)
        head = await client.head(path, headers=headers)

        assert (head.status_code, head.content) == (got.status_code, b"")
        assert lasting(head) == lasting(got)


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/problems", "/health/health"]
)
async def test_head_is_answered_on_the_pages_as_well(client: httpx.AsyncClient, path: str) -> None:
    head = await client.head(path)

    assert (head.status_code, head.content) == (200, b"")


async def test_head_is_refused_where_get_is(client: httpx.AsyncClient) -> None:
    head = await client.head("/api/v1/rebalances/portfolios")

    assert (head.status_code, head.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("operation", READING, ids=str)
async def test_a_long_answer_is_compressed_where_the_caller_accepts_it_and_the_same_inside(
    client: httpx.AsyncClient, paths: dict[str, str], operation: Operation
) -> None:
    path = paths[operation.name]
    plain = await client.get(path, headers=IDENTITY)
    packed = await client.get(path, headers=GZIP)
    refused = await client.get(path, headers={"accept-encoding": "gzip;q=0, *"})

    assert packed.content == plain.content or "correlation_id" in plain.text
    assert {"content-encoding"}.isdisjoint(plain.headers.keys() | refused.headers.keys())
    if len(plain.content) > 2_000:
        assert packed.headers["content-encoding"] == "gzip"
        assert "Accept-Encoding" in packed.headers["vary"]
        assert "Accept-Encoding" in plain.headers["vary"]
    if "etag" in packed.headers and "content-encoding" in packed.headers:
        assert packed.headers["etag"] != plain.headers["etag"]


async def test_a_compressed_answer_is_shorter_and_says_how_long_it_is(
    client: httpx.AsyncClient,
) -> None:
    async with client.stream("GET", "/openapi.json", headers=GZIP) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])

    assert len(raw) == int(answer.headers["content-length"])
    assert len(gzip.decompress(raw)) > 3 * len(raw)


async def test_a_workbook_goes_as_it_is(client: httpx.AsyncClient, paths: dict[str, str]) -> None:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    answer = await client.get(paths["list_transactions"], headers={**GZIP, "accept": kind})

    assert answer.headers["content-type"] == kind
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content) > 2_000


async def test_the_tag_of_a_compressed_model_leads_to_304_and_lets_a_change_pass(
    client: httpx.AsyncClient, paths: dict[str, str]
) -> None:
    path = paths["read_model"]
    packed = await client.get(path, headers=GZIP)
    tag = packed.headers["etag"]

    unchanged = await client.get(path, headers={**GZIP, "if-none-match": tag})
    body: dict[str, Any] = packed.json()
    changed = await client.put(path, json=body, headers={"if-match": tag})

    assert tag.endswith('.gzip"')
    assert (unchanged.status_code, unchanged.headers["etag"]) == (304, tag)
    assert changed.status_code == 200
