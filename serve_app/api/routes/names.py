"""Routes of names: those of portfolios, and the tickers of securities."""

from typing import Annotated, Final

from fastapi import APIRouter, Query

from serve_app.api.access import ReadsSomeModels, ReadsSomePortfolios
from serve_app.api.dependencies import Rebalancer, Store
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.schemas.names import PortfolioName, SecurityTicker
from serve_app.api.schemas.stored_fields import several_ids
from serve_app.problems import catalogue

router = APIRouter(prefix="/api/v1")

MAX_NAMED: Final = 100  # because more ids exceed the longest request line
NAMED: Final = several_ids(min_length=1, max_length=MAX_NAMED)
PortfolioIds = Annotated[list[str], NAMED, Query(description="portfolio ids; repeatable")]
SecurityIds = Annotated[list[str], NAMED, Query(description="security ids; repeatable")]
REFUSALS: Final = refuses(catalogue.INVALID, catalogue.OVERLOADED)


@router.get("/portfolios", tags=["portfolios"], responses=REFUSALS)
async def name_portfolios(
    caller: ReadsSomePortfolios, store: Store, ids: PortfolioIds
) -> list[PortfolioName]:
    """Look up portfolio names; null if unknown or the portfolio service is down."""
    caller.require_portfolios(ids)
    names = await store.name_portfolios(tuple(dict.fromkeys(ids)))
    return [PortfolioName(portfolio_id=each, name=name) for each, name in names.items()]


@router.get("/securities", tags=["securities"], responses=REFUSALS)
async def name_securities(
    _: ReadsSomeModels, optimizer: Rebalancer, ids: SecurityIds
) -> list[SecurityTicker]:
    """Look up tickers of securities; null if unknown or the security service is down."""
    tickers = await optimizer.name_securities(tuple(dict.fromkeys(ids)))
    return [SecurityTicker(security_id=each, ticker=ticker) for each, ticker in tickers.items()]
