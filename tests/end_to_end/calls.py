"""Calls that the tests of the service share."""

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import ray
from ray.util.state import list_actors

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.portfolio import Portfolio
from tests.end_to_end.acceptance import make_model_body, parse_exact_json
from tests.end_to_end.book import Book

Json = dict[str, Any]
CONFIG = Path(__file__).parents[2] / "serve_config.yaml"
WITHIN_S = 60.0
_numbers = count(1)


def make_portfolio_id() -> str:
    """Make the id of a new portfolio."""
    return f"Portfolio{next(_numbers):015d}"


def fund_portfolio(book: Book, cash: int = 1_000_000) -> str:
    """Add a portfolio that holds only cash."""
    portfolio_id = make_portfolio_id()
    book.add(portfolio_id, cash, {})
    return portfolio_id


def make_model(book: Book, portfolio_ids: Iterable[str], strategy: int = 0) -> Model:
    """Make a model of one of the market's strategies, for these portfolios."""
    band = DriftBand(Decimal("0.01"), Decimal("0.01"))
    weights = book.market.strategies[strategy].weights
    targets = tuple(Target(security, weight, band) for security, weight in weights.items())
    return Model(f"Model {next(_numbers)}", targets, tuple(portfolio_ids))


async def add_model(http: httpx.AsyncClient, model: Model) -> Json:
    """Create a model; return it as the service stored it."""
    answer = await http.post("/api/v1/models", json=make_model_body(model))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def rebalance_model(http: httpx.AsyncClient, model_id: str) -> list[Json]:
    """Rebalance successfully; return the elements of the answer."""
    answer = await http.post(f"/api/v1/model/{model_id}/rebalance")
    assert answer.status_code == 200, answer.text
    return parse_exact_json(answer)


async def retry_until_success(
    http: httpx.AsyncClient, path: str, method: str = "POST"
) -> httpx.Response:
    """Repeat a request until it succeeds; return that answer."""
    async with asyncio.timeout(WITHIN_S):
        while (answer := await http.request(method, path)).status_code != 200:
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.2)
    return answer


async def count_rebalances(http: httpx.AsyncClient) -> int:
    answer = await http.get("/api/v1/rebalances", params={"limit": 1})
    return int(answer.headers["X-Total-Count"])


async def list_replicas(deployment: str) -> list[int]:
    """List the processes of a deployment."""
    name = f"ServeReplica:order-generation:{deployment}"
    alive = [("class_name", "=", name), ("state", "=", "ALIVE")]
    look = partial(list_actors, ray.get_runtime_context().gcs_address, filters=alive)
    return [replica.pid for replica in await asyncio.to_thread(look)]


def read_market_portfolio(book: Book, number: int) -> Portfolio:
    """Convert a portfolio of the simulated market to the domain."""
    rows = book.market.rows(number)
    owned = {row.security_id: Decimal(row.long - row.short) for row in rows if row.security_id}
    cash = sum((Decimal(row.long) for row in rows if row.security_id is None), Decimal(0))
    return Portfolio(book.market.portfolio_id(number), cash, owned, book.prices)
