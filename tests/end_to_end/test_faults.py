"""Upstreams that are down and killed processes: the caller's answer and the database."""

import asyncio
import os
import signal
from collections import Counter
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import httpx
import pytest
import ray
from ray.util.state import list_tasks

from serve_app.upstream.errors import UpstreamUnavailableError
from storage.errors import NotFoundError
from tests.end_to_end.acceptance import check_amounts, parse_exact_json
from tests.end_to_end.book import Book, wait_until_reached
from tests.end_to_end.calls import (
    Json,
    add_model,
    count_rebalances,
    fund_portfolio,
    list_replicas,
    make_model,
    make_portfolio_id,
    read_market_portfolio,
    rebalance_model,
    retry_until_success,
)
from tests.end_to_end.nightly import Nightly
from tests.optimization.support.oracle import rows_of

pytestmark = pytest.mark.cluster


async def test_a_run_of_a_thousand_portfolios_answers_and_stores_each(
    http: httpx.AsyncClient, book: Book
) -> None:
    ids = book.market.portfolio_ids()
    model = make_model(book, ids)
    stored_model = await add_model(http, model)
    outcomes = await rebalance_model(http, stored_model["model_id"])
    run = await _stored_run(http, outcomes)
    assert run["status"] == "COMPLETED"
    assert [outcome["portfolio_id"] for outcome in outcomes] == list(ids)
    assert run["counts"] == Counter(outcome["status"] for outcome in outcomes)
    assert run["counts"]["REBALANCED"] > 900
    assert run["counts"]["FAILED"] > 5
    for number, (element, record) in enumerate(zip(outcomes, run["portfolios"], strict=True)):
        assert record["portfolio_id"] == element["portfolio_id"]
        assert record["status"] == element["status"]
        if element["status"] == "REBALANCED":
            portfolio = read_market_portfolio(book, number)
            check_amounts(portfolio, rows_of(model, portfolio), element, record)


async def test_a_worker_that_is_killed_in_the_middle_of_a_run_loses_nothing(
    http: httpx.AsyncClient, book: Book
) -> None:
    ids = book.market.portfolio_ids(400)
    model = await add_model(http, make_model(book, ids))
    with book.hold(_summary(ids[200])) as trouble:
        request = asyncio.create_task(rebalance_model(http, model["model_id"]))
        await wait_until_reached(trouble)
        os.kill(await _worker_of("chunk_task"), signal.SIGKILL)
    outcomes = await request
    assert [outcome["portfolio_id"] for outcome in outcomes] == list(ids)
    run = await _stored_run(http, outcomes)
    assert run["status"] == "COMPLETED"
    assert [portfolio["portfolio_id"] for portfolio in run["portfolios"]] == list(ids)
    assert run["counts"] == Counter(outcome["status"] for outcome in outcomes)


async def test_an_optimizer_that_is_killed_under_a_request_does_not_cost_the_answer(
    http: httpx.AsyncClient, book: Book
) -> None:
    portfolio_id = fund_portfolio(book)
    model = await add_model(http, make_model(book, [portfolio_id]))
    with book.hold(_summary(portfolio_id)) as trouble:
        # By its model, because the ingress itself rebalances a portfolio by its own route.
        request = asyncio.create_task(http.post(f"/api/v1/model/{model['model_id']}/rebalance"))
        await wait_until_reached(trouble)
        for replica in await list_replicas("Optimizer"):
            os.kill(replica, signal.SIGKILL)
    answer = await request
    assert answer.status_code == 200, answer.text
    (element,) = answer.json()
    assert element["status"] == "REBALANCED"
    runs = await http.post("/api/v1/rebalances/portfolios", json={"portfolios": [portfolio_id]})
    assert [run["rebalance_id"] for run in runs.json()] == [element["rebalance_id"]]


@pytest.mark.parametrize(
    ("path", "upstream"),
    [("/api/v1/prices", "pricing"), ("/api/v1/portfolios/", "accounting")],
)
async def test_an_upstream_that_is_down_is_named_and_nothing_is_written(
    http: httpx.AsyncClient, book: Book, path: str, upstream: str
) -> None:
    model = await add_model(http, make_model(book, [fund_portfolio(book) for _ in range(20)]))
    rebalance = f"/api/v1/model/{model['model_id']}/rebalance"
    before = await count_rebalances(http)
    with book.fail(path):
        answer = await http.post(rebalance)
        assert answer.status_code == 503
        assert answer.json()["upstream"] == upstream
        assert int(answer.headers["Retry-After"]) > 0
        assert await count_rebalances(http) == before
        for _ in range(6):  # until the circuit is open
            assert (await http.post(rebalance)).status_code == 503
    recovered = await retry_until_success(http, rebalance)
    assert {outcome["status"] for outcome in recovered.json()} == {"REBALANCED"}
    assert await count_rebalances(http) == before + 1


async def test_what_was_solved_before_an_upstream_went_down_stays(
    http: httpx.AsyncClient, book: Book
) -> None:
    ids = book.market.portfolio_ids(400)
    model = await add_model(http, make_model(book, ids))
    rebalance = f"/api/v1/model/{model['model_id']}/rebalance"
    with book.fail(_summary(ids[-1]), status=502):
        answer = await http.post(rebalance)
    assert answer.status_code == 503
    assert answer.json()["upstream"] == "accounting"
    newest = await http.get("/api/v1/rebalances", params={"limit": 1})
    (stopped,) = parse_exact_json(newest)
    assert (stopped["model_id"], stopped["status"]) == (model["model_id"], "STOPPED")
    assert 0 < sum(stopped["counts"].values()) < len(ids)
    whole = parse_exact_json(await http.get(f"/api/v1/rebalance/{stopped['rebalance_id']}"))
    assert Counter(outcome["status"] for outcome in whole["portfolios"]) == stopped["counts"]
    await retry_until_success(http, rebalance)


async def test_python_in_the_cluster_gets_domain_objects_and_the_errors_themselves(
    http: httpx.AsyncClient, book: Book
) -> None:
    funded_id, unmodelled = fund_portfolio(book), make_portfolio_id()
    model = await add_model(http, make_model(book, [funded_id]))
    nightly = Nightly.remote()
    answer, error = await nightly.rebalance.remote((funded_id, unmodelled))
    assert type(error) is NotFoundError
    run, rebalance = answer
    assert (run.model_id, rebalance.portfolio_id) == (model["model_id"], funded_id)
    stored = await _stored_run(http, [{"rebalance_id": run.rebalance_id}])
    assert stored["portfolios"][0]["cash_after_rebalance"] == rebalance.cash_after
    with book.fail("/api/v1/prices"):
        (error,) = await nightly.rebalance.remote((funded_id,))
    assert isinstance(error, UpstreamUnavailableError)
    assert error.upstream == "pricing"


def _summary(portfolio_id: str) -> str:
    return f"/api/v1/portfolios/{portfolio_id}/summary"


async def _stored_run(http: httpx.AsyncClient, outcomes: list[Json]) -> Json:
    (rebalance_id,) = {outcome["rebalance_id"] for outcome in outcomes}
    return parse_exact_json(await http.get(f"/api/v1/rebalance/{rebalance_id}"))


async def _worker_of(task: str) -> int:
    """Find the process that runs such a task; the cluster knows it after a second or so.

    A task that has just ended is still listed, and its worker may be gone.
    """
    running = [("name", "=", task), ("state", "=", "RUNNING")]
    here = ray.get_runtime_context().gcs_address  # the machine may run other clusters
    look = partial(list_tasks, here, filters=running, detail=True)
    async with asyncio.timeout(30):
        while True:
            tasks: list[Any] = await asyncio.to_thread(look)
            if alive := [task for task in tasks if _is_alive(task.worker_pid)]:
                return max(alive, key=attrgetter("start_time_ms")).worker_pid
            await asyncio.sleep(0.2)


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
