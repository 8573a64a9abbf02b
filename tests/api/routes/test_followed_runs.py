"""Runs in progress: events, outcomes, cancellation, and requests refused meanwhile."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.event_stream import Streams
from serve_app.settings import Settings, read_settings
from storage.errors import StorageUnavailableError
from tests.support.fakes import PRICE, A, Stored, make_model_body, render_no_metrics
from tests.support.in_process import Gate, build_optimizer
from tests.support.run_streams import parse_events, wait_until_over
from tests.support.runs import make_portfolio_ids

Json = dict[str, Any]
IDS = make_portfolio_ids(5)


@pytest.fixture
def settings() -> Settings:
    return read_settings(
        {"run_chunk_size": 2, "run_window": 1, "run_lease_s": 1, "run_fan_out_above": 3}
    )


@pytest.fixture
def gate() -> Gate:
    gate = Gate({A: PRICE})
    for each in IDS:
        gate.set_balance(each, 1000)
    return gate


@pytest.fixture
def upstreams(gate: Gate) -> Gate:
    return gate


@pytest.fixture
async def run_id(client: httpx.AsyncClient) -> str:
    added = await client.post("/api/v1/models", json=make_model_body(portfolios=list(IDS)))
    assert added.status_code == 201, added.text
    answer = await client.post("/api/v1/runs", json={"whole_book": True})
    return answer.json()["run_id"]


@pytest.fixture
async def rebalance_id(client: httpx.AsyncClient, run_id: str, gate: Gate) -> str:
    """Id of the rebalance of the run, while a chunk is in progress."""
    await gate.reached.wait()
    while True:
        run = (await client.get(f"/api/v1/runs/{run_id}")).json()
        if run["status"] == "RUNNING":
            return run["rebalances"][0]
        await asyncio.sleep(0.02)


async def newest_running(client: httpx.AsyncClient) -> str:
    while True:
        run = (await client.get("/api/v1/runs")).json()[0]
        if run["status"] == "RUNNING":
            return run["run_id"]
        await asyncio.sleep(0.02)


async def follow_events(client: httpx.AsyncClient, run_id: str, **headers: str) -> list[Any]:
    answer = await client.get(f"/api/v1/runs/{run_id}/events", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return parse_events(answer.text)


async def test_events_tell_of_every_chunk_once_and_of_the_end(
    client: httpx.AsyncClient, run_id: str, gate: Gate
) -> None:
    following = asyncio.create_task(follow_events(client, run_id))
    await asyncio.sleep(0.1)
    gate.open.set()

    events = await following

    chunks = [
        (number, data["first"], data["portfolios"])
        for kind, number, data in events
        if kind == "chunk"
    ]
    assert [number for number, _, _ in chunks] == ["1", "2", "3"]
    assert sorted((first, count) for _, first, count in chunks) == [(0, 2), (2, 2), (4, 1)]
    assert next(kind for kind, _, _ in events if kind != "chunk") == "progress"
    assert events[-1][:2] == ("end", None)
    assert events[-1][2] == (await client.get(f"/api/v1/runs/{run_id}")).json()


@pytest.mark.parametrize("last", ["0", "1", "2", "3"])
async def test_who_comes_back_misses_nothing_and_hears_nothing_twice(
    client: httpx.AsyncClient, run_id: str, gate: Gate, last: str
) -> None:
    gate.open.set()
    await wait_until_over(client, run_id)
    events = await follow_events(client, run_id, **{"last-event-id": last})
    numbers = [number for kind, number, _ in events if kind == "chunk"]
    assert numbers == ["1", "2", "3"][int(last) :]
    assert events[-1][0] == "end"


async def test_what_is_no_number_of_an_event_is_refused(
    client: httpx.AsyncClient, run_id: str, gate: Gate
) -> None:
    path = f"/api/v1/runs/{run_id}/events"
    answer = await client.get(path, headers={"last-event-id": "latest"})
    assert answer.status_code == 422
    gate.open.set()
    await wait_until_over(client, run_id)


async def test_a_stream_outlives_a_database_that_is_away_for_a_moment(
    client: httpx.AsyncClient, run_id: str, gate: Gate, stored: Stored
) -> None:
    read, failures = stored.port.list_run_events, iter(range(3))

    async def away(*args: Any) -> Any:
        if next(failures, None) is not None:
            raise StorageUnavailableError("the database cannot be reached")
        return await read(*args)

    stored.port.list_run_events = away
    gate.open.set()
    events = await follow_events(client, run_id)
    assert [number for kind, number, _ in events if kind == "chunk"] == ["1", "2", "3"]
    assert events[-1][0] == "end"


async def test_one_stream_too_many_is_refused_for_now(
    settings: Settings,
    stored: Stored,
    client: httpx.AsyncClient,
    run_id: str,
    gate: Gate,
    database: Any,
) -> None:
    gate.open.set()
    await wait_until_over(client, run_id)
    app = api_app(
        settings,
        Ports(stored.port, build_optimizer(settings, database, gate), {}, render_no_metrics),
    )
    app.state.streams = Streams(1)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost"
    ) as one:
        with app.state.streams.one_more():
            refused = await one.get(f"/api/v1/runs/{run_id}/events")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/overloaded")
        assert int(refused.headers["retry-after"]) > 0
        for _ in range(2):
            assert (await follow_events(one, run_id))[-1][0] == "end"


async def test_outcomes_are_json_lines_in_the_order_of_the_portfolios(
    client: httpx.AsyncClient, run_id: str, gate: Gate
) -> None:
    gate.open.set()
    ended = await wait_until_over(client, run_id)
    answer = await client.get(f"/api/v1/runs/{run_id}/outcomes")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [line["portfolio_id"] for line in lines] == list(IDS)
    assert {line["rebalance_id"] for line in lines} == set(ended["rebalances"])
    assert {line["status"] for line in lines} == {"REBALANCED"}


async def test_before_anything_is_done_there_are_no_outcomes(
    client: httpx.AsyncClient, run_id: str, rebalance_id: str, gate: Gate
) -> None:
    answer = await client.get(f"/api/v1/runs/{run_id}/outcomes")
    assert (answer.status_code, answer.text) == (200, "")
    gate.open.set()
    await wait_until_over(client, run_id)


async def test_a_run_is_cancelled_and_says_so_until_what_is_under_way_has_ended(
    client: httpx.AsyncClient, run_id: str, rebalance_id: str, gate: Gate
) -> None:
    answer = await client.delete(f"/api/v1/runs/{run_id}")
    assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLING")
    gate.open.set()
    ended = await wait_until_over(client, run_id)
    assert (ended["status"], ended["counts"]) == ("CANCELLED", {"REBALANCED": 2})
    again = await client.delete(f"/api/v1/runs/{run_id}")
    assert (again.status_code, again.json()) == (202, ended)


async def test_a_rebalance_of_a_run_that_goes_on_cannot_be_deleted(
    client: httpx.AsyncClient, run_id: str, rebalance_id: str, gate: Gate
) -> None:
    path = f"/api/v1/rebalance/{rebalance_id}?version=1"
    refused = await client.delete(path)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/run-goes-on")
    assert refused.json()["run_id"] == run_id
    gate.open.set()
    await wait_until_over(client, run_id)
    assert (await client.delete(path)).status_code == 200


async def test_a_caller_whose_run_another_cancels_is_told_so_and_not_given_a_part(
    client: httpx.AsyncClient, run_id: str, gate: Gate
) -> None:
    gate.open.set()
    await wait_until_over(client, run_id)
    gate.open.clear()
    gate.reached.clear()
    model_id = (await client.get("/api/v1/models")).json()[0]["model_id"]
    asked = asyncio.create_task(client.post(f"/api/v1/model/{model_id}/rebalance"))
    own = await newest_running(client)
    await gate.reached.wait()

    await client.delete(f"/api/v1/runs/{own}")

    gate.open.set()
    answer, ended = await asked, await wait_until_over(client, own)
    assert (ended["status"], ended["portfolios"]["done"]) == ("CANCELLED", 2)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/run-cancelled")
    assert answer.json()["run_id"] == own
