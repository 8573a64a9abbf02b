"""Names of portfolios and tickers of securities."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PortfolioName:
    """A portfolio and its name; None if the portfolio service has no name or does not answer."""

    portfolio_id: str
    name: str | None


@dataclass(frozen=True, slots=True)
class SecurityTicker:
    """A security and its ticker; None if the security service has no ticker or does not answer."""

    security_id: str
    ticker: str | None
