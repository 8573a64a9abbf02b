"""Port of single portfolios, whatever the rebalance: their names and their newest outcomes."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

from serve_app.ports.names import PortfolioNames
from serve_app.ports.port import repeatable
from storage.last_outcomes import LastOutcome


class Portfolios(PortfolioNames, Protocol):
    """Names of portfolios, and what came of them last."""

    @repeatable
    @abstractmethod
    async def find_portfolios(self, part: str, limit: int) -> Mapping[str, str]:
        """Return names by id of at most ``limit`` portfolios with this part in the name.

        Raises UpstreamError if the portfolio service has no such search, or no answer in time.
        """
        ...

    @repeatable
    @abstractmethod
    async def list_last_outcomes(self, portfolio_ids: tuple[str, ...]) -> tuple[LastOutcome, ...]:
        """Return the newest outcome of each portfolio that has one, in the order of the ids."""
        ...
