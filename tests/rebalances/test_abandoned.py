"""Rebalances whose callers stop waiting: their end, stored outcomes and idempotency keys."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from serve_app.settings import Settings, read_settings
from serve_app.upstream.errors import UpstreamUnavailableError
from storage.idempotency_store import IdempotencyStore
from tests.support.fakes import PRICE, A, Stored, make_model_body
from tests.support.in_process import Gate
from tests.support.run_streams import wait_until_over
from tests.support.runs import make_portfolio_ids

Json = dict[str, Any]
FEW, MANY = make_portfolio_ids(2), make_portfolio_ids(6)
KEY = {"Idempotency-Key": "monday"}
WITHIN_S = 30.0
# Long enough that a busy machine begins the work before its caller leaves.
PATIENCE_S = "4"


@pytest.fixture
def settings() -> Settings:
    # A long lease, because otherwise its renewal could reveal the cancellation in time.
    return read_settings(
        {"run_chunk_size": 2, "run_window": 1, "run_lease_s": 600, "run_fan_out_above": 3}
    )


@pytest.fixture
def gate() -> Gate:
    gate = Gate({A: PRICE})
    for portfolio_id in MANY:
        gate.set_balance(portfolio_id, 1000)
    return gate


@pytest.fixture
def upstreams(gate: Gate) -> Gate:
    return gate


@pytest.fixture(params=[FEW, MANY], ids=["few", "many"])
async def path(client: httpx.AsyncClient, request: pytest.FixtureRequest) -> str:
    """Return the path that rebalances few portfolios in the request, or many in a run."""
    return await path_of(client, request.param)


@pytest.fixture
async def large(client: httpx.AsyncClient) -> str:
    return await path_of(client, MANY)


async def path_of(client: httpx.AsyncClient, portfolio_ids: tuple[str, ...]) -> str:
    added = await client.post(
        "/api/v1/models", json=make_model_body(portfolios=list(portfolio_ids))
    )
    assert added.status_code == 201, added.text
    return f"/api/v1/model/{added.json()['model_id']}/rebalance"


Leaves = Callable[[httpx.AsyncClient, str, Gate], Awaitable[None]]


async def ran_out_of_patience(client: httpx.AsyncClient, path: str, gate: Gate) -> None:
    answer = await client.post(path, headers={**KEY, "X-Request-Timeout": PATIENCE_S})
    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/deadline-exceeded")
    assert gate.reached.is_set()


async def hung_up(client: httpx.AsyncClient, path: str, gate: Gate) -> None:
    asked = asyncio.create_task(client.post(path, headers=KEY))
    await gate.reached.wait()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


leaving = pytest.mark.parametrize("left", [ran_out_of_patience, hung_up])


async def is_over(client: httpx.AsyncClient) -> Json | None:
    """Wait for the end of the rebalance's run; a small rebalance has none."""
    runs = (await client.get("/api/v1/runs")).json()
    return await wait_until_over(client, runs[0]["run_id"]) if runs else None


async def nothing_is_stored(client: httpx.AsyncClient, database: Any) -> bool:
    answer = await client.get("/api/v1/rebalances")
    models = (await client.get("/api/v1/models")).json()
    names = ("outcomes", "outcome_chunks", "chunks")
    empty = [await database[name].count_documents({}) for name in names]
    dates = [model["last_rebalance_date"] for model in models]
    return (answer.json(), empty, dates) == ([], [0, 0, 0], [None])


async def repeat(client: httpx.AsyncClient, path: str) -> httpx.Response:
    """Repeat the request with the same key until its first attempt has ended."""
    async with asyncio.timeout(WITHIN_S):
        while (answer := await client.post(path, headers=KEY)).status_code == 409:
            assert answer.json()["type"] == "/problems/request-in-progress"
            assert int(answer.headers["retry-after"]) > 0
            await asyncio.sleep(0.05)
    return answer


@leaving
async def test_nothing_stays_of_a_rebalance_that_nobody_waits_for(
    client: httpx.AsyncClient, path: str, gate: Gate, left: Leaves, database: Any
) -> None:
    await left(client, path, gate)
    run = await is_over(client)
    gate.open.set()

    if run is not None:
        assert (run["status"], run["counts"]) == ("CANCELLED", {})
    assert await nothing_is_stored(client, database)


@leaving
async def test_the_key_of_an_attempt_that_ended_without_an_answer_starts_a_new_one(
    client: httpx.AsyncClient, path: str, gate: Gate, left: Leaves
) -> None:
    await left(client, path, gate)
    gate.open.set()

    again = await repeat(client, path)

    assert again.status_code == 200, again.text
    assert "Idempotent-Replayed" not in again.headers
    replayed = await client.post(path, headers=KEY)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert replayed.json() == again.json()
    (rebalance,) = (await client.get("/api/v1/rebalances")).json()
    assert rebalance["rebalance_id"] == again.json()[0]["rebalance_id"]


async def test_a_run_that_nobody_waits_for_is_cancelled_whatever_fails_meanwhile(
    client: httpx.AsyncClient, large: str, gate: Gate, database: Any
) -> None:
    gate.trouble = UpstreamUnavailableError("accounting", "no answer", 1.0)
    await hung_up(client, large, gate)

    run = await is_over(client)

    assert run is not None
    assert (run["status"], run["counts"], run["error"]) == ("CANCELLED", {}, None)
    assert await nothing_is_stored(client, database)


async def test_while_an_attempt_is_ending_its_key_is_taken(
    client: httpx.AsyncClient, large: str, gate: Gate
) -> None:
    gate.ends.clear()
    await ran_out_of_patience(client, large, gate)

    refused = [await client.post(large, headers=KEY) for _ in range(2)]

    assert {answer.status_code for answer in refused} == {409}
    assert {answer.json()["type"] for answer in refused} == {"/problems/request-in-progress"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    gate.ends.set()
    gate.open.set()
    assert (await repeat(client, large)).status_code == 200
    assert len((await client.get("/api/v1/rebalances")).json()) == 1


@leaving
async def test_no_chunk_begins_once_the_caller_has_gone(
    client: httpx.AsyncClient, large: str, gate: Gate, left: Leaves, database: Any
) -> None:
    await left(client, large, gate)
    gate.open.set()
    await is_over(client)

    (run,) = await database["runs"].find().to_list()
    assert run["chunk_begun_at"] <= run["cancelled_at"]


async def test_a_rebalance_that_was_stored_while_its_caller_left_is_what_the_key_answers(
    client: httpx.AsyncClient, path: str, gate: Gate, stored: Stored
) -> None:
    lost = Lost(stored)
    gate.open.set()
    answer = await client.post(path, headers={**KEY, "X-Request-Timeout": PATIENCE_S})
    assert (answer.status_code, lost.completed) == (504, 1)
    lost.found()

    again = await client.post(path, headers=KEY)

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    (rebalance,) = (await client.get("/api/v1/rebalances")).json()
    assert rebalance["rebalance_id"] == again.json()[0]["rebalance_id"]


class Lost:
    """Store whose answer to the completion of a key is lost."""

    def __init__(self, stored: Stored) -> None:
        self._port, self.completed = stored.port, 0
        self._over = asyncio.Event()
        self._port.complete_key = self._complete

    async def _complete(self, *_: str) -> None:
        self.completed += 1
        await self._over.wait()

    def found(self) -> None:
        self._over.set()
        del self._port.complete_key


async def test_a_claim_that_was_lost_meanwhile_is_not_answered_by_a_second_rebalance(
    client: httpx.AsyncClient, path: str, gate: Gate, database: Any
) -> None:
    asked = asyncio.create_task(client.post(path, headers=KEY))
    await gate.reached.wait()
    keys = IdempotencyStore(database)
    claimed = await database["idempotency"].find_one({})
    await keys.release("monday", claimed["lease"]["token"])
    gate.open.set()

    answer = await asked

    if "run_id" in claimed:  # because a run keeps its key until it ends
        assert answer.status_code == 200
    else:
        assert answer.json()["type"] == "/problems/request-in-progress"
        assert await nothing_is_stored(client, database)


async def test_a_run_that_is_begun_and_not_waited_for_outlives_the_deadline_of_its_request(
    client: httpx.AsyncClient, large: str, gate: Gate
) -> None:
    headers = {**KEY, "X-Request-Timeout": "20", "Prefer": "respond-async"}
    begun = await client.post(large, headers=headers)
    gate.open.set()
    run = await wait_until_over(client, begun.json()["run_id"])
    assert (run["status"], run["counts"]) == ("COMPLETED", {"REBALANCED": len(MANY)})
    again = await client.post(large, headers=headers)
    assert again.json()["run_id"] == run["run_id"]
