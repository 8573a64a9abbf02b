"""Port of the portfolios of the portfolio service."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

from serve_app.ports.port import repeatable


class PortfolioNames(Protocol):
    """Names of portfolios."""

    @repeatable
    @abstractmethod
    async def name_portfolios(self, portfolio_ids: tuple[str, ...]) -> Mapping[str, str | None]:
        """Return names by id, in the order of the ids; None if the service has no answer."""
        ...
