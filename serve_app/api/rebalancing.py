"""The routes that rebalance."""

import asyncio
from collections.abc import Sequence
from datetime import tzinfo
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from optimization.result import Rebalance, Status
from serve_app.api import problems
from serve_app.api.collaborators import Configured, Rebalancer, Store
from serve_app.api.documentation import refuses
from serve_app.api.exact import ExactRoute
from serve_app.api.idempotency import AtMostOnce
from serve_app.api.models import ModelId
from serve_app.api.problems import kind_of_refusal, problem_of
from serve_app.api.refusals import RETRY_AFTER_S, response
from serve_app.correlation import correlation_id
from serve_app.wire.options import (
    PortfolioRebalanceOptionsBody,
    RebalanceOptionsBody,
    options_of,
)
from serve_app.wire.rebalancing import RebalanceAnswer, rebalance_json
from serve_app.wire.text import Json, encoded
from storage.runs import Run

router = APIRouter(prefix="/api/v1", tags=["rebalance"], route_class=ExactRoute)

PortfolioId = Annotated[str, Path(pattern=r"^[A-Za-z0-9]{24}$", description="24 letters or digits")]
Outcomes = tuple[Run, tuple[Rebalance, ...]]

AT_A_TIME = 50  # portfolios, about 5 ms: so long the event loop waits for the JSON of an answer
MOST_LISTED = 100
WITHOUT_PLAN = frozenset({Status.INFEASIBLE, Status.FAILED})
REFUSALS = refuses(
    problems.BAD_ID,
    problems.NOT_FOUND,
    problems.IN_PROGRESS,
    problems.INVALID,
    problems.CONFLICT,
    problems.INFEASIBLE,
    problems.OUT_OF_TIME,
    problems.NO_PRICES,
    problems.NO_HOLDINGS,
    problems.NO_SECURITY,
    problems.NONE_REBALANCED,
    problems.KEY_REUSED,
    problems.UNVERIFIED,
    problems.BROKEN_CONTRACT,
    problems.UPSTREAM_DOWN,
    problems.OVERLOADED,
)


@router.post(
    "/model/{model_id}/rebalance", response_model=list[RebalanceAnswer], responses=REFUSALS
)
async def rebalance_model(
    request: Request,
    model_id: ModelId,
    store: Store,
    optimizer: Rebalancer,
    settings: Configured,
    once: AtMostOnce,
    options: RebalanceOptionsBody | None = None,
) -> Response:
    """Rebalance every portfolio that follows the model; one element for each."""

    async def recall(rebalance_id: str) -> Outcomes:
        run = await store.run(rebalance_id)
        return run, await store.outcomes(run)

    (run, rebalances), replayed = await once(
        lambda: optimizer.rebalance_model(model_id, options_of(options), correlation_id.get()),
        lambda outcomes: outcomes[0].rebalance_id,
        recall,
    )
    headers = _location(run) | replayed
    if rebalances and all(rebalance.status in WITHOUT_PLAN for rebalance in rebalances):
        return _none_rebalanced(request.url.path, run, rebalances, settings.zone, headers)
    text = await _array_of(run, rebalances, settings.zone)
    return Response(text, headers=headers, media_type="application/json")


@router.post(
    "/portfolio/{portfolio_id}/rebalance", response_model=RebalanceAnswer, responses=REFUSALS
)
async def rebalance_portfolio(
    request: Request,
    portfolio_id: PortfolioId,
    store: Store,
    optimizer: Rebalancer,
    settings: Configured,
    once: AtMostOnce,
    options: PortfolioRebalanceOptionsBody | None = None,
) -> Response:
    """Rebalance one portfolio to the newest model that it follows, or to the one that is named."""
    model_id = options.model_id if options else None
    (run, rebalance), replayed = await once(
        lambda: optimizer.rebalance_portfolio(
            portfolio_id, model_id, options_of(options), correlation_id.get()
        ),
        lambda outcome: outcome[0].rebalance_id,
        lambda rebalance_id: store.outcome(rebalance_id, portfolio_id),
    )
    headers = _location(run) | replayed
    if rebalance.status in WITHOUT_PLAN and rebalance.refusal is not None:
        return _no_plan(request.url.path, run, rebalance, headers)
    element = _element(run, rebalance, trade_date_of(run, settings.zone))
    return Response(encoded(element), headers=headers, media_type="application/json")


async def _array_of(run: Run, rebalances: Sequence[Rebalance], zone: tzinfo) -> bytes:
    """A JSON array of portfolios; other requests get their turn in between.

    Each part becomes text at once: tens of thousands of living dicts would keep the collector busy.
    """
    day = trade_date_of(run, zone)
    parts: list[bytes] = []
    for start in range(0, len(rebalances), AT_A_TIME):
        part = rebalances[start : start + AT_A_TIME]
        parts.append(encoded([_element(run, rebalance, day) for rebalance in part])[1:-1])
        await asyncio.sleep(0)
    return b"[" + b",".join(parts) + b"]"


def _element(run: Run, rebalance: Rebalance, day: str) -> Json:
    error = problem_of(rebalance.refusal)
    return rebalance_json(rebalance, run.rebalance_id, run.model_id, day, error)


def trade_date_of(run: Run, zone: tzinfo) -> str:
    """The day of the run in the configured zone: a replayed answer keeps it."""
    return run.started_at.astimezone(zone).date().isoformat()


def _no_plan(path: str, run: Run, rebalance: Rebalance, headers: dict[str, str]) -> Response:
    assert rebalance.refusal is not None
    members = {
        **rebalance.refusal.members,
        "portfolio_id": rebalance.portfolio_id,
        "rebalance_id": run.rebalance_id,
        "model_id": run.model_id,
    }
    kind = kind_of_refusal(rebalance.refusal)
    return response(kind, rebalance.refusal.detail, path, members, headers | _retry(kind.status))


def _none_rebalanced(
    path: str,
    run: Run,
    rebalances: Sequence[Rebalance],
    zone: tzinfo,
    headers: dict[str, str],
) -> Response:
    kinds = {kind_of_refusal(each.refusal) for each in rebalances if each.refusal is not None}
    kind = kinds.pop() if len(kinds) == 1 else problems.NONE_REBALANCED
    count = len(rebalances)
    detail = f"{kind.title}: none of {count} portfolios of model {run.model_id} was rebalanced."
    day = trade_date_of(run, zone)
    listed = [_element(run, rebalance, day) for rebalance in rebalances[:MOST_LISTED]]
    members = {"rebalance_id": run.rebalance_id, "portfolios": listed}
    return response(kind, detail, path, members, headers | _retry(kind.status))


def _location(run: Run) -> dict[str, str]:
    return {"Location": f"/api/v1/rebalance/{run.rebalance_id}"}


def _retry(status: int) -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
