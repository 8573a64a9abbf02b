"""A Python job in the cluster that calls the service without HTTP."""

import asyncio

import ray

from optimization.domain.outcome import PortfolioOutcome
from serve_app.deployments.handles import connect
from storage.rebalance import Rebalance


@ray.remote(num_cpus=0)
class Nightly:
    """An actor, which has one event loop for all its calls, as handles need it."""

    async def rebalance(
        self, portfolio_ids: tuple[str, ...]
    ) -> list[tuple[Rebalance, PortfolioOutcome] | BaseException]:
        """What becomes of these portfolios, each rebalanced to its newest model."""
        _, optimizer = connect()
        calls = (optimizer.rebalance_portfolio(each, None, None, "job") for each in portfolio_ids)
        return await asyncio.gather(*calls, return_exceptions=True)
