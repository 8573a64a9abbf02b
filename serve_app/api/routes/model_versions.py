"""Routes of the versions of a model."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from serve_app.api.access import ReadsSomeModels
from serve_app.api.dependencies import ModelId, StorePort
from serve_app.api.exact_json import ExactRoute
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import Offset, Runs, page_headers
from serve_app.api.responses import json_response
from serve_app.api.routes.models import WRONG_MODEL
from serve_app.api.schemas.model_versions import (
    ModelVersionAnswer,
    WholeModelVersionAnswer,
    version_json,
    whole_version_json,
)
from serve_app.api.schemas.models import Version

router = APIRouter(prefix="/api/v1", tags=["models"], route_class=ExactRoute)

OneVersion = Annotated[Version, Path(description="the number of the version")]


@router.get(
    "/model/{model_id}/versions",
    response_model=list[ModelVersionAnswer],
    responses=refuses(*WRONG_MODEL),
)
async def list_model_versions(
    caller: ReadsSomeModels,
    request: Request,
    model_id: ModelId,
    store: StorePort,
    offset: Offset = 0,
    limit: Runs = 10,
) -> Response:
    """List the versions of a model, the newest first; those of a deleted model stay."""
    caller.require_models([model_id])
    versions, total = await store.list_model_versions(model_id, offset, limit)
    body = [version_json(version) for version in versions]
    return json_response(body, headers=page_headers(request, offset, limit, total))


@router.get(
    "/model/{model_id}/versions/{version}",
    response_model=WholeModelVersionAnswer,
    responses=refuses(*WRONG_MODEL),
)
async def read_model_version(
    caller: ReadsSomeModels, model_id: ModelId, version: OneVersion, store: StorePort
) -> Response:
    """Read a version of a model: the model as it was, and what the version changed."""
    caller.require_models([model_id])
    return json_response(whole_version_json(await store.read_model_version(model_id, version)))
