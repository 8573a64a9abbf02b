"""Routes of models."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from optimization import Model
from serve_app.api.access import ReadsSomeModels, WritesModels
from serve_app.api.dependencies import ModelId, StoredVersion, StorePort
from serve_app.api.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, model_etag, not_modified
from serve_app.api.exact_json import ExactRoute
from serve_app.api.idempotency import Idempotent
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import MAX_MODELS_PER_PAGE, Models, Offset, order_by, page_headers
from serve_app.api.responses import json_response
from serve_app.api.schemas.general_fields import HIDDEN
from serve_app.api.schemas.models import (
    ModelAnswer,
    NewModel,
    PortfoliosBody,
    Replacement,
    build_model,
    build_replacement,
    model_json,
)
from serve_app.api.schemas.positions import NewPosition, build_target
from serve_app.problems import catalogue
from storage.mongo.sorting import Sort

router = APIRouter(prefix="/api/v1", tags=["models"], route_class=ExactRoute)

Order = Annotated[Sort, Depends(order_by("model_id", "name", "last_rebalance_date"))]

NamePart = Annotated[
    str,
    Query(
        max_length=100,
        pattern=rf"^[^{HIDDEN}]*$",
        description="only models whose name has this text, in any case",
    ),
]

WRONG_MODEL = (catalogue.BAD_ID, catalogue.NOT_FOUND, catalogue.INVALID_REQUEST)
WRONG_CHANGE = (
    *WRONG_MODEL,
    catalogue.STALE_VERSION,
    catalogue.PRECONDITION_FAILED,
    catalogue.BODY_TOO_LARGE,
    catalogue.PRECONDITION_REQUIRED,
)


@router.get(
    "/models", response_model=list[ModelAnswer], responses=refuses(catalogue.INVALID_REQUEST)
)
async def list_models(
    caller: ReadsSomeModels,
    request: Request,
    store: StorePort,
    order: Order,
    offset: Offset = 0,
    limit: Models = MAX_MODELS_PER_PAGE,
    name: NamePart = "",
) -> Response:
    """List models, the oldest first by default."""
    models, total = await store.list_models(offset, limit, order, caller.models, name)
    body = [model_json(model) for model in models]
    return json_response(body, headers=page_headers(request, offset, limit, total))


@router.post(
    "/models",
    status_code=201,
    response_model=ModelAnswer,
    responses=refuses(
        catalogue.INVALID_REQUEST,
        catalogue.NAME_TAKEN,
        catalogue.BODY_TOO_LARGE,
        catalogue.IDEMPOTENCY_KEY_REUSED,
        catalogue.REQUEST_IN_PROGRESS,
    ),
)
async def add_model(
    _: WritesModels, body: NewModel, store: StorePort, once: Idempotent
) -> Response:
    """Store a new model."""
    new = build_model(body)

    async def recall(model_id: str) -> Model:
        # The body gives the answer, because the stored model may have changed since the first one.
        return replace(new, model_id=model_id)

    model, replay = await once(
        lambda: store.add_model(new, once.claim), lambda model: str(model.model_id), recall
    )
    location = {"Location": f"/api/v1/model/{model.model_id}"}
    return _answer(model, status=201, headers=location | replay)


@router.get(
    "/model/{model_id}",
    response_model=ModelAnswer,
    responses={**NOT_MODIFIED, **refuses(*WRONG_MODEL)},
)
async def read_model(
    caller: ReadsSomeModels, model_id: ModelId, store: StorePort, if_none_match: IfNoneMatch = None
) -> Response:
    """Read a model."""
    caller.require_models([model_id])
    model = await store.read_model(model_id)
    return not_modified(model_etag(model), if_none_match) or _answer(model)


@router.put(
    "/model/{model_id}",
    response_model=ModelAnswer,
    responses=refuses(*WRONG_CHANGE, catalogue.NAME_TAKEN),
)
async def replace_model(
    _: WritesModels, model_id: ModelId, body: Replacement, store: StorePort, precondition: IfMatch
) -> Response:
    """Replace the whole model if its version is still the stored one."""
    # Both conditions have to hold, because the body and If-Match may name different versions.
    precondition.require(body.version)
    return _answer(await store.replace_model(build_replacement(model_id, body)))


@router.delete(
    "/model/{model_id}",
    status_code=204,
    responses=refuses(*WRONG_CHANGE),
)
async def delete_model(
    _: WritesModels,
    model_id: ModelId,
    version: StoredVersion,
    store: StorePort,
    precondition: IfMatch,
) -> Response:
    """Delete the model if its version is still the stored one; its rebalances stay."""
    precondition.require(version)
    await store.delete_model(model_id, version)
    return Response(status_code=204)


@router.post(
    "/model/{model_id}/position",
    response_model=ModelAnswer,
    responses=refuses(*WRONG_CHANGE, catalogue.SECURITY_IN_MODEL),
)
async def add_position(
    _: WritesModels, model_id: ModelId, body: NewPosition, store: StorePort, precondition: IfMatch
) -> Response:
    """Add a security to the model."""
    return _answer(await store.add_target(model_id, build_target(body), precondition.versions))


@router.put(
    "/model/{model_id}/position", response_model=ModelAnswer, responses=refuses(*WRONG_CHANGE)
)
async def replace_position(
    _: WritesModels, model_id: ModelId, body: NewPosition, store: StorePort, precondition: IfMatch
) -> Response:
    """Change the position of a security; a target of 0 removes it."""
    return _answer(await store.replace_target(model_id, build_target(body), precondition.versions))


@router.delete(
    "/model/{model_id}/position",
    response_model=ModelAnswer,
    responses=refuses(*WRONG_CHANGE, catalogue.POSITION_DIFFERS),
)
async def remove_position(
    _: WritesModels, model_id: ModelId, body: NewPosition, store: StorePort, precondition: IfMatch
) -> Response:
    """Remove a security; every value must match the stored position."""
    return _answer(await store.remove_target(model_id, build_target(body), precondition.versions))


@router.post(
    "/model/{model_id}/portfolio", response_model=ModelAnswer, responses=refuses(*WRONG_CHANGE)
)
async def add_portfolios(
    _: WritesModels,
    model_id: ModelId,
    body: PortfoliosBody,
    store: StorePort,
    precondition: IfMatch,
) -> Response:
    """Add portfolios; those already in the model are ignored."""
    return _answer(
        await store.add_portfolios(model_id, tuple(body.portfolios), precondition.versions)
    )


@router.delete(
    "/model/{model_id}/portfolio", response_model=ModelAnswer, responses=refuses(*WRONG_CHANGE)
)
async def remove_portfolios(
    _: WritesModels,
    model_id: ModelId,
    body: PortfoliosBody,
    store: StorePort,
    precondition: IfMatch,
) -> Response:
    """Remove portfolios; unknown ones are ignored, and at least one must remain."""
    return _answer(
        await store.remove_portfolios(model_id, tuple(body.portfolios), precondition.versions)
    )


def _answer(model: Model, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return json_response(model_json(model), status, {"ETag": model_etag(model), **(headers or {})})
