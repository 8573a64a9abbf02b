"""Python client and `ordergen` on the running service: runs, replays, examples."""

import asyncio
import json
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from serve_app.cli import cli
from serve_app.client import AsyncClient, ChunkDone, Client, Run
from serve_app.launch.launcher import format_url
from serve_app.settings import Settings
from tests.end_to_end.book import Book
from tests.end_to_end.calls import add_model, make_model

pytestmark = pytest.mark.cluster

EXAMPLES = Path(__file__).parents[2] / "examples"
PORTFOLIOS = 150
WITHIN_S = 120


async def ordergen(service: Settings, *arguments: str) -> Result:
    assert service.mongodb_uri is not None
    environment = {
        "ORDERGEN_URL": format_url(service),
        "MONGODB_URI": service.mongodb_uri.get_secret_value(),
        "DATABASE_NAME": service.database_name,
        "COLUMNS": "120",
    }
    runner = CliRunner(env=environment)
    return await asyncio.to_thread(runner.invoke, cli, arguments)


@pytest.fixture
async def model_id(http: httpx.AsyncClient, book: Book) -> str:
    """Store a model that portfolios of the market follow."""
    model = await add_model(http, make_model(book, book.market.portfolio_ids(PORTFOLIOS)))
    return model["model_id"]


async def test_a_run_is_begun_followed_to_its_end_and_its_outcomes_are_streamed(
    service: Settings, model_id: str
) -> None:
    def follow() -> tuple[list[ChunkDone | Run], int]:
        with Client(format_url(service)) as client:
            run = client.begin_run(models=[model_id], options={"cash_floor": "1%"})
            events = list(client.follow_run(run.run_id))
            return events, sum(1 for _ in client.stream_outcomes(run.run_id))

    events, outcomes = await asyncio.wait_for(asyncio.to_thread(follow), WITHIN_S)

    chunks = [event for event in events if isinstance(event, ChunkDone)]
    last = events[-1]
    assert isinstance(last, Run)
    assert (last.status, last.portfolios.done) == ("COMPLETED", PORTFOLIOS)
    assert sum(chunk.portfolios for chunk in chunks) == outcomes == PORTFOLIOS
    assert sum(last.counts.values()) == PORTFOLIOS


async def test_a_run_is_followed_from_a_terminal_and_solved_again_to_the_last_digit(
    service: Settings, model_id: str
) -> None:
    result = await ordergen(service, "runs", "begin", "--model", model_id, "--follow", "--json")

    assert result.exit_code == 0, result.output
    run = json.loads(result.stdout)
    assert run["status"] == "COMPLETED"
    (rebalance_id,) = run["rebalances"]
    again = await ordergen(service, "replay", rebalance_id)
    assert again.exit_code == 0, again.output
    failed = run["counts"].get("FAILED", 0)
    assert f"{PORTFOLIOS - failed} agree" in again.stdout
    assert (await ordergen(service, "runs", "follow", run["run_id"])).exit_code == 0
    cancelled = await ordergen(service, "runs", "cancel", run["run_id"], "--json")
    assert json.loads(cancelled.stdout)["status"] == "COMPLETED"
    listing = await ordergen(service, "runs", "list", "--limit", "100")
    assert run["run_id"] in listing.stdout


async def test_the_doctor_finds_the_running_service_well(service: Settings) -> None:
    result = await ordergen(service, "doctor", "--url", format_url(service))

    assert result.exit_code == 0, result.output
    assert "is ready: database healthy, accounting healthy" in result.stdout


@pytest.mark.parametrize(
    ("example", "prints"),
    [("http_client.py", "trades.csv has "), ("http_client_async.py", " to trade in ")],
)
async def test_an_example_runs_against_the_service(
    service: Settings, model_id: str, tmp_path: Path, example: str, prints: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / example,
        format_url(service),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    text, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)

    assert process.returncode == 0, text.decode()
    assert prints in text.decode()


async def test_the_awaited_client_pages_through_drift_and_reads_what_was_stored(
    service: Settings, model_id: str
) -> None:
    async with AsyncClient(format_url(service)) as client:
        lines = [line async for line in client.measure_portfolios(model_id, limit=60)]
        outcomes = await client.rebalance_model(model_id)
        rebalance = await client.read_rebalance(str(outcomes[0].rebalance_id))
        rows = [row async for row in client.list_transactions(rebalance.rebalance_id)]

    assert len(lines) == len(outcomes) == len(rebalance.portfolios) == PORTFOLIOS
    assert len(rows) == sum(len(outcome.transactions) for outcome in outcomes)
    for outcome, portfolio in zip(outcomes, rebalance.portfolios, strict=True):
        assert outcome.market_value == portfolio.market_value
        assert outcome.cash_after_rebalance == portfolio.cash_after_rebalance
