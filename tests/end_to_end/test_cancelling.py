"""Cancelled runs and callers that leave: work ends in every replica, the database stays whole."""

import asyncio
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database

from serve_app.settings import Settings
from tests.end_to_end.book import Book, wait_until_reached
from tests.end_to_end.calls import Json, add_model, count_rebalances, list_replicas, make_model
from tests.support.run_streams import wait_until_over
from tests.support.stored_outcomes import read_rebalance_ids, read_stored_statuses

pytestmark = pytest.mark.cluster
SUMMARIES = "/api/v1/portfolios/"
WITHIN_S = 60.0


@pytest.fixture
def stored(service: Settings) -> Iterator[Database[Json]]:
    assert service.mongodb_uri is not None
    uri = service.mongodb_uri.get_secret_value()
    with MongoClient[Json](uri, tz_aware=True) as client:
        yield client[service.database_name]


async def model_of(http: httpx.AsyncClient, book: Book) -> str:
    """Store a model of twelve chunks, of which three are under way at a time."""
    return (await add_model(http, make_model(book, book.market.portfolio_ids(600))))["model_id"]


async def begin_run(http: httpx.AsyncClient, model_id: str) -> str:
    answer = await http.post("/api/v1/runs", json={"models": [model_id]})
    assert answer.status_code == 202, answer.text
    return answer.json()["run_id"]


async def cancel_run(http: httpx.AsyncClient, run_id: str) -> None:
    answer = await http.delete(f"/api/v1/runs/{run_id}")
    assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLING")


def outcomes_of(stored: Database[Json], rebalance_id: str) -> Counter[str]:
    return Counter(status for _, status in read_stored_statuses(stored, rebalance_id))


def nothing_is_left_over(stored: Database[Json]) -> bool:
    """Return whether every stored outcome belongs to a stored rebalance."""
    rebalances = {str(rebalance["_id"]) for rebalance in stored["rebalances"].find({}, {"_id": 1})}
    return read_rebalance_ids(stored) <= rebalances


async def test_no_chunk_begins_after_the_answer_and_those_under_way_are_kept(
    http: httpx.AsyncClient, book: Book, stored: Database[Json]
) -> None:
    model_id = await model_of(http, book)
    for _ in range(3):
        with book.hold(SUMMARIES) as trouble:
            run_id = await begin_run(http, model_id)
            await wait_until_reached(trouble)
            await cancel_run(http, run_id)
            document = stored["runs"].find_one({"_id": ObjectId(run_id)})
        run = await wait_until_over(http, run_id)

        after = stored["runs"].find_one({"_id": ObjectId(run_id)})
        assert document is not None
        assert after is not None
        assert after["chunk_begun_at"] == document["chunk_begun_at"] <= after["cancelled_at"]
        assert run["status"] == "CANCELLED"
        assert 0 < run["portfolios"]["done"] < 600
        assert run["portfolios"]["done"] % 50 == 0
        assert run["counts"] == outcomes_of(stored, run_id)
        rebalance = stored["rebalances"].find_one({"_id": ObjectId(run_id)})
        assert rebalance is not None
        assert (rebalance["status"], rebalance["counts"]) == ("STOPPED", run["counts"])


async def test_a_run_whose_replica_died_is_cancelled_by_another(
    http: httpx.AsyncClient, book: Book, stored: Database[Json]
) -> None:
    model_id = await model_of(http, book)
    with book.hold(SUMMARIES) as trouble:
        run_id = await begin_run(http, model_id)
        await wait_until_reached(trouble)
        for replica in await list_replicas("Optimizer"):
            os.kill(replica, signal.SIGKILL)
        await cancel_run(http, run_id)
        document = stored["runs"].find_one({"_id": ObjectId(run_id)})
    run = await wait_until_over(http, run_id)

    after = stored["runs"].find_one({"_id": ObjectId(run_id)})
    assert document is not None
    assert after is not None
    assert after["chunk_begun_at"] == document["chunk_begun_at"] <= after["cancelled_at"]
    assert (run["status"], run["counts"]) == ("CANCELLED", outcomes_of(stored, run_id))


async def test_nothing_stays_of_a_large_rebalance_that_ran_out_of_time_and_its_key_makes_one(
    http: httpx.AsyncClient, book: Book, stored: Database[Json]
) -> None:
    path = f"/api/v1/model/{await model_of(http, book)}/rebalance"
    before = await count_rebalances(http)
    key = {"Idempotency-Key": "out-of-time"}
    with book.delay(SUMMARIES, 0.5):
        answer = await http.post(path, headers={**key, "X-Request-Timeout": "2"})
        assert (answer.status_code, answer.json()["type"]) == (504, "/problems/deadline-exceeded")
    again = await _repeat(http, path, key)
    assert again.status_code == 200, again.text
    assert "Idempotent-Replayed" not in again.headers
    replayed = await http.post(path, headers=key)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert replayed.json() == again.json()
    assert await count_rebalances(http) == before + 1
    assert nothing_is_left_over(stored)


async def test_nothing_stays_of_a_large_rebalance_whose_caller_hung_up(
    http: httpx.AsyncClient, book: Book, stored: Database[Json]
) -> None:
    path = f"/api/v1/model/{await model_of(http, book)}/rebalance"
    before = await count_rebalances(http)
    with book.hold(SUMMARIES) as trouble:
        request = asyncio.create_task(http.post(path))
        await wait_until_reached(trouble)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        # Held requests are interrupted, because otherwise the run would wait for their answers.
        newest = (await http.get("/api/v1/runs", params={"limit": 1})).json()[0]
        run = await wait_until_over(http, newest["run_id"])
    assert (run["status"], run["counts"], run["rebalances"]) == ("CANCELLED", {}, [])
    assert await count_rebalances(http) == before
    assert nothing_is_left_over(stored)


@pytest.mark.parametrize("as_files", [False, True], ids=["JSON", "files"])
async def test_the_best_plan_so_far_is_the_answer_within_the_deadline(
    http: httpx.AsyncClient, as_files: bool
) -> None:
    body = endless(1)
    payload: Json = form_of(body) if as_files else {"json": body}
    # Files are read by a worker, and the test before leaves all workers starting anew.
    within_s = "15" if as_files else "6"
    answer = await http.post("/api/v1/optimize", **payload, headers={"X-Request-Timeout": within_s})
    assert answer.status_code == 200, answer.text
    (outcome,) = answer.json()
    assert outcome["status"] == "REBALANCED"
    assert outcome["proof"] == "FEASIBLE_TIME_LIMIT"
    assert float(outcome["lower_bound"]) < float(outcome["objective"])


async def test_a_solver_that_nobody_waits_for_makes_room_for_others(
    http: httpx.AsyncClient,
) -> None:
    async def hang_up(number: int) -> None:
        request = asyncio.create_task(http.post("/api/v1/optimize", json=endless(number)))
        await asyncio.sleep(1)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)

    # More requests than replicas, each with half a minute of work for its solver.
    await asyncio.gather(*(hang_up(number) for number in range(6)))
    answer = await http.post(
        "/api/v1/optimize", json=endless(1, hard=False), headers={"X-Request-Timeout": "15"}
    )
    assert answer.status_code == 200, answer.text


async def _repeat(http: httpx.AsyncClient, path: str, key: dict[str, str]) -> httpx.Response:
    """Repeat a request under its key until the first attempt has ended."""
    async with asyncio.timeout(WITHIN_S):
        while (answer := await http.post(path, headers=key)).status_code == 409:
            assert answer.json()["type"] == "/problems/request-in-progress"
            assert int(answer.headers["retry-after"]) > 0
            await asyncio.sleep(0.1)
    return answer


def endless(seed: int, *, hard: bool = True) -> Json:
    """Make a portfolio and options that keep the solver busy longer than any caller waits."""
    draw = random.Random(seed)
    ids = [f"S{number:023}" for number in range(95)]
    band = {"target": "0.01", "low_drift": "0.002", "high_drift": "0.002"}
    options: Json = {
        "cost_per_trade": "1",
        "costs_in_objective": True,
        "maximum_trades": 40,
        "turnover_cap": "30%",
        "cash_ceiling": "5%",
        "soft_band_price": "3",
        "minimum_value": "50",
    }
    holdings: dict[str, Any] = {security_id: draw.randrange(100) for security_id in ids}
    return {
        "model": {"positions": [{"security_id": security_id, **band} for security_id in ids]},
        "prices": {security_id: f"{draw.uniform(20, 400):.6f}" for security_id in ids},
        "portfolios": [{"portfolio_id": "P" * 24, "cash": "3000", "holdings": holdings}],
        **({"options": options} if hard else {"options": {"soft_band_price": "3"}}),
    }


def form_of(body: Json) -> Json:
    """Make the form with the same model, prices and portfolio as tables."""
    (portfolio,) = body["portfolios"]
    owner = portfolio["portfolio_id"]
    holdings = [(owner, *holding) for holding in portfolio["holdings"].items()]
    tables: dict[str, list[tuple[Any, ...]]] = {
        "holdings": [("portfolio", "security", "quantity"), *holdings, (owner, "CASH", "3000")],
        "prices": [("security", "price"), *body["prices"].items()],
        "model": [
            ("security", "target", "low", "high"),
            *(tuple(position.values()) for position in body["model"]["positions"]),
        ],
    }
    lines = {name: [",".join(map(str, row)) for row in rows] for name, rows in tables.items()}
    files = {name: (f"{name}.csv", "\n".join(rows).encode()) for name, rows in lines.items()}
    return {"files": files, "data": {"options": json.dumps(body["options"])}}
