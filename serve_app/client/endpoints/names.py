"""Names of portfolios and securities."""

from collections.abc import Sequence

from serve_app.client.call import (
    Call,
    get,
)
from serve_app.client.responses.names import PortfolioName, SecurityTicker


def name_portfolios(portfolio_ids: Sequence[str]) -> Call[tuple[PortfolioName, ...]]:
    """Look up the names of up to 100 portfolios, in the order of their ids."""
    return get(tuple[PortfolioName, ...], "portfolios", ids=tuple(portfolio_ids))


def find_portfolios(name: str) -> Call[tuple[PortfolioName, ...]]:
    """Find up to 100 portfolios with this part in their name, the newest first.

    Raises ProblemError if the portfolio service has no such search (502) or no answer (503).
    """
    return get(tuple[PortfolioName, ...], "portfolios", name=name)


def name_securities(security_ids: Sequence[str]) -> Call[tuple[SecurityTicker, ...]]:
    """Look up the tickers of up to 100 securities, in the order of their ids."""
    return get(tuple[SecurityTicker, ...], "securities", ids=tuple(security_ids))
