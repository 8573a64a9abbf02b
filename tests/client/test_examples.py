"""The examples of the client, run as a person runs them against the application on a port."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tests.support.command_server import serve
from tests.support.fakes import FakeOptimizer, make_refusal

EXAMPLES = Path(__file__).parents[2] / "examples"
WITHIN_S = 60


@pytest.fixture(autouse=True)
def stored_model(model: dict[str, Any]) -> dict[str, Any]:
    return model


async def run_example(app: FastAPI, example: str, directory: Path) -> tuple[int | None, str]:
    """How an example ends, and what it prints."""
    async with serve(app) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            EXAMPLES / example,
            url,
            cwd=directory,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        text, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    return process.returncode, text.decode()


async def test_the_blocking_client_saves_a_trade_list(app: FastAPI, tmp_path: Path) -> None:
    code, text = await run_example(app, "http_client.py", tmp_path)

    assert code == 0, text
    assert text.count("REBALANCED 1 trades\n") == 2
    assert text.endswith("trades.csv has 2 trades\n")
    assert (tmp_path / "trades.csv").read_text().count("BUY") == 2


async def test_the_blocking_client_tells_why_nothing_was_rebalanced(
    app: FastAPI, optimizer: FakeOptimizer, tmp_path: Path
) -> None:
    optimizer.outcome = lambda portfolio_id, _: make_refusal("infeasible", portfolio_id)

    code, text = await run_example(app, "http_client.py", tmp_path)

    assert (code, text.split(":")[0]) == (1, "Growth")


async def test_the_awaited_client_tries_models_at_the_same_time(
    app: FastAPI, tmp_path: Path
) -> None:
    code, text = await run_example(app, "http_client_async.py", tmp_path)

    assert (code, text) == (0, "Growth: 20.50 to trade in 2 portfolios\n")
