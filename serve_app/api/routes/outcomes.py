"""Routes of outcomes: rebalances in brief, outcomes by status and reason or in full."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from starlette.responses import Response

from optimization import PortfolioOutcome, Status
from serve_app.api.access import ReadsRebalances, ReadsSomeRebalances
from serve_app.api.dependencies import (
    PortfolioId,
    RebalanceId,
    RunId,
    ServiceSettings,
    SoughtPortfolios,
    StorePort,
)
from serve_app.api.exact_json import ExactRoute
from serve_app.api.exports.stored_rebalances import stream_json
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import Offset, Portfolios, Runs, order_by, page_headers
from serve_app.api.responses import derive_trade_date, json_response
from serve_app.api.routes.names import PortfolioIds
from serve_app.api.routes.stored_rebalances import Order
from serve_app.api.schemas.causes import CausesAnswer, causes_json
from serve_app.api.schemas.outcome_summaries import (
    LastOutcomeAnswer,
    OutcomeDetail,
    OutcomeSummary,
    OutcomeTotalsAnswer,
    RebalanceSummary,
    last_outcome_json,
    outcome_detail_json,
    outcome_summary_json,
    outcome_totals_json,
    rebalance_summary_json,
)
from serve_app.api.schemas.runs import CODE, MAX_CODES
from serve_app.json_text import encode
from serve_app.problems import catalogue
from serve_app.rules.evaluation import RuleCheck
from storage.mongo.sorting import Sort
from storage.rebalances.outcome_search import OutcomeFilter

router = APIRouter(prefix="/api/v1", tags=["rebalances"], route_class=ExactRoute)

MAX_REBALANCES: Final = 1_000  # of a run whose reasons are summed up
BATCH_SIZE: Final = 50  # outcomes that are written at once, because the event loop waits meanwhile
WRONG_REBALANCE: Final = refuses(catalogue.BAD_ID, catalogue.NOT_FOUND, catalogue.INVALID_REQUEST)
STORED_NAMES: Final = {
    "cash_before_rebalance": "cash_before",
    "cash_after_rebalance": "cash_after",
}

ByAmount = Annotated[Sort, Depends(order_by("market_value", *STORED_NAMES, "objective"))]
Statuses = Annotated[list[Status], Query(default_factory=list, description="outcomes; repeatable")]
Codes = Annotated[
    list[Annotated[str, Field(pattern=CODE)]],
    Query(
        default_factory=list,
        max_length=MAX_CODES,
        description="reasons why there is no plan, the last part of their `type`; repeatable",
    ),
]


@router.get(
    "/rebalances/summary",
    response_model=list[RebalanceSummary],
    responses=refuses(catalogue.INVALID_REQUEST),
)
async def list_rebalance_summaries(
    _: ReadsRebalances,
    request: Request,
    store: StorePort,
    order: Order,
    offset: Offset = 0,
    limit: Runs = 10,
) -> Response:
    """List rebalances without their portfolios, the newest first."""
    rebalances, total = await store.list_rebalances(offset, limit, order)
    body = [rebalance_summary_json(rebalance) for rebalance in rebalances]
    return json_response(body, 200, page_headers(request, offset, limit, total))


@router.get(
    "/rebalance/{rebalance_id}/summary", response_model=RebalanceSummary, responses=WRONG_REBALANCE
)
async def read_rebalance_summary(
    _: ReadsRebalances, rebalance_id: RebalanceId, store: StorePort
) -> Response:
    """Read a rebalance without its portfolios."""
    return json_response(rebalance_summary_json(await store.read_rebalance(rebalance_id)))


@router.get(
    "/rebalance/{rebalance_id}/outcomes",
    response_model=list[OutcomeSummary],
    responses=WRONG_REBALANCE,
)
async def list_outcomes(
    _: ReadsRebalances,
    request: Request,
    rebalance_id: RebalanceId,
    store: StorePort,
    order: ByAmount,
    status: Statuses,
    code: Codes,
    portfolio_id: SoughtPortfolios,
    offset: Offset = 0,
    limit: Portfolios = 100,
) -> Response:
    """List outcomes of a rebalance without positions, by outcome, reason and portfolio.

    In the order of the model, unless sorted by one amount; portfolios without it come last.
    """
    rebalance = await store.read_rebalance(rebalance_id)
    outcome_filter = OutcomeFilter(
        frozenset(status), frozenset(code), tuple(dict.fromkeys(portfolio_id))
    )
    sort = tuple((STORED_NAMES.get(name, name), direction) for name, direction in order)
    outcomes, total = await store.search_outcomes(rebalance, outcome_filter, sort, offset, limit)
    headers = page_headers(request, offset, limit, total)
    return await stream_json(_summaries(outcomes, RuleCheck.from_rebalance(rebalance)), headers)


@router.get(
    "/rebalance/{rebalance_id}/outcomes/totals",
    response_model=OutcomeTotalsAnswer,
    responses=WRONG_REBALANCE,
)
async def read_outcome_totals(
    _: ReadsRebalances, rebalance_id: RebalanceId, store: StorePort
) -> Response:
    """Add up market value, cash and objective over all portfolios of a rebalance."""
    rebalance = await store.read_rebalance(rebalance_id)
    totals = await store.total_outcomes(rebalance)
    return json_response(outcome_totals_json(rebalance.rebalance_id, totals))


@router.get(
    "/rebalance/{rebalance_id}/portfolio/{portfolio_id:path}",
    response_model=OutcomeDetail,
    responses=WRONG_REBALANCE,
)
async def read_outcome(
    _: ReadsRebalances,
    rebalance_id: RebalanceId,
    portfolio_id: PortfolioId,
    store: StorePort,
    settings: ServiceSettings,
) -> Response:
    """Read the outcome of one portfolio: its positions before and after, the proof, the reason."""
    rebalance, outcome = await store.read_outcome(rebalance_id, portfolio_id)
    day = derive_trade_date(rebalance, settings.time_zone)
    return json_response(outcome_detail_json(rebalance, outcome, day))


@router.get(
    "/rebalance/{rebalance_id}/causes", response_model=CausesAnswer, responses=WRONG_REBALANCE
)
async def list_causes(_: ReadsRebalances, rebalance_id: RebalanceId, store: StorePort) -> Response:
    """List why portfolios of a rebalance have no plan, each reason with its subject once."""
    await store.read_rebalance(rebalance_id)
    return json_response(causes_json(await store.list_causes((rebalance_id,))))


@router.get(
    "/runs/{run_id}/causes", tags=["runs"], response_model=CausesAnswer, responses=WRONG_REBALANCE
)
async def list_run_causes(_: ReadsRebalances, run_id: RunId, store: StorePort) -> Response:
    """List why portfolios of a run have no plan, each reason with its subject once."""
    run = await store.read_run(run_id)
    parts = await store.list_run_rebalance_ids(run.run_id, MAX_REBALANCES)
    return json_response(causes_json(await store.list_causes(parts)))


@router.get(
    "/portfolios/last-outcomes",
    tags=["portfolios"],
    response_model=list[LastOutcomeAnswer],
    responses=refuses(catalogue.INVALID_REQUEST),
)
async def list_last_outcomes(
    caller: ReadsSomeRebalances, store: StorePort, ids: PortfolioIds
) -> Response:
    """List the newest outcome of each portfolio, in the order of the ids; one without is left out.

    The newest is that of the rebalance that was begun last and has an outcome of the portfolio.
    """
    caller.require_portfolios(ids)
    caller.require_models([])  # because a portfolio may have rebalances of any model
    outcomes = await store.list_last_outcomes(tuple(dict.fromkeys(ids)))
    return json_response([last_outcome_json(outcome) for outcome in outcomes])


async def _summaries(
    outcomes: Sequence[PortfolioOutcome], rules: RuleCheck
) -> AsyncIterator[bytes]:
    yield b"["
    for start in range(0, len(outcomes), BATCH_SIZE):
        batch = outcomes[start : start + BATCH_SIZE]
        lines = [outcome_summary_json(outcome, rules) for outcome in batch]
        yield (b"," if start else b"") + encode(lines)[1:-1]
    yield b"]"
