"""Routes of runs: begin, list, read, follow, cancel."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import tzinfo
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from optimization import PortfolioOutcome
from serve_app.api.access import CancelsRuns, ReadsRebalances, StartsSomeRebalances
from serve_app.api.content_negotiation import Accept, choose_media_type
from serve_app.api.dependencies import OptimizerPort, RunId, ServiceSettings, StorePort
from serve_app.api.event_stream import EventStream, OpenStreams, chunk_event, state_event
from serve_app.api.exact_json import ExactRoute
from serve_app.api.exports.arrow_tables import (
    ARROW_STREAM,
    FILE_ENDINGS,
    PARQUET,
    TABLE_WRITERS,
    Tables,
)
from serve_app.api.exports.arrow_tables import (
    OUTCOMES_WITH_RULES as OUTCOME_COLUMNS,
)
from serve_app.api.exports.stored_rebalances import OUTCOME_BATCH_SIZE, portfolios_json
from serve_app.api.exports.stored_tables import outcome_tables
from serve_app.api.idempotency import Idempotent
from serve_app.api.openapi.answer_examples import EVENTS, OUTCOMES
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import Offset, Runs, page_headers
from serve_app.api.responses import json_response
from serve_app.api.run_progress import answer_accepted, progress_json
from serve_app.api.run_retries import retry
from serve_app.api.schemas.audit import Moment
from serve_app.api.schemas.options import build_options
from serve_app.api.schemas.runs import (
    MAX_LISTED_REBALANCES,
    RunAnswer,
    RunRequest,
    build_holdings_ref,
    build_own_options,
    build_selection,
    outcome_line,
)
from serve_app.ports.runs import BeginRun, StoredRuns
from serve_app.problems import catalogue
from serve_app.problems.errors import NotAcceptableError
from serve_app.retries import retry_while_unavailable
from storage.errors import StorageUnavailableError
from storage.rebalances.rebalance import Rebalance, new_rebalance_id
from storage.runs.run import Run, RunStatus

router = APIRouter(prefix="/api/v1", tags=["runs"], route_class=ExactRoute)

LastEvent = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=r"^[0-9]{1,9}$",
        description="number of the last event received; the stream resumes after it",
    ),
]
LastEventQuery = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{1,9}$",
        description="the same, for callers that cannot set a header; the header counts first",
    ),
]
Statuses = Annotated[
    list[RunStatus], Query(default_factory=list, max_length=8, description="states; repeatable")
]
Since = Annotated[Moment | None, Query(description="only runs that were begun then or later")]
LOOK_EVERY_S = 0.5
ALIVE_EVERY = 30  # polls, because proxies close a connection that is silent for long
EVENT_BATCH_SIZE = 500
PATIENCE_S = 20.0  # because it outlasts the election of a new primary
ALIVE = b": still here\n\n"
WRONG_RUN = refuses(catalogue.BAD_ID, catalogue.NOT_FOUND, catalogue.INVALID_REQUEST)
NDJSON = "application/x-ndjson"
BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/runs",
    status_code=202,
    response_model=RunAnswer,
    responses=refuses(
        catalogue.NOT_FOUND,
        catalogue.REQUEST_IN_PROGRESS,
        catalogue.RUN_GOES_ON,
        catalogue.INVALID_REQUEST,
        catalogue.OPTIONS_CONFLICT,
        catalogue.EMPTY_MODEL,
        catalogue.IDEMPOTENCY_KEY_REUSED,
        catalogue.HOLDINGS_FILE,
        catalogue.OVERLOADED,
    ),
)
async def begin_run(
    caller: StartsSomeRebalances,
    body: RunRequest,
    store: StorePort,
    optimizer: OptimizerPort,
    once: Idempotent,
) -> Response:
    """Rebalance models, portfolios, the whole book or the failures of a run, in the background."""
    command = BeginRun(
        new_rebalance_id(),  # made here, because each attempt at the port then names the same run
        build_selection(body),
        build_options(body.options),
        build_own_options(body),
        build_holdings_ref(body.holdings),
        once.claim,
    )
    if body.retry_of is not None:
        command = await retry(store, command, body.retry_of.lower(), body.codes or ())
    caller.require_models(command.selection.model_ids)
    caller.require_portfolios(command.selection.portfolio_ids)
    run, replay = await once(
        lambda: optimizer.begin_run(command), lambda run: run.run_id, store.read_run
    )
    return await answer_accepted(store, run, replay)


@router.get("/runs", response_model=list[RunAnswer], responses=refuses(catalogue.INVALID_REQUEST))
async def list_runs(
    _: ReadsRebalances,
    request: Request,
    store: StorePort,
    status: Statuses,
    since: Since = None,
    offset: Offset = 0,
    limit: Runs = 10,
) -> Response:
    """List runs, the newest first."""
    runs, total = await store.list_runs(offset, limit, frozenset(status), since)
    body = [await progress_json(store, run) for run in runs]
    return json_response(body, 200, page_headers(request, offset, limit, total))


@router.get("/runs/{run_id}", response_model=RunAnswer, responses=WRONG_RUN)
async def read_run(_: ReadsRebalances, run_id: RunId, store: StorePort) -> Response:
    """Read the state of a run."""
    return json_response(await progress_json(store, await store.read_run(run_id)))


@router.delete("/runs/{run_id}", status_code=202, response_model=RunAnswer, responses=WRONG_RUN)
async def cancel_run(
    _: CancelsRuns, run_id: RunId, store: StorePort, optimizer: OptimizerPort
) -> Response:
    """Start no more work of a run; the outcomes of finished and running chunks stay."""
    run = await store.cancel_run(run_id)
    if not run.status.is_over:
        # The replica that works on the run would otherwise learn of it with its next chunk.
        await optimizer.check_cancellation(run.run_id)
    return json_response(await progress_json(store, run), 202)


@router.get(
    "/runs/{run_id}/events",
    responses={
        200: {"content": {"text/event-stream": {"example": EVENTS}}},
        **WRONG_RUN,
        **refuses(catalogue.OVERLOADED),
    },
    response_class=StreamingResponse,
)
async def follow_run(
    _: ReadsRebalances,
    run_id: RunId,
    store: StorePort,
    streams: OpenStreams,
    last: LastEvent = None,
    last_event_id: LastEventQuery = None,
) -> Response:
    """Stream server-sent events: `chunk`, `progress`, and `end` once the run is over."""
    run = await store.read_run(run_id)
    # The header wins, because a browser that reconnects sends it beside the first address.
    return EventStream(_events(store, run, int(last or last_event_id or 0)), streams)


@router.get(
    "/runs/{run_id}/outcomes",
    responses={
        200: {
            "content": {
                NDJSON: {"example": OUTCOMES},
                **dict.fromkeys((PARQUET, ARROW_STREAM), BINARY),
            }
        },
        **WRONG_RUN,
    },
    response_class=StreamingResponse,
)
async def stream_outcomes(
    _: ReadsRebalances, run_id: RunId, accept: Accept, store: StorePort, settings: ServiceSettings
) -> Response:
    """Stream the known outcomes, in the order of rebalances and portfolios.

    As JSON lines, unless Accept asks for Parquet or an Arrow stream.
    """
    media_type = _choose_format(accept)
    run = await store.read_run(run_id)
    headers = {"Vary": "Accept"}
    if media_type == NDJSON:
        lines = _lines(_outcomes(store, run), settings.time_zone)
        return StreamingResponse(lines, 200, headers, NDJSON)
    # The status is in the name, because a partial table must be recognizable as a file, too.
    part = "" if run.status is RunStatus.COMPLETED else f"-{run.status.lower()}"
    name = f"outcomes-{run.run_id}{part}.{FILE_ENDINGS[media_type]}"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    table = TABLE_WRITERS[media_type](OUTCOME_COLUMNS, _tables(store, run))
    return StreamingResponse(table, 200, headers, media_type)


def _choose_format(accept: str) -> str:
    """Choose a media type; lines if none is acceptable, because they once were the only answer."""
    try:
        return choose_media_type(accept, (NDJSON, PARQUET, ARROW_STREAM))
    except NotAcceptableError:
        return NDJSON


async def _events(store: StoredRuns, run: Run, last: int) -> AsyncIterator[bytes]:
    """Stream events after the last one; a comment now and then keeps the connection open.

    If the database is away for long, the stream ends early, and a reconnecting client learns why.
    """
    with suppress(StorageUnavailableError):
        async for event in _follow(store, run, last):
            yield event


async def _follow(store: StoredRuns, run: Run, last: int) -> AsyncIterator[bytes]:
    looks = 0
    while True:
        # The events are read after the state, otherwise the last events could be missed.
        while events := await retry_while_unavailable(
            partial(store.list_run_events, run.run_id, last, EVENT_BATCH_SIZE), PATIENCE_S
        ):
            for event in events:
                yield chunk_event(event)
            last = events[-1].number
            looks = 0
        if looks == 0 or run.status.is_over:
            state = await retry_while_unavailable(partial(progress_json, store, run), PATIENCE_S)
            yield state_event(state, is_over=run.status.is_over)
        if run.status.is_over:
            return
        looks = (looks + 1) % ALIVE_EVERY
        if looks == 0:
            yield ALIVE
        await asyncio.sleep(LOOK_EVERY_S)
        run = await retry_while_unavailable(partial(store.read_run, run.run_id), PATIENCE_S)


async def _lines(
    pages: AsyncIterator[tuple[Rebalance, Sequence[PortfolioOutcome]]], zone: tzinfo
) -> AsyncIterator[bytes]:
    async for part, outcomes in pages:
        portfolios = portfolios_json(part, outcomes, zone)
        yield b"".join(outcome_line(part.rebalance_id, portfolio) for portfolio in portfolios)


async def _tables(store: StorePort, run: Run) -> Tables:
    async for part in _rebalances(store, run):
        async for page in outcome_tables(store, part):
            yield page


async def _outcomes(
    store: StorePort, run: Run
) -> AsyncIterator[tuple[Rebalance, tuple[PortfolioOutcome, ...]]]:
    async for part in _rebalances(store, run):
        for offset in range(0, part.number_of_portfolios, OUTCOME_BATCH_SIZE):
            yield part, await store.list_outcomes(part, offset, OUTCOME_BATCH_SIZE)


async def _rebalances(store: StorePort, run: Run) -> AsyncIterator[Rebalance]:
    last: str | None = None
    while parts := await store.list_run_rebalances(run.run_id, last, MAX_LISTED_REBALANCES):
        for part in parts:
            yield part
        last = parts[-1].rebalance_id
