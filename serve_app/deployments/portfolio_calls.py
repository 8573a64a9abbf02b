"""Calls of the ModelStore deployment about single portfolios."""

from collections.abc import Mapping

from serve_app.ports.portfolios import Portfolios
from serve_app.resources import Resources
from storage.last_outcomes import LastOutcome


class PortfolioCalls(Portfolios):
    """Names and newest outcomes, for the deployment that has the resources."""

    _with: Resources

    async def name_portfolios(self, portfolio_ids: tuple[str, ...]) -> Mapping[str, str | None]:
        """Return names of portfolios; None if the portfolio service has no answer."""
        return await self._with.portfolios.read_names(portfolio_ids)

    async def find_portfolios(self, part: str, limit: int) -> Mapping[str, str]:
        """Return names by id of portfolios with this part in the name."""
        return await self._with.portfolios.find_named(part, limit)

    async def list_last_outcomes(self, portfolio_ids: tuple[str, ...]) -> tuple[LastOutcome, ...]:
        """Return the newest outcome of each portfolio that has one."""
        return await self._with.rebalances.list_last_outcomes(portfolio_ids)
