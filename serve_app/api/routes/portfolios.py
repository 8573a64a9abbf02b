"""Route of portfolio names."""

from typing import Annotated, Final

from fastapi import APIRouter, Query

from serve_app.api.access import ReadsSomePortfolios
from serve_app.api.dependencies import Store
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.schemas.portfolios import PortfolioName
from serve_app.api.schemas.stored_fields import several_ids
from serve_app.problems import catalogue

router = APIRouter(prefix="/api/v1", tags=["portfolios"])

MAX_NAMED_PORTFOLIOS: Final = 100  # because more ids exceed the longest request line
Ids = Annotated[
    list[str],
    several_ids(min_length=1, max_length=MAX_NAMED_PORTFOLIOS),
    Query(description="portfolio ids; repeatable"),
]


@router.get("/portfolios", responses=refuses(catalogue.INVALID, catalogue.OVERLOADED))
async def name_portfolios(
    caller: ReadsSomePortfolios,
    store: Store,
    ids: Ids,
) -> list[PortfolioName]:
    """Look up portfolio names; null if unknown or the portfolio service is down."""
    caller.require_portfolios(ids)
    names = await store.name_portfolios(tuple(dict.fromkeys(ids)))
    return [PortfolioName(portfolio_id=each, name=name) for each, name in names.items()]
