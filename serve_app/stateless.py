"""Portfolios that are given whole, solved here or by Ray tasks: no database, no upstream."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

import ray
from ray.exceptions import RayTaskError

from optimization.assembly import priced
from optimization.errors import PricesMissingError, RuleError
from optimization.model import Model
from optimization.options import RebalanceOptions
from optimization.result import Rebalance, Security
from serve_app.correlation import correlation_id
from serve_app.metrics import count_solved
from serve_app.observability import correlate_logs
from serve_app.rebalancing import Fetched, failed, solved
from serve_app.settings import Settings
from serve_app.upstream.gather import for_each
from serve_app.upstream.holdings import Balance

AT_A_TIME = 50  # portfolios, after which another request may use the solver of this process


@dataclass(frozen=True, slots=True)
class Given:
    """What all portfolios of one call share; put into the object store once."""

    securities: tuple[Security, ...]
    prices: Mapping[str, Decimal]
    options: RebalanceOptions
    correlation_id: str


async def optimized(
    model: Model,
    balances: Sequence[Balance],
    prices: Mapping[str, Decimal],
    options: RebalanceOptions,
    settings: Settings,
) -> tuple[Rebalance, ...]:
    """What becomes of each portfolio, in their order; one that fails does not stop the others."""
    try:
        securities = priced(model, prices)
    except (PricesMissingError, RuleError) as error:
        # Without the model's own prices there is nothing to solve: every portfolio says so.
        return tuple(failed(balance.portfolio_id, error) for balance in balances)
    given = Given(securities, prices, options, correlation_id.get())
    if len(balances) > settings.run_fan_out_above:
        return await _from_tasks(given, balances, settings)
    found: list[Rebalance] = []
    for first in range(0, len(balances), AT_A_TIME):
        found += await _solved(given, balances[first : first + AT_A_TIME])
    return tuple(found)


async def _from_tasks(
    given: Given, balances: Sequence[Balance], settings: Settings
) -> tuple[Rebalance, ...]:
    shared, size = ray.put(given), settings.run_chunk_size
    found: dict[int, list[Rebalance]] = {}

    async def solve(first: int) -> None:
        task = _given_task.remote(shared, balances[first : first + size])
        try:
            found[first] = await task
        except RayTaskError as error:
            raise cast("Exception", error.cause) from None
        except asyncio.CancelledError:
            ray.cancel(task, force=False)
            raise

    await for_each(range(0, len(balances), size), solve, settings.run_window)
    return tuple(outcome for first in sorted(found) for outcome in found[first])


# A lost worker or node is tried again, an error of ours is not.
@ray.remote(num_cpus=1, max_retries=3, retry_exceptions=False)
def _given_task(given: Given, balances: Sequence[Balance]) -> list[Rebalance]:
    """Solve some of the portfolios, in a worker process."""
    return asyncio.run(_solved_there(given, balances))


# Ray pickles the function of a task with the globals that it names, and a context variable cannot be.
async def _solved_there(given: Given, balances: Sequence[Balance]) -> list[Rebalance]:
    correlate_logs()
    correlation_id.set(given.correlation_id)
    return await _solved(given, balances)


async def _solved(given: Given, balances: Sequence[Balance]) -> list[Rebalance]:
    ids = [balance.portfolio_id for balance in balances]
    fetched = Fetched(ids, balances, given.prices)
    return await solved(given.securities, fetched, given.options, count_solved)
