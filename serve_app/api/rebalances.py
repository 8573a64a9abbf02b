"""The routes of the rebalances that are stored."""

from collections.abc import AsyncIterator
from datetime import tzinfo
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from optimization.result import Rebalance
from serve_app import problems
from serve_app.api.answers import MOST_LISTED
from serve_app.api.collaborators import Configured, ModelStore, Store
from serve_app.api.documentation import refuses
from serve_app.api.exact import ExactRoute
from serve_app.api.paging import Offset, Portfolios, Runs, order_by, page_headers
from serve_app.api.preconditions import Changed, run_etag
from serve_app.api.rebalancing import PortfolioId, trade_date_of
from serve_app.problems.mapping import problem_of
from serve_app.wire.models import Version
from serve_app.wire.rebalances import (
    Deleted,
    PortfolioResult,
    PortfoliosQuery,
    PositionResult,
    RebalanceResult,
    portfolio_json,
    positions_json,
    run_json,
)
from serve_app.wire.text import Json, encoded
from storage.paging import Sort
from storage.runs import Run

router = APIRouter(prefix="/api/v1", tags=["rebalances"], route_class=ExactRoute)

RebalanceId = Annotated[str, Path(pattern=r"^[0-9a-fA-F]{24}$", description="24 hex digits")]
StoredVersion = Annotated[Version, Query(description="the version that is stored")]
Order = Annotated[
    Sort,
    Depends(order_by("rebalance_id", "model_name", "rebalance_date", "number_of_portfolios")),
]
AT_A_TIME = 100  # portfolios that are read, and written to the caller, at once
WRONG_RUN = (problems.BAD_ID, problems.NOT_FOUND, problems.INVALID)


@router.get(
    "/rebalances", response_model=list[RebalanceResult], responses=refuses(problems.INVALID)
)
async def list_rebalances(
    request: Request,
    store: Store,
    settings: Configured,
    order: Order,
    offset: Offset = 0,
    limit: Runs = 10,
) -> Response:
    """A page of rebalances, the newest first, each with its first 100 portfolios."""
    runs, total = await store.runs(offset, limit, order)
    listed = [await _with_first_portfolios(store, run, settings.zone) for run in runs]
    return _json(listed, page_headers(request, offset, limit, total))


@router.post(
    "/rebalances/portfolios",
    response_model=list[RebalanceResult],
    responses=refuses(problems.INVALID, problems.TOO_LARGE),
)
async def list_rebalances_of_portfolios(
    request: Request,
    body: PortfoliosQuery,
    store: Store,
    settings: Configured,
    offset: Offset = 0,
    limit: Runs = 10,
) -> Response:
    """The rebalances that hold any of these portfolios, newest first, cut down to them."""
    wanted = tuple(dict.fromkeys(body.portfolios))
    found, total = await store.runs_of(wanted, offset, limit)
    listed = [
        run_json(run, portfolios_json(run, outcomes, settings.zone)) for run, outcomes in found
    ]
    return _json(listed, page_headers(request, offset, limit, total))


@router.get(
    "/rebalance/{rebalance_id}", response_model=RebalanceResult, responses=refuses(*WRONG_RUN)
)
async def read_rebalance(rebalance_id: RebalanceId, store: Store, settings: Configured) -> Response:
    """A rebalance with all its portfolios and their positions, as long as it may be."""
    run = await store.run(rebalance_id)
    first = await store.outcomes(run, 0, AT_A_TIME)
    text = _whole(store, run, first, settings.zone)
    return StreamingResponse(text, 200, {"ETag": run_etag(run)}, "application/json")


@router.get(
    "/rebalance/{rebalance_id}/portfolios",
    response_model=list[PortfolioResult],
    responses=refuses(*WRONG_RUN),
)
async def list_portfolios(
    request: Request,
    rebalance_id: RebalanceId,
    store: Store,
    settings: Configured,
    offset: Offset = 0,
    limit: Portfolios = MOST_LISTED,
) -> Response:
    """A page of the portfolios of a rebalance, in their order in the model."""
    run = await store.run(rebalance_id)
    outcomes = await store.outcomes(run, offset, limit)
    headers = page_headers(request, offset, limit, run.number_of_portfolios)
    return _json(portfolios_json(run, outcomes, settings.zone), headers)


@router.get(
    "/rebalance/{rebalance_id}/portfolio/{portfolio_id}/positions",
    response_model=list[PositionResult],
    responses=refuses(*WRONG_RUN),
)
async def list_positions(
    rebalance_id: RebalanceId, portfolio_id: PortfolioId, store: Store, settings: Configured
) -> Response:
    """The positions of one portfolio in a rebalance."""
    run, rebalance = await store.outcome(rebalance_id, portfolio_id)
    return _json(positions_json(rebalance, trade_date_of(run, settings.zone)))


@router.delete(
    "/rebalance/{rebalance_id}",
    response_model=Deleted,
    responses=refuses(
        *WRONG_RUN,
        problems.STALE,
        problems.HANDING_OVER,
        problems.RUN_GOES_ON,
        problems.ORDERS_SENT,
        problems.PRECONDITION,
        problems.PRECONDITION_REQUIRED,
    ),
)
async def delete_rebalance(
    rebalance_id: RebalanceId, version: StoredVersion, store: Store, changed: Changed
) -> Response:
    """Remove a rebalance with its portfolios, if its version is the stored one and no order was sent."""
    changed.require(version)
    await store.delete_run(rebalance_id, version)
    return _json({"message": f"Rebalance {rebalance_id} deleted successfully"})


async def _with_first_portfolios(store: ModelStore, run: Run, zone: tzinfo) -> Json:
    first = await store.outcomes(run, 0, MOST_LISTED)
    return run_json(run, portfolios_json(run, first, zone))


async def _whole(
    store: ModelStore, run: Run, page: tuple[Rebalance, ...], zone: tzinfo
) -> AsyncIterator[bytes]:
    """A run as JSON text, a page of its portfolios at a time: it may be longer than the memory."""
    yield encoded(run_json(run, [])).removesuffix(b"]}")
    separator = b""
    for offset in range(0, run.number_of_portfolios, AT_A_TIME):
        if offset:
            page = await store.outcomes(run, offset, AT_A_TIME)
        if page:
            yield separator + encoded(portfolios_json(run, page, zone))[1:-1]
            separator = b","
    yield b"]}"


def portfolios_json(run: Run, outcomes: tuple[Rebalance, ...], zone: tzinfo) -> list[Json]:
    """Portfolios of a stored rebalance."""
    day = trade_date_of(run, zone)
    return [portfolio_json(each, day, problem_of(each.refusal)) for each in outcomes]


def _json(value: object, headers: dict[str, str] | None = None) -> Response:
    return Response(encoded(value), 200, headers, "application/json")
