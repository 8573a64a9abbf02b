"""Routes of API keys: make, list, rotate, revoke; part of a service that authenticates callers."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from serve_app.api.access import ManagesKeys
from serve_app.api.dependencies import StorePort
from serve_app.api.exact_json import ExactRoute
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import Offset, page_headers
from serve_app.api.responses import json_response
from serve_app.api.schemas.fields import WHOLE
from serve_app.api.schemas.keys import (
    KeyAnswer,
    KeyPost,
    NewKeyAnswer,
    RotationBody,
    build_key_request,
    key_json,
    new_key_json,
)
from serve_app.auth.api_keys import make_key
from serve_app.auth.key_requests import require_rights
from serve_app.problems import catalogue
from storage.access.api_key_store import ENTITY
from storage.errors import NotFoundError

router = APIRouter(prefix="/api/v1", tags=["keys"], route_class=ExactRoute)

MAX_KEYS_PER_PAGE: Final = 1000
KeyId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="16 hexadecimal digits")]
Keys = Annotated[int, Query(ge=1, le=MAX_KEYS_PER_PAGE, description="most items to return"), WHOLE]
NO_STORE: Final = {"Cache-Control": "no-store"}  # because the answer has a secret
WRONG_KEY: Final = refuses(catalogue.BAD_ID, catalogue.NOT_FOUND, catalogue.INVALID_REQUEST)


@router.get("/keys", response_model=list[KeyAnswer], responses=refuses(catalogue.INVALID_REQUEST))
async def list_keys(
    _: ManagesKeys, request: Request, store: StorePort, offset: Offset = 0, limit: Keys = 100
) -> Response:
    """List API keys, the newest first; no answer has a secret."""
    keys, total = await store.list_api_keys(offset, limit)
    body = [key_json(key) for key in keys]
    return json_response(body, headers=page_headers(request, offset, limit, total))


@router.post(
    "/keys",
    status_code=201,
    response_model=NewKeyAnswer,
    responses=refuses(catalogue.INVALID_REQUEST),
)
async def add_key(caller: ManagesKeys, body: KeyPost, store: StorePort) -> Response:
    """Make an API key with at most the rights of the caller; its secret is shown this once."""
    text, key = build_key_request(body).make(caller.name)
    require_rights(caller, key)
    await store.add_api_key(key)
    return json_response(new_key_json(key, text), 201, NO_STORE)


@router.post("/keys/{key_id}/rotate", response_model=NewKeyAnswer, responses=WRONG_KEY)
async def rotate_key(
    caller: ManagesKeys, key_id: KeyId, store: StorePort, body: RotationBody | None = None
) -> Response:
    """Give a key another secret; the former one stays valid for the overlap, 24 hours by default.

    Replicas accept the new secret within 5 seconds.
    """
    key = await store.find_api_key(key_id)
    if key is None:
        raise NotFoundError(ENTITY, key_id)
    require_rights(caller, key)
    text = make_key(key_id)
    overlap = timedelta(hours=(body or RotationBody()).overlap_hours)
    new_key = await store.rotate_api_key(key_id, text.secret_hash, datetime.now(UTC) + overlap)
    return json_response(new_key_json(new_key, text), 200, NO_STORE)


@router.delete("/keys/{key_id}", response_model=KeyAnswer, responses=WRONG_KEY)
async def revoke_key(_: ManagesKeys, key_id: KeyId, store: StorePort) -> Response:
    """End a key for good; replicas refuse it within 5 seconds."""
    return json_response(key_json(await store.revoke_api_key(key_id)))
