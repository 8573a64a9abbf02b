"""Python job in the cluster that calls the service without HTTP."""

import asyncio

import ray

from optimization import NO_OVERRIDES
from optimization.domain.outcome import PortfolioOutcome
from serve_app.call_context import CallContext
from serve_app.deployments.handles import connect_optimizer
from serve_app.rebalances.exactly_once import rebalance_portfolio
from storage.rebalances.rebalance import Rebalance


@ray.remote(num_cpus=0)
class Nightly:
    """Actor with one event loop for all its calls, because handles need it."""

    async def rebalance(
        self, portfolio_ids: tuple[str, ...]
    ) -> list[tuple[Rebalance, PortfolioOutcome] | BaseException]:
        """Rebalance each of these portfolios to its newest model."""
        optimizer = connect_optimizer()
        calls = (
            rebalance_portfolio(optimizer, portfolio_id, None, NO_OVERRIDES)
            for portfolio_id in portfolio_ids
        )
        with CallContext("job").activate():
            return await asyncio.gather(*calls, return_exceptions=True)
