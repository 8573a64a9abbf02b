"""Routes of stored rebalances."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from serve_app.api.access import DeletesRebalances, ReadsRebalances, ReadsSomeRebalances
from serve_app.api.dependencies import (
    PortfolioId,
    RebalanceId,
    ServiceSettings,
    StoredVersion,
    StorePort,
)
from serve_app.api.etags import IfMatch, rebalance_etag
from serve_app.api.exact_json import ExactRoute
from serve_app.api.exports.stored_rebalances import (
    MAX_OUTCOMES_PER_PAGE,
    ListedRebalance,
    PortfolioSlice,
    page_text,
    portfolios_text,
    rebalance_text,
    split_page,
    stream_json,
)
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import Offset, Runs, order_by, page_headers
from serve_app.api.responses import derive_trade_date, json_response
from serve_app.api.schemas.fields import WHOLE
from serve_app.api.schemas.stored_rebalances import (
    Deleted,
    PortfolioResult,
    PortfoliosQuery,
    PositionResult,
    RebalanceResult,
    deleted_json,
    positions_json,
)
from serve_app.problems import catalogue
from storage.mongo.sorting import Sort

router = APIRouter(prefix="/api/v1", tags=["rebalances"], route_class=ExactRoute)

Order = Annotated[
    Sort,
    Depends(order_by("rebalance_id", "model_name", "rebalance_date", "number_of_portfolios")),
]
OnePage = Annotated[
    int, Query(ge=1, le=MAX_OUTCOMES_PER_PAGE, description="most items to return"), WHOLE
]
WRONG_RUN = (catalogue.BAD_ID, catalogue.NOT_FOUND, catalogue.INVALID_REQUEST)


@router.get(
    "/rebalances",
    response_model=list[RebalanceResult],
    responses=refuses(catalogue.INVALID_REQUEST),
)
async def list_rebalances(
    _: ReadsRebalances,
    request: Request,
    store: StorePort,
    settings: ServiceSettings,
    order: Order,
    offset: Offset = 0,
    limit: Runs = 10,
) -> Response:
    """List rebalances, the newest first, with up to 5,000 of their portfolios in all."""
    rebalances, total = await store.list_rebalances(offset, limit, order)
    page: list[ListedRebalance] = []
    for rebalance, size in zip(
        rebalances,
        split_page(rebalance.number_of_portfolios for rebalance in rebalances),
        strict=True,
    ):
        # The slice only knows how to read the outcomes, which are read while the answer is sent.
        portfolios = PortfolioSlice(rebalance, 0, size, partial(store.list_outcomes, rebalance))
        rest = f"/api/v1/rebalance/{rebalance.rebalance_id}/portfolios?offset={size}"
        page.append(ListedRebalance(portfolios, rebalance.number_of_portfolios - size, rest))
    headers = page_headers(request, offset, limit, total)
    return await stream_json(page_text(page, settings.time_zone), headers)


# The route is a POST, because a thousand ids exceed the longest request line.
@router.post(
    "/rebalances/portfolios",
    response_model=list[RebalanceResult],
    responses=refuses(catalogue.INVALID_REQUEST, catalogue.BODY_TOO_LARGE),
)
async def list_rebalances_of_portfolios(
    caller: ReadsSomeRebalances,
    request: Request,
    body: PortfoliosQuery,
    store: StorePort,
    settings: ServiceSettings,
    offset: Offset = 0,
    limit: Runs = 10,
) -> Response:
    """List the rebalances of these portfolios, the newest first, with no other portfolios.

    A page has up to 5,000 portfolios in all. If a rebalance is cut, send the same body to its
    link for all of them.
    """
    portfolio_ids = tuple(dict.fromkeys(body.portfolios))
    caller.require_portfolios(portfolio_ids)
    caller.require_models([])  # because a portfolio may have rebalances of any model
    rebalances, total = await store.list_portfolio_rebalances(portfolio_ids, offset, limit)
    page: list[ListedRebalance] = []
    for place, size in enumerate(split_page(count for _, count in rebalances), offset):
        rebalance, count = rebalances[place - offset]
        portfolios = PortfolioSlice(
            rebalance, 0, size, partial(store.list_portfolio_outcomes, rebalance, portfolio_ids)
        )
        alone = f"{request.url.path}?offset={place}&limit=1"
        page.append(ListedRebalance(portfolios, count - size, alone))
    headers = page_headers(request, offset, limit, total)
    return await stream_json(page_text(page, settings.time_zone), headers)


@router.get(
    "/rebalance/{rebalance_id}", response_model=RebalanceResult, responses=refuses(*WRONG_RUN)
)
async def read_rebalance(
    _: ReadsRebalances, rebalance_id: RebalanceId, store: StorePort, settings: ServiceSettings
) -> Response:
    """Read a rebalance with all its portfolios and their positions, streamed at any length."""
    rebalance = await store.read_rebalance(rebalance_id)
    whole = PortfolioSlice(
        rebalance, 0, rebalance.number_of_portfolios, partial(store.list_outcomes, rebalance)
    )
    text = rebalance_text(ListedRebalance(whole), settings.time_zone)
    return await stream_json(text, {"ETag": rebalance_etag(rebalance)})


@router.get(
    "/rebalance/{rebalance_id}/portfolios",
    response_model=list[PortfolioResult],
    responses=refuses(*WRONG_RUN),
)
async def list_portfolios(
    _: ReadsRebalances,
    request: Request,
    rebalance_id: RebalanceId,
    store: StorePort,
    settings: ServiceSettings,
    offset: Offset = 0,
    limit: OnePage = MAX_OUTCOMES_PER_PAGE,
) -> Response:
    """List the portfolios of a rebalance, in the order of the model."""
    rebalance = await store.read_rebalance(rebalance_id)
    count = max(0, min(limit, rebalance.number_of_portfolios - offset))
    page = PortfolioSlice(rebalance, offset, count, partial(store.list_outcomes, rebalance))
    headers = page_headers(request, offset, limit, rebalance.number_of_portfolios)
    return await stream_json(portfolios_text(page, settings.time_zone), headers)


@router.get(
    "/rebalance/{rebalance_id}/portfolio/{portfolio_id:path}/positions",
    response_model=list[PositionResult],
    responses=refuses(*WRONG_RUN),
)
async def list_positions(
    _: ReadsRebalances,
    rebalance_id: RebalanceId,
    portfolio_id: PortfolioId,
    store: StorePort,
    settings: ServiceSettings,
) -> Response:
    """List the positions of one portfolio in a rebalance."""
    rebalance, outcome = await store.read_outcome(rebalance_id, portfolio_id)
    return json_response(positions_json(outcome, derive_trade_date(rebalance, settings.time_zone)))


@router.delete(
    "/rebalance/{rebalance_id}",
    response_model=Deleted,
    responses=refuses(
        *WRONG_RUN,
        catalogue.STALE_VERSION,
        catalogue.HAND_OVER_IN_PROGRESS,
        catalogue.RUN_GOES_ON,
        catalogue.ORDERS_SENT,
        catalogue.PRECONDITION_FAILED,
        catalogue.PRECONDITION_REQUIRED,
    ),
)
async def delete_rebalance(
    _: DeletesRebalances,
    rebalance_id: RebalanceId,
    version: StoredVersion,
    store: StorePort,
    precondition: IfMatch,
) -> Response:
    """Delete a rebalance if its version is the stored one and no order of it was sent."""
    precondition.require(version)
    await store.delete_rebalance(rebalance_id, version)
    return json_response(deleted_json(rebalance_id))
