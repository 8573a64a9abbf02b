"""Log of the running service: a correlation id finds the lines of a request in every process."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from serve_app.launch.ray_environment import ray_directory
from tests.end_to_end.book import Book
from tests.end_to_end.calls import WITHIN_S, add_model, fund_portfolio, make_model

pytestmark = pytest.mark.cluster
Json = dict[str, Any]


def find_events(needle: str) -> list[Json]:
    """Find the events with this correlation id in the logs of the replicas, by their time."""
    logs = ray_directory().glob("session_2*/logs/serve/replica_*.log")
    texts = [line for log in logs for line in log.read_text().splitlines() if needle in line]
    lines: list[Json] = [json.loads(text) for text in texts]
    return sorted(filter(is_event, lines), key=lambda line: line["timestamp_ns"])


def is_event(line: Json) -> bool:
    return "event" in line  # unlike Ray's own lines


async def wait_for_request(needle: str) -> list[Json]:
    """Wait for the line of the request, which is written after its answer."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            events = find_events(needle)
            if any(line["event"] == "request" for line in events):
                return events
            await asyncio.sleep(0.05)


async def test_a_correlation_id_finds_the_request_and_what_it_changed(
    http: httpx.AsyncClient, book: Book
) -> None:
    model = await add_model(http, make_model(book, [fund_portfolio(book)]))
    path, correlation_id = f"/api/v1/model/{model['model_id']}/rebalance", uuid4().hex

    answer = await http.post(path, headers={"X-Correlation-ID": correlation_id})
    storing, request = await wait_for_request(correlation_id)

    (element,) = answer.json()
    assert (storing["event"], storing["object_id"]) == ("rebalance.store", element["rebalance_id"])
    assert storing["deployment"].endswith("Optimizer")
    assert request["http_route"] == "/api/v1/model/{model_id}/rebalance"
    assert (request["http_method"], request["http_status"]) == ("POST", "200")
    assert request["duration_ms"] > 0
    assert request["deployment"].endswith("Ingress")
