"""Names of portfolios."""

from typing_extensions import TypedDict

from serve_app.api.schemas.fields import Identifier


class PortfolioName(TypedDict):
    """A portfolio and its name at the portfolio service, null where that has none or does not answer."""

    portfolio_id: Identifier
    name: str | None
