"""Runs through the Python client and `ordergen`, on the real coordinator in this process."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.cli import cli
from serve_app.client import AsyncClient, ChunkDone, Client, Model, Position, ProblemError, Run
from serve_app.client.endpoints import MEDIA_TYPES
from serve_app.settings import Settings, read_settings
from tests.support.arrow import read_table
from tests.support.command_server import serve
from tests.support.fakes import PRICE, A, Stored, make_position, render_no_metrics
from tests.support.in_process import Upstreams, build_optimizer

IDS = [f"{number:024}" for number in range(25)]
WITHIN_S = 60


@pytest.fixture
def settings() -> Settings:
    return read_settings({"run_chunk_size": 10})


@pytest.fixture
async def url(settings: Settings, stored: Stored, database: Any) -> AsyncIterator[str]:
    world = Upstreams({A: PRICE})
    for portfolio_id in IDS:
        world.set_balance(portfolio_id, 1000, **{A: 2})
    optimizer = build_optimizer(settings, database, world)
    async with serve(
        api_app(settings, Ports(stored.port, optimizer, {}, render_no_metrics))
    ) as url:
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(url) as client:
        yield client


@pytest.fixture
async def growth(client: AsyncClient) -> Model:
    line = Position(**make_position())  # pyright: ignore[reportArgumentType]
    return await client.add_model("Growth", [line], IDS)


async def ordergen(url: str, *arguments: str) -> Result:
    runner = CliRunner(env={"ORDERGEN_URL": url, "COLUMNS": "160"})
    return await asyncio.to_thread(runner.invoke, cli, arguments)


async def test_a_run_is_begun_followed_to_its_end_and_its_outcomes_are_streamed(
    client: AsyncClient, growth: Model
) -> None:
    run = await client.begin_run(models=[growth.model_id], options={"cash_floor": "1%"})
    async with asyncio.timeout(WITHIN_S):
        events = [event async for event in client.follow_run(run.run_id)]
    outcomes = [outcome async for outcome in client.stream_outcomes(run.run_id)]

    last = events[-1]
    assert isinstance(last, Run)
    assert (last.status, last.portfolios.done, last.portfolios.total) == ("COMPLETED", 25, 25)
    chunks = [event for event in events if isinstance(event, ChunkDone)]
    assert [chunk.number for chunk in chunks] == [1, 2, 3]
    assert sum(chunk.portfolios for chunk in chunks) == 25
    assert [outcome.portfolio_id for outcome in outcomes] == IDS
    assert {outcome.rebalance_id for outcome in outcomes} == {*last.rebalances}
    assert await client.read_run(run.run_id) == last
    assert [each async for each in client.list_runs(limit=1)] == [last]


@pytest.mark.parametrize("kind", ["parquet", "arrows"])
async def test_the_outcomes_of_a_run_are_a_table_of_what_the_lines_say(
    client: AsyncClient, growth: Model, kind: Literal["parquet", "arrows"]
) -> None:
    run = await client.begin_run(models=[growth.model_id])
    async with asyncio.timeout(WITHIN_S):
        assert [event async for event in client.follow_run(run.run_id)]
    lines = [outcome async for outcome in client.stream_outcomes(run.run_id)]

    text = b"".join([piece async for piece in client.export_outcomes(run.run_id, kind)])

    rows = read_table(MEDIA_TYPES[kind], text).to_pylist()
    same = ("rebalance_id", "portfolio_id", "status", "base", "cash_after_rebalance")
    assert len(rows) == 25
    for row, line in zip(rows, lines, strict=True):
        assert [row[name] for name in same] == [getattr(line, name) for name in same]
        assert (row["error_code"], row["outside_band"]) == (None, [])
        held = ("security_id", "price", "original_quantity", "adjusted_quantity")
        assert row["positions"] == [
            {name: getattr(each, name) for name in held} for each in line.positions
        ]


async def test_lines_are_the_outcomes_for_any_other_accept(url: str, growth: Model) -> None:
    assert growth.model_id is not None
    async with AsyncClient(url) as client, httpx.AsyncClient(base_url=url) as http:
        run = await client.begin_run(models=[growth.model_id])
        async with asyncio.timeout(WITHIN_S):
            assert [event async for event in client.follow_run(run.run_id)]
        path = f"/api/v1/runs/{run.run_id}/outcomes"
        plain = await http.get(path)
        other = await http.get(path, headers={"accept": "application/json"})
        parquet = await http.get(path, headers={"accept": MEDIA_TYPES["parquet"]})

    assert plain.headers["content-type"] == other.headers["content-type"] == "application/x-ndjson"
    assert plain.content == other.content
    name = f"outcomes-{run.run_id}.parquet"
    assert parquet.headers["content-disposition"] == f'attachment; filename="{name}"'


async def test_a_blocking_client_follows_from_behind_a_chunk(
    url: str, client: AsyncClient, growth: Model
) -> None:
    run = await client.begin_run(whole_book=True)

    def follow(after: int) -> list[ChunkDone | Run]:
        with Client(url) as blocking:
            return list(blocking.follow_run(run.run_id, after=after))

    await asyncio.wait_for(asyncio.to_thread(follow, 0), WITHIN_S)
    rest = await asyncio.to_thread(follow, 2)

    assert [event.number for event in rest if isinstance(event, ChunkDone)] == [3]


async def test_a_run_that_is_over_stays_as_it_is_when_it_is_cancelled(
    client: AsyncClient, growth: Model
) -> None:
    run = await client.begin_run(portfolios=IDS[:3], idempotency_key="once")
    again = await client.begin_run(portfolios=IDS[:3], idempotency_key="once")
    async for _ in client.follow_run(run.run_id):
        pass

    assert again.run_id == run.run_id
    assert (await client.cancel_run(run.run_id)).status == "COMPLETED"
    with pytest.raises(ProblemError, match="not-found"):
        await client.cancel_run("0" * 24)


async def test_a_run_is_begun_and_followed_from_a_terminal(url: str, growth: Model) -> None:
    begun = await ordergen(url, "runs", "begin", "--model", growth.model_id, "--follow", "--json")

    assert begun.exit_code == 0, begun.output
    run = json.loads(begun.stdout)
    assert (run["status"], run["counts"]) == ("COMPLETED", {"REBALANCED": 25})
    assert f"run {run['run_id']}" in begun.stderr
    followed = await ordergen(url, "runs", "follow", run["run_id"])
    listed = await ordergen(url, "runs", "list")
    cancelled = await ordergen(url, "runs", "cancel", run["run_id"])
    for shown in (followed, listed, cancelled):
        assert shown.exit_code == 0, shown.output
        assert "25 REBALANCED" in shown.stdout


async def test_no_runs_are_an_empty_list(url: str) -> None:
    listed = await ordergen(url, "runs", "list", "--json")

    assert json.loads(listed.stdout) == []
