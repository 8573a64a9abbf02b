"""Routes of the names of portfolios and the tickers of securities."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError

from serve_app.api.access import ReadsSomeModels, ReadsSomePortfolios
from serve_app.api.dependencies import OptimizerPort, StorePort
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.schemas.names import PortfolioName, SecurityTicker
from serve_app.api.schemas.stored_fields import several_ids
from serve_app.problems import catalogue

router = APIRouter(prefix="/api/v1")

MAX_NAMED: Final = 100  # because more ids exceed the longest request line
NAMED: Final = several_ids(min_length=1, max_length=MAX_NAMED)
PortfolioIds = Annotated[list[str], NAMED, Query(description="portfolio ids; repeatable")]
SecurityIds = Annotated[list[str], NAMED, Query(description="security ids; repeatable")]
OptionalIds = Annotated[
    list[str],
    several_ids(max_length=MAX_NAMED),
    Query(default_factory=list, description="portfolio ids; repeatable; unless there is a name"),
]
NamePart = Annotated[
    str | None,
    Query(
        pattern="^[A-Za-z0-9 _-]{1,200}$",  # what the portfolio service admits
        description="part of the name, in any case; unless there are ids",
    ),
]
REFUSALS: Final = refuses(catalogue.INVALID_REQUEST, catalogue.OVERLOADED)

SEARCH_REFUSALS: Final = refuses(
    catalogue.INVALID_REQUEST,
    catalogue.OVERLOADED,
    catalogue.UPSTREAM_CONTRACT,
    catalogue.UPSTREAM_UNAVAILABLE,
)


def _build_rule_error(rule: str) -> RequestValidationError:
    return RequestValidationError([{"type": "value", "loc": ("query", "ids"), "msg": rule}])


@router.get("/portfolios", tags=["portfolios"], responses=SEARCH_REFUSALS)
async def name_portfolios(
    caller: ReadsSomePortfolios, store: StorePort, ids: OptionalIds, name: NamePart = None
) -> list[PortfolioName]:
    """Look up names by `ids`, null if there is none or no answer; or find portfolios by `name`.

    A search has up to 100 portfolios, the newest first, and a limited caller's own among them.
    """
    if (name is None) != bool(ids):
        raise _build_rule_error("give either ids or a name")
    if name is None:
        caller.require_portfolios(ids)
        names = await store.name_portfolios(tuple(dict.fromkeys(ids)))
    else:
        portfolios = await store.find_portfolios(name, MAX_NAMED)
        own = caller.portfolios
        names = {
            portfolio_id: portfolio_name
            for portfolio_id, portfolio_name in portfolios.items()
            if own is None or portfolio_id in own
        }
    return [
        PortfolioName(portfolio_id=portfolio_id, name=name) for portfolio_id, name in names.items()
    ]


@router.get("/securities", tags=["securities"], responses=REFUSALS)
async def name_securities(
    _: ReadsSomeModels, optimizer: OptimizerPort, ids: SecurityIds
) -> list[SecurityTicker]:
    """Look up tickers of securities; null if unknown or the security service is down."""
    tickers = await optimizer.name_securities(tuple(dict.fromkeys(ids)))
    return [
        SecurityTicker(security_id=security_id, ticker=ticker)
        for security_id, ticker in tickers.items()
    ]
