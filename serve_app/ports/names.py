"""Ports of the names of portfolios and securities, which two upstream services know."""

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

    @repeatable
    @abstractmethod
    async def find_portfolios(self, part: str, limit: int) -> Mapping[str, str]:
        """Return names by id of at most ``limit`` portfolios with this part in the name.

        Raises UpstreamError if the portfolio service has no such search, or no answer in time.
        """
        ...


class SecurityTickers(Protocol):
    """Tickers of securities."""

    @repeatable
    @abstractmethod
    async def name_securities(self, security_ids: tuple[str, ...]) -> Mapping[str, str | None]:
        """Return tickers by id, in the order of the ids; None if the service has no answer."""
        ...

    @repeatable
    @abstractmethod
    async def find_securities(self, ticker: str) -> tuple[str, ...]:
        """Return the ids of the securities with this ticker, in any case of its letters."""
        ...
