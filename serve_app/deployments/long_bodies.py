"""Long bodies of POST /optimize: worker tasks that read the text, solve, and write the answer.

Each task cuts its slice of the portfolios out of the text, solves it in arrays, and leaves the JSON
of its answers in the object store, because a single process would take most of its time to parse
and write JSON and to pickle outcomes.
"""

import asyncio
import gc
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import ray
from numpy.typing import NDArray
from ray import ObjectRef

from optimization import BlockOutcome, PortfolioOutcome
from optimization.errors import OptimizationError, UnmatchedIdsError
from serve_app.api.responses import (
    Heading,
    answer_all,
    are_refused,
    flatten_response,
    refuse_all,
)
from serve_app.api.routes.optimize import build_balances
from serve_app.api.schemas.block_elements import write_block
from serve_app.api.schemas.body_slice import BodySlice, find_held_ids, parse_slice
from serve_app.api.schemas.optimize import (
    BodyRefusedError,
    OptimizeBody,
    convert_model,
    convert_options,
    parse_body,
)
from serve_app.api.schemas.rebalances import outcome_json
from serve_app.call_context import CallContext
from serve_app.json_text import encode
from serve_app.ports.optimize import GivenOptions, RawRequest, RawResponse
from serve_app.ray_calls import (
    StoredText,
    await_result,
    count_parallel_tasks,
    fan_out,
    run_in_worker,
)
from serve_app.rebalances.stateless import SolvedPart, optimize_in_arrays, optimize_portfolios
from serve_app.settings import Settings

Text: TypeAlias = NDArray[np.uint8]
MIN_SLICE_BYTES: Final = 1_000_000  # because a task costs some milliseconds, and a MB about 40
MAX_SLICES: Final = 4  # because a task without an idle worker waits seconds for a new process


@dataclass(frozen=True, slots=True)
class SliceReport:
    """Portfolios of a slice, and their outcomes if no portfolio has a plan."""

    portfolio_ids: tuple[str, ...] = ()
    refused: tuple[PortfolioOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class WrittenSlice:
    """Answers of a slice as JSON text without brackets, and the report of the slice."""

    # The text has no repr, because asyncio.run formats its result and drops the string again.
    text: bytes = field(repr=False)
    report: SliceReport


async def answer_text(raw_request: RawRequest, settings: Settings) -> RawResponse:
    """Answer the text of a request; raise BodyRefusedError or RuleError for invalid text."""
    body = parse_body(raw_request.text)
    model, options = convert_model(body), convert_options(body)
    limit_s, balances = settings.optimization_timeout, build_balances(body)
    outcomes = await optimize_portfolios(model, balances, body.prices, options, limit_s, settings)
    return flatten_response(await answer_all(raw_request.path, _heading(raw_request), outcomes, {}))


async def answer_in_workers(raw_request: RawRequest, settings: Settings) -> RawResponse:
    """Answer in worker processes, because parsing the text here would block the event loop."""
    at_a_time = await count_parallel_tasks(settings)
    slices = min(at_a_time, len(raw_request.text) // MIN_SLICE_BYTES, MAX_SLICES)
    if slices > 1:
        try:
            return await _answer_by_slices(raw_request, slices, settings)
        except (BodyRefusedError, OptimizationError):
            pass  # the task below reads the whole request and finds the place in it
    context = CallContext.capture_for_worker()
    return await await_result(_text_task.remote(raw_request, settings, context))


async def _answer_by_slices(
    raw_request: RawRequest, slices: int, settings: Settings
) -> RawResponse:
    stored = ray.put(raw_request)
    texts: dict[int, ObjectRef[Text]] = {}

    def submit(number: int, _: Sequence[int]) -> ObjectRef[list[tuple[SliceReport, int]]]:
        body_slice = BodySlice(number, slices)
        task: Any = _slice_task  # because the type of a task has only one result
        context = CallContext.capture_for_worker()
        report, texts[number] = task.remote(stored, body_slice, settings, context)
        return report

    reports = await fan_out(range(slices), 1, submit, slices)
    require_distinct([report for report, _ in reports])
    written = [number for number, (_, size) in enumerate(reports) if size]
    if all(reports[number][0].refused for number in written):
        refused = [outcome for report, _ in reports for outcome in report.refused]
        return flatten_response(refuse_all(raw_request.path, _heading(raw_request), refused, {}))
    length = sum(size for _, size in reports) + len(written) + len("[]") - 1
    headers = {"content-type": "application/json", "content-length": str(length)}
    parts = (StoredText(texts[number], reports[number][1]) for number in written)
    return RawResponse(200, headers, tuple(parts))


def require_distinct(reports: Iterable[SliceReport]) -> None:
    """Raise BodyRefusedError if a portfolio is in two slices; each slice has checked its own."""
    ids = [portfolio_id for report in reports for portfolio_id in report.portfolio_ids]
    if len(set(ids)) < len(ids):
        raise BodyRefusedError


async def answer_slice(
    raw_request: RawRequest, body_slice: BodySlice, settings: Settings
) -> WrittenSlice:
    """Answer a slice of the portfolios of a request.

    Raises BodyRefusedError or an OptimizationError if the request is refused. The place in the
    error may be wrong for the whole body, because only the slice is validated.
    """
    body = parse_slice(raw_request.text, body_slice)
    if body is None:
        return WrittenSlice(b"", SliceReport())
    model, options = convert_model(body), _parse_options(body, raw_request.text)
    limit_s, balances = settings.optimization_timeout, build_balances(body)
    parts = await optimize_in_arrays(model, balances, body.prices, options, limit_s)
    report = SliceReport(model.portfolio_ids, _list_refused(parts, len(balances)))
    return WrittenSlice(_write(_heading(raw_request), parts, len(balances)), report)


def _parse_options(body: OptimizeBody, text: bytes) -> GivenOptions:
    """Convert the options of a slice, which may name a security that only another slice holds."""
    try:
        return convert_options(body)
    except UnmatchedIdsError:
        return convert_options(body, find_held_ids(text))


def _list_refused(parts: Iterable[SolvedPart], count: int) -> tuple[PortfolioOutcome, ...]:
    """List the outcomes of ``count`` portfolios in order if none has a plan, otherwise none."""
    refusals: dict[int, PortfolioOutcome] = {}
    for part in parts:
        refusals |= part.objects()
    outcomes = tuple(refusals[place] for place in sorted(refusals))
    return outcomes if len(outcomes) == count and are_refused(outcomes) else ()


def _write(heading: Heading, parts: Iterable[SolvedPart], count: int) -> bytes:
    """Write the elements of ``count`` portfolios in order, without brackets."""
    texts = [b""] * count
    for part in parts:
        for place, text in zip(part.places, _elements(heading, part.outcomes), strict=True):
            texts[place] = text
    return b",".join(texts)


def _elements(
    heading: Heading, outcomes: BlockOutcome | Sequence[PortfolioOutcome]
) -> Iterator[bytes]:
    members = heading.rebalance_id, heading.model_id, heading.lines
    if isinstance(outcomes, BlockOutcome):
        return write_block(outcomes, *members)
    return (encode(outcome_json(outcome, *members)) for outcome in outcomes)


def _heading(raw_request: RawRequest) -> Heading:
    return Heading(None, None, raw_request.trade_date)


# The task takes no processor, because it may wait for tasks that need one to solve.
@ray.remote(num_cpus=0, max_retries=3, retry_exceptions=False)
def _text_task(raw_request: RawRequest, settings: Settings, context: CallContext) -> RawResponse:
    """Answer the text of a request, in a worker process."""
    return asyncio.run(run_in_worker(answer_text(raw_request, settings), context))


@ray.remote(num_cpus=1, num_returns=2, max_retries=3, retry_exceptions=False)
def _slice_task(
    raw_request: RawRequest, body_slice: BodySlice, settings: Settings, context: CallContext
) -> tuple[list[tuple[SliceReport, int]], Text]:
    """Answer a slice of a request, in a worker process."""
    answering = answer_slice(raw_request, body_slice, settings)
    with _without_collector():
        written = asyncio.run(run_in_worker(answering, context))
    text = np.frombuffer(written.text, dtype=np.uint8)  # because arrays are read without a copy
    return [(written.report, text.size)], text


@contextmanager
def _without_collector() -> Generator[None]:
    """Run the block without the garbage collector.

    The collector would otherwise visit a million live objects again and again and take half of the
    time, although hardly any object is part of a cycle.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
