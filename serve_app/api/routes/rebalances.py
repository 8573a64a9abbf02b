"""Routes that rebalance."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from optimization import OptionOverrides
from serve_app.api.access import StartsRebalances, StartsSomeRebalances
from serve_app.api.dependencies import (
    AllPorts,
    ModelId,
    OptimizerPort,
    PortfolioId,
    RebalancingPort,
    RespondAsync,
    ServiceSettings,
    StorePort,
)
from serve_app.api.exact_json import ExactRoute
from serve_app.api.idempotency import Idempotent, IdempotentRequest
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.response_headers import UNMATCHED_IDS, header_list
from serve_app.api.responses import (
    answer_all,
    answer_elements,
    answer_single,
    build_heading,
)
from serve_app.api.run_progress import PREFERENCE_APPLIED, answer_accepted
from serve_app.api.schemas.options import (
    PortfolioRebalanceOptionsBody,
    RebalanceOptionsBody,
    build_options,
)
from serve_app.api.schemas.rebalances import RebalanceAnswer
from serve_app.api.schemas.runs import RunAnswer
from serve_app.ports.rebalances import OutcomeElements, RemoteElements
from serve_app.ports.runs import BeginRun, RunControl, StoredRuns
from serve_app.problems import catalogue
from serve_app.rebalances import exactly_once
from storage.rebalances.rebalance import Rebalance, new_rebalance_id
from storage.runs.run import Selection

router = APIRouter(prefix="/api/v1", tags=["rebalance"], route_class=ExactRoute)

MAX_UNMATCHED_IDS = 100
DryRun = Annotated[
    bool,
    Query(description="return the same answer and store nothing; an Idempotency-Key is ignored"),
]
ACCEPTED = {202: {"model": RunAnswer, "description": "Accepted; Location is the run to poll"}}
REFUSALS = refuses(
    catalogue.BAD_ID,
    catalogue.NOT_FOUND,
    catalogue.REQUEST_IN_PROGRESS,
    catalogue.RUN_CANCELLED,
    catalogue.INVALID_REQUEST,
    catalogue.OPTIONS_CONFLICT,
    catalogue.EMPTY_MODEL,
    catalogue.INFEASIBLE,
    catalogue.NO_SOLUTION_IN_TIME,
    catalogue.PRICES_MISSING,
    catalogue.HOLDINGS_MISSING,
    catalogue.ORDERS_PARTLY_FILLED,
    catalogue.NONE_REBALANCED,
    catalogue.IDEMPOTENCY_KEY_REUSED,
    catalogue.UNVERIFIED_PLAN,
    catalogue.UPSTREAM_CONTRACT,
    catalogue.UPSTREAM_UNAVAILABLE,
    catalogue.OVERLOADED,
)


@router.post(
    "/model/{model_id}/rebalance",
    response_model=list[RebalanceAnswer],
    responses={**ACCEPTED, **REFUSALS},
)
async def rebalance_model(
    _: StartsRebalances,
    request: Request,
    model_id: ModelId,
    store: StorePort,
    optimizer: OptimizerPort,
    rebalancing: RebalancingPort,
    settings: ServiceSettings,
    once: Idempotent,
    options: RebalanceOptionsBody | None = None,
    dry_run: DryRun = False,
    respond_async: RespondAsync = False,
) -> Response:
    """Rebalance every portfolio that follows the model; returns one element per portfolio."""
    # A dry run never becomes a run, because it stores nothing that could be polled.
    if respond_async and not dry_run:
        selection = Selection(model_ids=(model_id.lower(),))
        return await _begin_run(store, optimizer, once, selection, options)
    overrides = build_options(options)
    if dry_run:
        return await _preview_model(request, rebalancing, model_id, overrides, settings)

    # The outcomes are read again, because a key keeps only the id of the first answer.
    async def recall(rebalance_id: str) -> exactly_once.RebalanceAnswer:
        rebalance = await store.read_rebalance(rebalance_id)
        return rebalance, await store.list_outcomes(rebalance)

    (rebalance, outcomes), replay = await once(
        lambda: exactly_once.rebalance_model(rebalancing, model_id, overrides, once.claim),
        lambda answer: answer[0].rebalance_id,
        recall,
    )
    headers = _build_location(rebalance) | _build_unmatched_header(rebalance) | replay
    if isinstance(outcomes, OutcomeElements):
        return answer_elements(outcomes, headers)
    heading = build_heading(rebalance, settings.time_zone)
    return await answer_all(request.url.path, heading, outcomes, headers)


async def _preview_model(
    request: Request,
    rebalancing: RebalancingPort,
    model_id: str,
    overrides: OptionOverrides,
    settings: ServiceSettings,
) -> Response:
    rebalance, outcomes = await rebalancing.preview_model(model_id, overrides)
    headers = _build_unmatched_header(rebalance)
    # Workers write the elements of many portfolios, because the ingress would take seconds.
    if isinstance(outcomes, RemoteElements):
        return answer_elements(await outcomes.read(), headers)
    heading = build_heading(rebalance, settings.time_zone, is_stored=False)
    return await answer_all(request.url.path, heading, outcomes, headers)


@router.post(
    "/portfolio/{portfolio_id:path}/rebalance",
    response_model=RebalanceAnswer,
    responses={**ACCEPTED, **REFUSALS},
)
async def rebalance_portfolio(
    caller: StartsSomeRebalances,
    request: Request,
    portfolio_id: PortfolioId,
    parts: AllPorts,  # whole, because FastAPI takes 50 µs for each dependency
    settings: ServiceSettings,
    once: Idempotent,
    options: PortfolioRebalanceOptionsBody | None = None,
    dry_run: DryRun = False,
    respond_async: RespondAsync = False,
) -> Response:
    """Rebalance one portfolio to the newest model it follows, or to the named model."""
    model_id = options.model_id if options else None
    caller.require_portfolios([portfolio_id])
    caller.require_models([model_id] if model_id else [])
    if respond_async and not dry_run:
        selection = Selection((model_id.lower(),) if model_id else (), (portfolio_id,))
        return await _begin_run(parts.store, parts.optimizer, once, selection, options)
    overrides, rebalancing = build_options(options), parts.rebalancing or parts.optimizer
    if dry_run:
        rebalance, outcome = await rebalancing.preview_portfolio(portfolio_id, model_id, overrides)
        heading = build_heading(rebalance, settings.time_zone, is_stored=False)
        return answer_single(request.url.path, heading, outcome, {})
    (rebalance, outcome), replay = await once(
        lambda: exactly_once.rebalance_portfolio(
            rebalancing, portfolio_id, model_id, overrides, once.claim
        ),
        lambda answer: answer[0].rebalance_id,
        lambda rebalance_id: parts.store.read_outcome(rebalance_id, portfolio_id),
    )
    heading = build_heading(rebalance, settings.time_zone)
    headers = _build_location(rebalance) | replay
    return answer_single(request.url.path, heading, outcome, headers)


async def _begin_run(
    store: StoredRuns,
    optimizer: RunControl,
    once: IdempotentRequest,
    selection: Selection,
    options: RebalanceOptionsBody | None,
) -> Response:
    """Begin a run in the background, and answer with its state."""
    overrides = build_options(options)
    # The id is made here, because each attempt at the port then names the same run.
    command = BeginRun(new_rebalance_id(), selection, overrides, claim=once.claim)
    run, replay = await once(
        lambda: optimizer.begin_run(command), lambda run: run.run_id, store.read_run
    )
    return await answer_accepted(store, run, PREFERENCE_APPLIED | replay)


def _build_location(rebalance: Rebalance) -> dict[str, str]:
    return {"Location": f"/api/v1/rebalance/{rebalance.rebalance_id}"}


def _build_unmatched_header(rebalance: Rebalance) -> dict[str, str]:
    """Build the header of ids that options name and no portfolio or model has."""
    if not rebalance.unmatched:
        return {}
    return {UNMATCHED_IDS: header_list(rebalance.unmatched[:MAX_UNMATCHED_IDS])}
