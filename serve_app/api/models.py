"""The routes of the models."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.responses import Response

from optimization.model import Model
from serve_app.api import problems
from serve_app.api.collaborators import Store
from serve_app.api.documentation import refuses
from serve_app.api.exact import ExactRoute
from serve_app.api.idempotency import AtMostOnce
from serve_app.api.paging import MOST_MODELS, Models, Offset, order_by, page_headers
from serve_app.api.problems import PreconditionFailedError
from serve_app.wire.models import (
    ModelAnswer,
    ModelPost,
    ModelPut,
    PortfoliosBody,
    PositionBody,
    Version,
    model_json,
    model_of,
    replacement_of,
    target_of,
)
from serve_app.wire.text import encoded
from storage.paging import Sort

router = APIRouter(prefix="/api/v1", tags=["models"], route_class=ExactRoute)

ModelId = Annotated[str, Path(pattern=r"^[0-9a-fA-F]{24}$", description="24 hexadecimal digits")]
StoredVersion = Annotated[Version, Query(description="the version that is stored")]
IfMatch = Annotated[str | None, Header(description="the ETag of the version that is changed")]
IfNoneMatch = Annotated[str | None, Header(description="the ETag of what the caller has")]
Order = Annotated[Sort, Depends(order_by("model_id", "name", "last_rebalance_date"))]

WRONG_MODEL = (problems.BAD_ID, problems.NOT_FOUND, problems.INVALID)
WRONG_CHANGE = (*WRONG_MODEL, problems.STALE, problems.TOO_LARGE)


@router.get("/models", response_model=list[ModelAnswer], responses=refuses(problems.INVALID))
async def list_models(
    request: Request, store: Store, order: Order, offset: Offset = 0, limit: Models = MOST_MODELS
) -> Response:
    """A page of models, the oldest first unless sorted otherwise."""
    models, total = await store.page(offset, limit, order)
    body = encoded([model_json(model) for model in models])
    return _json(body, headers=page_headers(request, offset, limit, total))


@router.post(
    "/models",
    status_code=201,
    response_model=ModelAnswer,
    responses=refuses(
        problems.INVALID,
        problems.NAME_TAKEN,
        problems.TOO_LARGE,
        problems.KEY_REUSED,
        problems.IN_PROGRESS,
    ),
)
async def add_model(body: ModelPost, store: Store, once: AtMostOnce) -> Response:
    """Store a new model."""
    new = model_of(body)
    model, replayed = await once(
        lambda: store.add(new), lambda added: str(added.model_id), store.read
    )
    location = {"Location": f"/api/v1/model/{model.model_id}"}
    return _answer(model, status=201, headers=location | replayed)


@router.get(
    "/model/{model_id}",
    response_model=ModelAnswer,
    responses={304: {"description": "The caller has it"}, **refuses(*WRONG_MODEL)},
)
async def read_model(
    model_id: ModelId, store: Store, if_none_match: IfNoneMatch = None
) -> Response:
    """A model."""
    model = await store.read(model_id)
    if if_none_match and {"*", _etag(model)} & _etags(if_none_match):
        return Response(status_code=304, headers={"ETag": _etag(model)})
    return _answer(model)


@router.put(
    "/model/{model_id}",
    response_model=ModelAnswer,
    responses=refuses(*WRONG_CHANGE, problems.NAME_TAKEN, problems.PRECONDITION),
)
async def replace_model(
    model_id: ModelId, body: ModelPut, store: Store, if_match: IfMatch = None
) -> Response:
    """Replace the whole model, if its version is still the stored one."""
    _require_match(if_match, body.version)
    return _answer(await store.replace(replacement_of(model_id, body)))


@router.delete(
    "/model/{model_id}",
    status_code=204,
    responses=refuses(*WRONG_CHANGE, problems.PRECONDITION),
)
async def delete_model(
    model_id: ModelId, version: StoredVersion, store: Store, if_match: IfMatch = None
) -> Response:
    """Remove the model, if its version is still the stored one; its rebalances stay."""
    _require_match(if_match, version)
    await store.delete(model_id, version)
    return Response(status_code=204)


@router.post(
    "/model/{model_id}/position",
    response_model=ModelAnswer,
    responses=refuses(*WRONG_CHANGE, problems.IN_MODEL),
)
async def add_position(model_id: ModelId, body: PositionBody, store: Store) -> Response:
    """Add a security to the model."""
    return _answer(await store.add_target(model_id, target_of(body)))


@router.put(
    "/model/{model_id}/position", response_model=ModelAnswer, responses=refuses(*WRONG_CHANGE)
)
async def replace_position(model_id: ModelId, body: PositionBody, store: Store) -> Response:
    """Change the position of a security; a target of 0 removes it."""
    return _answer(await store.replace_target(model_id, target_of(body)))


@router.delete(
    "/model/{model_id}/position",
    response_model=ModelAnswer,
    responses=refuses(*WRONG_CHANGE, problems.DIFFERS),
)
async def remove_position(model_id: ModelId, body: PositionBody, store: Store) -> Response:
    """Remove a security; every value has to be the stored one."""
    return _answer(await store.remove_target(model_id, target_of(body)))


@router.post(
    "/model/{model_id}/portfolio", response_model=ModelAnswer, responses=refuses(*WRONG_CHANGE)
)
async def add_portfolios(model_id: ModelId, body: PortfoliosBody, store: Store) -> Response:
    """Add portfolios; the ones already there are ignored."""
    return _answer(await store.add_portfolios(model_id, tuple(body.portfolios)))


@router.delete(
    "/model/{model_id}/portfolio", response_model=ModelAnswer, responses=refuses(*WRONG_CHANGE)
)
async def remove_portfolios(model_id: ModelId, body: PortfoliosBody, store: Store) -> Response:
    """Remove portfolios; the ones not there are ignored, one has to stay."""
    return _answer(await store.remove_portfolios(model_id, tuple(body.portfolios)))


def _answer(model: Model, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return _json(encoded(model_json(model)), status, {"ETag": _etag(model), **(headers or {})})


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/json")


def _etag(model: Model) -> str:
    """The version, and the date of the last rebalance: that changes the model but not its version."""
    rebalanced = model.last_rebalance_date
    date = f".{round(rebalanced.timestamp() * 1000):x}" if rebalanced else ""
    return f'"{model.version}{date}"'


def _etags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def _require_match(if_match: str | None, version: int) -> None:
    if if_match is None:
        return
    versions = {tag.strip('"').partition(".")[0] for tag in _etags(if_match)}
    if not {"*", str(version)} & versions:
        raise PreconditionFailedError(if_match, version)
