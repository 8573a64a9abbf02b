"""The documented lines that read results, run as they stand against a service."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.client import AsyncClient, Position
from serve_app.settings import Settings, read_settings
from tests.support.command_server import connect_ordergen, serve
from tests.support.fakes import PRICE, A, B, Stored, make_position, render_no_metrics
from tests.support.in_process import Upstreams, build_optimizer

PAGE = Path(__file__).parents[2] / "docs/how-to/read-results.md"
IDS = [f"{number:024}" for number in range(40)]


@pytest.fixture
def settings() -> Settings:
    return read_settings({"run_chunk_size": 15})


@pytest.fixture
async def url(settings: Settings, stored: Stored, database: Any) -> AsyncIterator[str]:
    world = Upstreams({A: PRICE, B: PRICE})
    for number, portfolio_id in enumerate(IDS[:-1]):  # the last is refused, beside the columns
        holdings = {B: "2.5"} if number % 10 == 0 else {}
        world.set_balance(portfolio_id, 1000, **{A: 2}, **holdings)
    optimizer = build_optimizer(settings, database, world)
    async with serve(
        api_app(settings, Ports(stored.port, optimizer, {}, render_no_metrics))
    ) as url:
        yield url


@pytest.fixture
async def run_id(url: str) -> str:
    async with AsyncClient(url) as client:
        line = Position(**make_position())  # pyright: ignore[reportArgumentType]
        model = await client.add_model("Growth", [line], IDS)
        run = await client.begin_run(models=[model.model_id])
        async with asyncio.timeout(60):
            assert [event async for event in client.follow_run(run.run_id)]
        return run.run_id


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def read_as_documented(url: str, run_id: str) -> dict[str, Any]:
    scope: dict[str, Any] = {"url": url, "run_id": run_id}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(code, scope)
    return scope


async def test_the_documented_lines_read_every_outcome(url: str, run_id: str) -> None:
    async with AsyncClient(url) as client:
        expected = [outcome async for outcome in client.stream_outcomes(run_id)]

    read = await asyncio.to_thread(read_as_documented, url, run_id)

    statuses = [(outcome.portfolio_id, outcome.status) for outcome in expected]
    assert [portfolio_id for portfolio_id, _ in statuses] == IDS
    pandas, polars = read["in_pandas"], read["in_polars"]
    assert [*zip(pandas["portfolio_id"], pandas["status"], strict=True)] == statuses
    assert polars.select("portfolio_id", "status").rows() == statuses
    cash = [outcome.cash_after_rebalance for outcome in expected]
    assert polars["cash_after_rebalance"].to_list() == cash
    assert pandas["cash_after_rebalance"].array.__arrow_array__().to_pylist() == cash
    assert read["refused"] == sum(outcome.error is not None for outcome in expected) == 1
    positions = [
        (outcome.portfolio_id, position) for outcome in expected for position in outcome.positions
    ]
    assert read["positions"].select("portfolio_id", "security_id", "adjusted_quantity").rows() == [
        (owner, position.security_id, position.adjusted_quantity) for owner, position in positions
    ]


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("outcomes.parquet", b"PAR1"),
        ("outcomes.arrows", b"\xff\xff\xff\xff"),
        ("outcomes.jsonl", b'{"rebalance_id":'),
        ("outcomes", b'{"rebalance_id":'),
    ],
)
async def test_the_command_writes_the_outcomes_in_the_form_that_the_name_of_the_file_says(
    url: str, run_id: str, tmp_path: Path, name: str, begins: bytes
) -> None:
    result = await connect_ordergen(url)("runs", "export", run_id, "-o", str(tmp_path / name))

    assert result.exit_code == 0, result.output
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert names_in(tmp_path) == [name]


async def test_the_command_writes_outcomes_to_stdout_in_the_form_it_is_told(
    url: str, run_id: str
) -> None:
    lines = await connect_ordergen(url)("runs", "export", run_id)
    table = await connect_ordergen(url)("runs", "export", run_id, "--format", "parquet")

    assert lines.stdout_bytes.count(b"\n") == len(IDS)
    assert table.stdout_bytes.startswith(b"PAR1")
    assert table.stdout_bytes.endswith(b"PAR1")
