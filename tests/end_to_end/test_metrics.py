"""Metrics of the running service: each metric grows with the work of the service."""

import asyncio
import re
from collections.abc import Mapping

import httpx
import pytest

from tests.end_to_end.book import Book, wait_until_reached
from tests.end_to_end.calls import add_model, fund_portfolio, make_model, rebalance_model

pytestmark = pytest.mark.cluster

FED = {
    "http_requests_total": {"method", "route", "status"},
    "http_request_duration_milliseconds_count": {"method", "route", "status"},
    "http_request_duration_milliseconds_sum": {"method", "route", "status"},
    "rebalances_total": {"status"},
    "rebalance_duration_seconds_count": {"size"},
    "rebalance_portfolios_total": {"outcome"},
    "solver_plans_total": {"method", "proof"},
    "solver_block_duration_seconds_count": set(),
    "orders_submitted_total": {"outcome"},
    "upstream_requests_total": {"upstream", "outcome"},
    "upstream_request_duration_seconds_count": {"upstream"},
    "database_commands_total": {"command", "outcome"},
    "database_command_duration_seconds_count": {"command"},
}
SAMPLE = re.compile(r"^([a-z_]+)\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)
LABEL = re.compile(r'([a-z]+)="([^"]*)"')
WITHIN_S = 40.0  # the cluster collects every 10 s

Samples = Mapping[str, list[tuple[dict[str, str], float]]]


async def test_a_rebalance_feeds_every_metric(http: httpx.AsyncClient, book: Book) -> None:
    portfolio_id = fund_portfolio(book)
    model = await add_model(http, make_model(book, [portfolio_id]))
    outcomes = await rebalance_model(http, model["model_id"])
    await http.post(f"/api/v1/rebalance/{outcomes[0]['rebalance_id']}/orders")

    samples = await read_samples(http, *FED)

    for name, labels in FED.items():
        assert sum(value for _, value in samples[name]) > 0, name
        assert all(labels <= sample_labels.keys() for sample_labels, _ in samples[name]), name
    routes = {sample_labels["route"] for sample_labels, _ in samples["http_requests_total"]}
    assert "/api/v1/model/{model_id}/rebalance" in routes
    assert not any(model["model_id"] in route for route in routes)
    upstreams = {
        sample_labels["upstream"] for sample_labels, _ in samples["upstream_requests_total"]
    }
    assert {"accounting", "pricing", "security"} <= upstreams
    commands = {sample_labels["command"] for sample_labels, _ in samples["database_commands_total"]}
    assert {"find", "insert", "commitTransaction"} <= commands


async def test_a_run_that_was_asked_for_by_itself_is_counted_at_its_end(
    http: httpx.AsyncClient, book: Book
) -> None:
    model = await add_model(http, make_model(book, [fund_portfolio(book)]))
    answer = await http.post("/api/v1/runs", json={"models": [model["model_id"]]})
    assert answer.status_code == 202, answer.text

    samples = await read_samples(
        http, "rebalance_runs_total", "rebalance_run_duration_seconds_count"
    )

    statuses = {labels["status"] for labels, _ in samples["rebalance_runs_total"]}
    assert "COMPLETED" in statuses


async def test_a_request_that_waits_is_in_flight(http: httpx.AsyncClient, book: Book) -> None:
    portfolio_id = fund_portfolio(book)
    await add_model(http, make_model(book, [portfolio_id]))
    with book.hold(f"/api/v1/portfolios/{portfolio_id}/summary") as trouble:
        request = asyncio.create_task(http.post(f"/api/v1/portfolio/{portfolio_id}/rebalance"))
        await wait_until_reached(trouble)
        samples = await read_samples(http, "http_requests_in_flight")
    answer = await request

    assert samples["http_requests_in_flight"]
    assert answer.status_code in {200, 503}  # the upstream took longer than it may


async def read_samples(http: httpx.AsyncClient, *names: str) -> Samples:
    """Wait until all these metrics are above 0, and return the metrics."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            samples = samples_of((await http.get("/metrics")).text)
            if all(any(value > 0 for _, value in samples.get(name, [])) for name in names):
                return samples
            await asyncio.sleep(0.5)


def samples_of(text: str) -> Samples:
    samples: dict[str, list[tuple[dict[str, str], float]]] = {}
    for name, labels, value in SAMPLE.findall(text):
        samples.setdefault(name, []).append((dict(LABEL.findall(labels)), float(value)))
    return samples
