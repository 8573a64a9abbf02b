"""Uploads to POST /optimize: a worker task reads the tables, solves, and writes the answer."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import ray
from starlette.responses import Response

from optimization import PortfolioOutcome
from serve_app.api.media_types import CSV, JSON, PARQUET, XLSX
from serve_app.api.problem_responses import response
from serve_app.api.responses import (
    Heading,
    answer_all,
    are_refused,
    flatten_response,
    refuse_all,
)
from serve_app.call_context import CallContext, reserve_time
from serve_app.files.faults import FilesRefusedError
from serve_app.files.request import GivenRequest
from serve_app.files.solve import solve_request
from serve_app.files.upload import read_upload
from serve_app.files.writers import write_csv, write_parquet, write_workbook
from serve_app.ports.optimize import RawResponse, Upload
from serve_app.problems import catalogue
from serve_app.ray_calls import await_result, run_in_worker
from serve_app.settings import Settings

MAX_POSITIONS: Final = 100_000  # of an answer, about 70 MB of JSON
VARY: Final = {"Vary": "Accept"}
ENDINGS: Final = {CSV: "csv", XLSX: "xlsx", PARQUET: "parquet"}
Notes = Mapping[str, str]
WRITERS: Final[Mapping[str, Callable[[str, Sequence[PortfolioOutcome], Notes], bytes]]] = {
    CSV: write_csv,
    PARQUET: write_parquet,
    XLSX: lambda _, outcomes, notes: write_workbook(outcomes, notes),
}


async def answer_upload_in_worker(upload: Upload, settings: Settings) -> RawResponse:
    """Answer in a worker process, because reading tables here would block the event loop."""
    task: Any = _upload_task
    context = CallContext.capture_for_worker()
    return await await_result(task.remote(upload, settings, context))


async def answer_upload(upload: Upload, settings: Settings) -> RawResponse:
    """Answer an upload; faults of its files are answered as a problem that names their places."""
    try:
        request = await read_upload(upload.data, upload.content_type)
    except FilesRefusedError as error:
        return flatten_response(_refuse(upload.path, error))
    # The time to answer is reserved, otherwise a search would go on until the answer is due.
    with reserve_time(len(request.body.portfolios)):
        outcomes = await solve_request(request, time_limit_s=settings.optimization_timeout)
    return flatten_response(await _answer(upload, request, outcomes))


async def _answer(
    upload: Upload, request: GivenRequest, outcomes: Sequence[PortfolioOutcome]
) -> Response:
    positions = sum(len(element.before) for element in outcomes)
    are_listed = upload.positions and positions <= MAX_POSITIONS
    heading = Heading(None, None, upload.trade_date, request.notes, positions=are_listed)
    # A header has the notes, too, because a list of trades has no column for them.
    common = {**VARY, "Notes": request.summary} if request.notes else VARY
    if upload.answer_type == JSON:
        return await answer_all(upload.path, heading, outcomes, common)
    if are_refused(outcomes):
        return refuse_all(upload.path, heading, outcomes, common)
    text = WRITERS[upload.answer_type](upload.table, outcomes, request.notes)
    name = "rebalance" if upload.answer_type == XLSX else upload.table
    counts = Counter(outcome.status.value for outcome in outcomes)
    headers = {
        **common,
        "Content-Disposition": f'attachment; filename="{name}.{ENDINGS[upload.answer_type]}"',
        # A header has the counts, because a list of trades shows no portfolio without a plan.
        "Outcomes": ", ".join(f"{status}={count}" for status, count in sorted(counts.items())),
    }
    return Response(text, headers=headers, media_type=upload.answer_type)


def _refuse(path: str, error: FilesRefusedError) -> Response:
    members: dict[str, Any] = {"errors": [fault.members for fault in error.faults]}
    if error.omitted:
        members["errors_omitted"] = error.omitted
    return response(catalogue.INVALID_REQUEST, str(error), path, members, VARY)


@ray.remote(num_cpus=1, max_retries=3, retry_exceptions=False)
def _upload_task(upload: Upload, settings: Settings, context: CallContext) -> RawResponse:
    """Answer an upload, in a worker process."""
    return asyncio.run(run_in_worker(answer_upload(upload, settings), context))
