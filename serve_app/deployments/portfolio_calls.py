"""Calls of the ModelStore deployment about the names of portfolios."""

from collections.abc import Mapping

from serve_app.ports.names import PortfolioNames
from serve_app.resources import Resources


class PortfolioCalls(PortfolioNames):
    """Names of portfolios, for the deployment that has the resources."""

    _resources: Resources

    async def name_portfolios(self, portfolio_ids: tuple[str, ...]) -> Mapping[str, str | None]:
        """Return names of portfolios; None if the portfolio service has no answer."""
        return await self._resources.portfolios.read_names(portfolio_ids)

    async def find_portfolios(self, part: str, limit: int) -> Mapping[str, str]:
        """Return names by id of portfolios with this part in the name."""
        return await self._resources.portfolios.search_by_name(part, limit)
