"""Names of portfolios and tickers of securities."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PortfolioName:
    """A portfolio and its name, None where the portfolio service has none or does not answer."""

    portfolio_id: str
    name: str | None


@dataclass(frozen=True, slots=True)
class SecurityTicker:
    """A security and its ticker, None where the security service has none or does not answer."""

    security_id: str
    ticker: str | None
