"""Route that tries a model before it is stored."""

from dataclasses import replace

from fastapi import APIRouter
from starlette.responses import Response

from serve_app.api.access import UsesOptimize
from serve_app.api.dependencies import ModelId, OptimizerPort, StorePort
from serve_app.api.exact_json import ExactRoute
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.responses import json_response
from serve_app.api.schemas.options import build_options
from serve_app.api.schemas.positions import build_targets
from serve_app.api.schemas.rules_in_force import rules_in_force
from serve_app.api.schemas.what_if import WhatIfAnswer, WhatIfBody, spread, what_if_json
from serve_app.problems import catalogue

router = APIRouter(prefix="/api/v1", tags=["models"], route_class=ExactRoute)


@router.post(
    "/model/{model_id}/what-if",
    response_model=WhatIfAnswer,
    responses=refuses(
        catalogue.BAD_ID,
        catalogue.NOT_FOUND,
        catalogue.INVALID_REQUEST,
        catalogue.OPTIONS_CONFLICT,
        catalogue.EMPTY_MODEL,
        catalogue.PRICES_MISSING,
        catalogue.UPSTREAM_CONTRACT,
        catalogue.UPSTREAM_UNAVAILABLE,
        catalogue.OVERLOADED,
    ),
)
async def try_model(
    caller: UsesOptimize,
    model_id: ModelId,
    body: WhatIfBody,
    store: StorePort,
    optimizer: OptimizerPort,
) -> Response:
    """Rebalance portfolios to a model with these positions; nothing is stored."""
    caller.require_models([model_id])
    model = await store.read_model(model_id)
    sample = tuple(dict.fromkeys(body.portfolios or ())) or spread(model.portfolio_ids, body.sample)
    caller.require_portfolios(sample)
    targets = model.targets if body.positions is None else build_targets(body.positions)
    candidate = replace(model, targets=targets, portfolio_ids=sample)
    rules_in_force().check(candidate)
    _, outcomes = await optimizer.try_model(candidate, build_options(body.options))
    return json_response(what_if_json(model, outcomes))
