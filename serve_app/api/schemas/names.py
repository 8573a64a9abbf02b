"""Names of portfolios, and tickers of securities."""

from typing_extensions import TypedDict

from serve_app.api.schemas.stored_fields import Identifier


class PortfolioName(TypedDict):
    """A portfolio and its name; null if unknown or the portfolio service is down."""

    portfolio_id: Identifier
    name: str | None


class SecurityTicker(TypedDict):
    """A security and its ticker; null if unknown or the security service is down."""

    security_id: Identifier
    ticker: str | None
