"""Route of tickers."""

from typing import Annotated, Final

from fastapi import APIRouter, Query

from serve_app.api.access import ReadsSomeModels
from serve_app.api.dependencies import Rebalancer
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.schemas.securities import SecurityTicker
from serve_app.api.schemas.stored_fields import several_ids
from serve_app.problems import catalogue

router = APIRouter(prefix="/api/v1", tags=["securities"])

MAX_NAMED_SECURITIES: Final = 100  # because more ids exceed the longest request line
Ids = Annotated[
    list[str],
    several_ids(min_length=1, max_length=MAX_NAMED_SECURITIES),
    Query(description="security ids; repeatable"),
]


@router.get("/securities", responses=refuses(catalogue.INVALID, catalogue.OVERLOADED))
async def name_securities(
    _: ReadsSomeModels,
    optimizer: Rebalancer,
    ids: Ids,
) -> list[SecurityTicker]:
    """Look up tickers of securities; null if unknown or the security service is down."""
    tickers = await optimizer.name_securities(tuple(dict.fromkeys(ids)))
    return [SecurityTicker(security_id=each, ticker=ticker) for each, ticker in tickers.items()]
