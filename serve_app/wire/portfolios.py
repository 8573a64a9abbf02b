"""Names of portfolios."""

from pydantic import BaseModel, ConfigDict

from serve_app.wire.fields import PORTFOLIO, Identifier


class PortfolioName(BaseModel):
    """A portfolio and its name at the portfolio service, null where that has none or does not answer."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"portfolio_id": PORTFOLIO, "name": "Growth IRA"}]}
    )

    portfolio_id: Identifier
    name: str | None
