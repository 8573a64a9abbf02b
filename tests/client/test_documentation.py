"""The blocks of Python in docs/reference/python.md, run against the application on a port."""

import asyncio
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from serve_app.client import Client
from tests.support.command_server import serve
from tests.support.in_process import Upstreams

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python.md"
ADDRESS = "http://127.0.0.1:8088"
SECURITY, PORTFOLIO = "3ef72f691c5758e59e004b2a", "683b6d889fa492fde114a4e3"


@pytest.fixture
def upstreams() -> Upstreams:
    world = Upstreams({SECURITY: Decimal("31.50")})
    world.set_balance(PORTFOLIO, 10_000)
    return world


def run(blocks: list[str], url: str) -> dict[str, Any]:
    """The names that the blocks leave behind."""
    names: dict[str, Any] = {}
    first, *others = blocks
    exec(first, names)
    with Client(url) as names["client"]:
        for block in others:
            exec(block, names)
        names["ended"] = list(names["client"].follow_run(names["run"].run_id))[-1]
    return names


async def test_the_examples_of_the_page_run(
    app: FastAPI, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

    async with serve(app) as url:
        names = await asyncio.to_thread(run, [each.replace(ADDRESS, url) for each in blocks], url)

    assert len(blocks) == 3
    assert f"BUY 79 {SECURITY} 31.50" in capsys.readouterr().out
    assert names["ended"].status == "COMPLETED"
    assert names["ended"].counts == {"REBALANCED": 1}
