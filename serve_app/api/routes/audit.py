"""Routes of the audit log."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response, StreamingResponse

from serve_app.api.access import ReadsAudit
from serve_app.api.content_negotiation import Accept, choose_media_type
from serve_app.api.dependencies import StorePort
from serve_app.api.exact_json import ExactRoute
from serve_app.api.exports.arrow_tables import ARROW_STREAM, FILE_ENDINGS, PARQUET, TABLE_WRITERS
from serve_app.api.exports.audit_entries import (
    ENTRIES,
    Page,
    csv_rows,
    entries_table,
    json_lines,
)
from serve_app.api.media_types import CSV, JSON
from serve_app.api.openapi.answer_examples import AUDIT_LINES, AUDIT_TABLE
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import Offset, order_by, page_headers
from serve_app.api.responses import json_response
from serve_app.api.schemas.audit import (
    MAX_FILTER_LENGTH,
    AuditEntryAnswer,
    AuditHeadAnswer,
    Moment,
    entry_answer,
    head_json,
)
from serve_app.api.schemas.fields import WHOLE
from serve_app.ports.audit import AuditEntries
from serve_app.problems import catalogue
from storage.audit.chain import Entry
from storage.audit_log import AuditFilter
from storage.mongo.sorting import DESCENDING, Sort

router = APIRouter(prefix="/api/v1", tags=["audit"], route_class=ExactRoute)

MAX_ENTRIES_PER_PAGE: Final = 1000
BATCH_SIZE: Final = 500
LINES: Final = ("application/x-ndjson", "application/jsonl")
OFFERED: Final = (JSON, CSV, *LINES, PARQUET, ARROW_STREAM)
WRITERS: Final[dict[str, Callable[[AsyncIterator[Page]], AsyncIterator[bytes]]]] = {
    CSV: csv_rows,
    **dict.fromkeys(LINES, json_lines),
}
FILES: Final = {CSV: "csv", **FILE_ENDINGS}
TEXT: Final = {"type": "string"}
CONTENT: Final[dict[str, Any]] = {
    CSV: {"schema": TEXT, "example": AUDIT_TABLE},
    **{kind: {"schema": TEXT, "example": AUDIT_LINES} for kind in LINES},
    **{kind: {"schema": {**TEXT, "format": "binary"}} for kind in (PARQUET, ARROW_STREAM)},
}


def _text_filter(description: str) -> Any:
    return Query(min_length=1, max_length=MAX_FILTER_LENGTH, description=description)


Limit = Annotated[
    int, Query(ge=1, le=MAX_ENTRIES_PER_PAGE, description="most entries in a page of JSON"), WHOLE
]
Order = Annotated[Sort, Depends(order_by("seq"))]


async def _filter(
    object_type: Annotated[
        str | None, _text_filter("model, rebalance, run, orders, key or audit")
    ] = None,
    object_id: Annotated[str | None, _text_filter("id of the object")] = None,
    principal: Annotated[str | None, _text_filter("who made the change")] = None,
    action: Annotated[str | None, _text_filter("what was done, such as model.edit")] = None,
    since: Annotated[
        Moment | None, Query(description="only changes that were stored at this time or later")
    ] = None,
) -> AuditFilter:
    return AuditFilter(object_type, object_id, principal, action, since)


FilterQuery = Annotated[AuditFilter, Depends(_filter)]


@router.get(
    "/audit",
    response_model=list[AuditEntryAnswer],
    responses={
        200: {"description": "Entries in the format that Accept asks for", "content": CONTENT},
        **refuses(catalogue.INVALID_REQUEST, catalogue.NOT_ACCEPTABLE),
    },
)
async def list_audit_entries(
    _: ReadsAudit,
    request: Request,
    accept: Accept,
    store: StorePort,
    audit_filter: FilterQuery,
    order: Order,
    offset: Offset = 0,
    limit: Limit = 100,
) -> Response:
    """List changes, the newest first: a page as JSON, or all as lines, CSV, Parquet or Arrow."""
    media_type = choose_media_type(accept, OFFERED)
    direction = order[0][1] if order else DESCENDING
    if media_type == JSON:
        entries, total = await store.list_audit_entries(audit_filter, offset, limit, direction)
        headers = page_headers(request, offset, limit, total) | {"Vary": "Accept"}
        return json_response([entry_answer(entry) for entry in entries], headers=headers)
    first = await store.list_audit_entries_beyond(audit_filter, None, BATCH_SIZE, direction)
    pages = _pages(store, audit_filter, direction, first)
    headers = {"Vary": "Accept"}
    if media_type in FILES:
        headers["Content-Disposition"] = f'attachment; filename="audit.{FILES[media_type]}"'
    if media_type in TABLE_WRITERS:
        tables = (entries_table(page) async for page in pages)
        text = TABLE_WRITERS[media_type](ENTRIES, tables)
    else:
        text = WRITERS[media_type](pages)
    return StreamingResponse(text, 200, headers, media_type)


@router.get(
    "/audit/head", response_model=AuditHeadAnswer, responses=refuses(catalogue.INVALID_REQUEST)
)
async def read_audit_head(_: ReadsAudit, store: StorePort) -> Response:
    """Read the end of the chain: keep it elsewhere, to find out later if the log was rewritten."""
    return json_response(head_json(await store.read_audit_head()))


async def _pages(
    store: AuditEntries, audit_filter: AuditFilter, direction: int, page: tuple[Entry, ...]
) -> AsyncIterator[Page]:
    """Yield the first page and the pages after it."""
    while page:
        yield page
        last = page[-1]["seq"]
        page = await store.list_audit_entries_beyond(audit_filter, last, BATCH_SIZE, direction)
