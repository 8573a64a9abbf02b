"""Route of the transactions of a stored rebalance."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import IO, Annotated, Any, Final

import pyarrow as pa
from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from optimization import PortfolioOutcome
from serve_app.api.access import ReadsRebalances
from serve_app.api.content_negotiation import Accept, choose_media_type
from serve_app.api.dependencies import RebalanceId, ServiceSettings, StorePort
from serve_app.api.exports.arrow_tables import (
    ARROW_STREAM,
    FILE_ENDINGS,
    PARQUET,
    TABLE_WRITERS,
    TRANSACTIONS_WITH_RULES,
    Table,
    Tables,
    add_rules,
    transactions_batch,
)
from serve_app.api.exports.stored_rebalances import OUTCOME_BATCH_SIZE
from serve_app.api.exports.stored_tables import transaction_tables
from serve_app.api.exports.transactions import (
    Page,
    TransactionLine,
    csv_rows,
    json_array,
    json_lines,
    list_lines,
)
from serve_app.api.exports.workbook import write_workbook
from serve_app.api.media_types import CSV, JSON, XLSX
from serve_app.api.openapi.answer_examples import TABLE, TABLE_LINES
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.responses import derive_trade_date
from serve_app.api.routes.stored_rebalances import WRONG_RUN
from serve_app.api.schemas.stored_fields import several_ids
from serve_app.ports.stored_rebalances import StoredRebalances
from serve_app.problems import catalogue
from serve_app.rules.evaluation import RuleCheck
from storage.rebalances.rebalance import Rebalance, RebalanceStatus

router = APIRouter(prefix="/api/v1", tags=["rebalances"])

Writer = Callable[[AsyncIterator[Page]], AsyncIterator[bytes]]

LINES: Final = ("application/x-ndjson", "application/jsonl")
OFFERED: Final = (JSON, CSV, XLSX, *LINES, PARQUET, ARROW_STREAM)
WRITERS: Final[dict[str, Writer]] = {
    JSON: json_array,
    CSV: csv_rows,
    **dict.fromkeys(LINES, json_lines),
}
FILES: Final = {CSV: "csv", XLSX: "xlsx", **FILE_ENDINGS}
MAX_CHOSEN_PORTFOLIOS: Final = 100  # because more ids exceed the longest request line
CHUNK: Final = 65_536

TEXT: Final = {"type": "string"}
CONTENT: Final[dict[str, Any]] = {
    CSV: {"schema": TEXT, "example": TABLE},
    **{kind: {"schema": {**TEXT, "format": "binary"}} for kind in (XLSX, PARQUET, ARROW_STREAM)},
    **{kind: {"schema": TEXT, "example": TABLE_LINES} for kind in LINES},
}
Chosen = Annotated[
    list[str],
    several_ids(max_length=MAX_CHOSEN_PORTFOLIOS),
    Query(description="only these portfolios; repeatable"),
]


@router.get(
    "/rebalance/{rebalance_id}/transactions",
    response_model=list[TransactionLine],
    responses={
        200: {"description": "Transactions in the format that Accept asks for", "content": CONTENT},
        **refuses(*WRONG_RUN, catalogue.NOT_ACCEPTABLE, catalogue.TOO_MANY_ROWS),
    },
)
async def list_transactions(
    _: ReadsRebalances,
    rebalance_id: RebalanceId,
    accept: Accept,
    store: StorePort,
    settings: ServiceSettings,
    portfolio_id: Chosen = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """List all transactions of a rebalance as JSON, lines, CSV, a workbook, Parquet or Arrow."""
    media_type = choose_media_type(accept, OFFERED)
    rebalance = await store.read_rebalance(rebalance_id)
    headers, day = _headers(rebalance, media_type), derive_trade_date(rebalance, settings.time_zone)
    if media_type in TABLE_WRITERS and not portfolio_id:
        page = await store.read_outcome_page(rebalance, 0)
        return _table(media_type, transaction_tables(store, rebalance, page, day), headers)
    # The first page is read before the answer begins: until then an error can become a problem.
    if portfolio_id:
        first = await store.read_outcomes(rebalance, tuple(dict.fromkeys(portfolio_id)))
        end = 0
    else:
        first, end = (
            await store.list_outcomes(rebalance, 0, OUTCOME_BATCH_SIZE),
            rebalance.number_of_portfolios,
        )
    pages = _pages(store, rebalance, first, end, day)
    if media_type == XLSX:
        # The workbook is complete before the answer begins, because too many rows are refused.
        return _file(await write_workbook(pages), headers)
    if media_type in TABLE_WRITERS:
        return _table(media_type, (_build_table(page) async for page in pages), headers)
    return StreamingResponse(WRITERS[media_type](pages), 200, headers, media_type)


def _table(media_type: str, pages: Tables, headers: dict[str, str]) -> Response:
    table = TABLE_WRITERS[media_type](TRANSACTIONS_WITH_RULES, pages)
    return StreamingResponse(table, 200, headers, media_type)


def _build_table(page: Page) -> Table:
    table = pa.Table.from_batches([transactions_batch(page)])
    return add_rules(table, [(line.blocked_by, line.warned_by) for line in page])


async def _pages(
    store: StoredRebalances,
    rebalance: Rebalance,
    page: tuple[PortfolioOutcome, ...],
    end: int,
    day: str,
) -> AsyncIterator[Page]:
    """Read the lines of the first page, and of the next pages up to the portfolio ``end``."""
    rules = RuleCheck.from_rebalance(rebalance)
    yield tuple(list_lines(rebalance.rebalance_id, page, day, rules))
    for offset in range(OUTCOME_BATCH_SIZE, end, OUTCOME_BATCH_SIZE):
        page = await store.list_outcomes(rebalance, offset, OUTCOME_BATCH_SIZE)
        yield tuple(list_lines(rebalance.rebalance_id, page, day, rules))


def _headers(rebalance: Rebalance, media_type: str) -> dict[str, str]:
    headers = {"Vary": "Accept", "X-Rebalance-Status": rebalance.status}
    if media_type in FILES:
        # The status is in the name, because a partial list must be recognizable as a file, too.
        part = (
            "" if rebalance.status is RebalanceStatus.COMPLETED else f"-{rebalance.status.lower()}"
        )
        name = f"transactions-{rebalance.rebalance_id}{part}.{FILES[media_type]}"
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return headers


def _file(file: IO[bytes], headers: dict[str, str]) -> Response:
    length = file.seek(0, 2)
    file.seek(0)
    headers["Content-Length"] = str(length)
    return StreamingResponse(_chunks(file), 200, headers, XLSX)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk
