"""Routes of drift reports; nothing is solved or stored."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from serve_app.api.access import ReadsPortfolios, ReadsSomePortfolios
from serve_app.api.dependencies import ModelId, OptimizerPort, PortfolioId
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import Offset, Portfolios, page_headers
from serve_app.api.responses import json_response
from serve_app.api.schemas.drift import (
    DriftSummaryAnswer,
    PortfolioDriftAnswer,
    drift_summary_json,
    portfolio_drift_json,
)
from serve_app.api.schemas.fields import ObjectIdentifier
from serve_app.problems import catalogue

router = APIRouter(prefix="/api/v1", tags=["drift"])

NamedModel = Annotated[
    ObjectIdentifier | None,
    Query(description="one of the models that the portfolio follows; the newest by default"),
]
UNREACHABLE = (catalogue.UPSTREAM_UNAVAILABLE, catalogue.OVERLOADED, catalogue.UPSTREAM_CONTRACT)


@router.get(
    "/portfolio/{portfolio_id:path}/drift",
    response_model=PortfolioDriftAnswer,
    responses=refuses(
        catalogue.BAD_ID,
        catalogue.NOT_FOUND,
        catalogue.INVALID_REQUEST,
        catalogue.HOLDINGS_MISSING,
        catalogue.PRICES_MISSING,
        *UNREACHABLE,
    ),
)
async def measure_portfolio(
    caller: ReadsSomePortfolios,
    portfolio_id: PortfolioId,
    optimizer: OptimizerPort,
    model_id: NamedModel = None,
) -> Response:
    """Measure the drift of every security of a portfolio, without a plan."""
    caller.require_portfolios([portfolio_id])
    caller.require_models([model_id] if model_id else [])
    model, drift = await optimizer.measure_portfolio(portfolio_id, model_id)
    return json_response(portfolio_drift_json(drift, str(model.model_id)))


@router.get(
    "/model/{model_id}/drift",
    response_model=list[DriftSummaryAnswer],
    responses=refuses(
        catalogue.BAD_ID, catalogue.NOT_FOUND, catalogue.INVALID_REQUEST, *UNREACHABLE
    ),
)
async def measure_portfolios(
    _: ReadsPortfolios,
    request: Request,
    model_id: ModelId,
    optimizer: OptimizerPort,
    offset: Offset = 0,
    limit: Portfolios = 100,
) -> Response:
    """List the drift of a model's portfolios; a FAILED portfolio is listed with its reason."""
    summaries, total = await optimizer.measure_portfolios(model_id, offset, limit)
    lines = [drift_summary_json(summary) for summary in summaries]
    return json_response(lines, headers=page_headers(request, offset, limit, total))
