"""Long bodies of POST /optimize: worker tasks that read the text, solve, and write the answer.

Each task reads the whole text, keeps its share of the portfolios, and leaves the JSON of its
answers in the object store, because a single process would take most of its time to write JSON and
to pickle outcomes.
"""

import asyncio
import gc
from collections.abc import Awaitable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import ray
from numpy.typing import NDArray
from ray import ObjectRef

from optimization import PortfolioOutcome
from optimization.errors import OptimizationError
from serve_app.api.responses import (
    Heading,
    answer_of_all,
    are_refused,
    raw_response_of,
    refuse_all,
    write_elements,
)
from serve_app.api.routes.optimize import balances_of
from serve_app.api.schemas.optimize import (
    BodyRefusedError,
    Share,
    convert_model,
    convert_options,
    parse_body,
    parse_share,
)
from serve_app.call_context import correlation_id, sendable_s, set_deadline
from serve_app.observability.logs import correlate_logs
from serve_app.ports.optimize import RawRequest, RawResponse
from serve_app.ray_calls import StoredText, fan_out, result_of, tasks_at_a_time
from serve_app.rebalances.stateless import optimize_portfolios
from serve_app.settings import Settings

T = TypeVar("T")
Text: TypeAlias = NDArray[np.uint8]
MIN_SHARE_BYTES: Final = 1_000_000  # because a task costs some milliseconds, and reading 15 per MB
MAX_SHARES: Final = 4  # because every task reads the whole text, up to 200 MiB as objects


@dataclass(frozen=True, slots=True)
class WrittenShare:
    """Answers of a share as JSON text without brackets; their outcomes, too, if none has a plan."""

    text: bytes
    refused: tuple[PortfolioOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class ShareReport:
    """Size of the text of a share; the outcomes of its portfolios if none has a plan."""

    text_bytes: int
    refused: tuple[PortfolioOutcome, ...]


async def answer_text(asked: RawRequest, settings: Settings) -> RawResponse:
    """Answer the text of a request; raise BodyRefusedError or RuleError for invalid text."""
    body = parse_body(asked.text)
    model, options = convert_model(body), convert_options(body)
    limit_s, balances = settings.optimization_timeout, balances_of(body)
    found = await optimize_portfolios(model, balances, body.prices, options, limit_s, settings)
    return raw_response_of(await answer_of_all(asked.path, _heading(asked), found, {}))


async def answer_in_workers(asked: RawRequest, settings: Settings) -> RawResponse:
    """Answer in worker processes, because parsing the text here would block the event loop."""
    shares = min(tasks_at_a_time(settings), len(asked.text) // MIN_SHARE_BYTES, MAX_SHARES)
    if shares > 1:
        try:
            return await _answer_by_shares(asked, shares, settings)
        except (BodyRefusedError, OptimizationError):
            pass  # the whole request is refused; a reading of the whole finds the place
    return await result_of(_text_task.remote(asked, settings, correlation_id.get(), sendable_s()))


async def _answer_by_shares(asked: RawRequest, shares: int, settings: Settings) -> RawResponse:
    stored, correlated = ray.put(asked), correlation_id.get()
    texts: dict[int, ObjectRef[Text]] = {}

    def submit(
        number: int, _: Sequence[int], within_s: float | None
    ) -> ObjectRef[list[ShareReport]]:
        share = Share(number, shares)
        task: Any = _share_task  # because its type knows of one result alone
        report, texts[number] = task.remote(stored, share, settings, correlated, within_s)
        return report

    reports = await fan_out(range(shares), 1, submit, shares)
    written = [number for number, report in enumerate(reports) if report.text_bytes]
    if all(reports[number].refused for number in written):
        refused = [outcome for report in reports for outcome in report.refused]
        return raw_response_of(refuse_all(asked.path, _heading(asked), refused, {}))
    length = sum(report.text_bytes for report in reports) + len(written) + len("[]") - 1
    headers = {"content-type": "application/json", "content-length": str(length)}
    stored = (StoredText(texts[number], reports[number].text_bytes) for number in written)
    return RawResponse(200, headers, tuple(stored))


async def answer_share(asked: RawRequest, share: Share, settings: Settings) -> WrittenShare:
    """Answer a share of the portfolios of a request.

    Raises BodyRefusedError or an OptimizationError if the request is refused, not always with the
    true place in the body, because the share is all that it validates.
    """
    parsed = parse_share(asked.text, share)
    if parsed is None:
        return WrittenShare(b"")
    body, held = parsed
    model, options = convert_model(body), convert_options(body, held)
    limit_s, balances = settings.optimization_timeout, balances_of(body)
    found = await optimize_portfolios(model, balances, body.prices, options, limit_s)
    text = await write_elements(_heading(asked), found)
    return WrittenShare(text, found if are_refused(found) else ())


def _heading(asked: RawRequest) -> Heading:
    return Heading(None, None, asked.trade_date)


# The task takes no processor, because it may wait for tasks that need one to solve.
@ray.remote(num_cpus=0, max_retries=3, retry_exceptions=False)
def _text_task(
    asked: RawRequest, settings: Settings, correlated: str, within_s: float | None
) -> RawResponse:
    """Answer the text of a request, in a worker process."""
    return asyncio.run(_run_in_context(answer_text(asked, settings), correlated, within_s))


@ray.remote(num_cpus=1, num_returns=2, max_retries=3, retry_exceptions=False)
def _share_task(
    asked: RawRequest, share: Share, settings: Settings, correlated: str, within_s: float | None
) -> tuple[list[ShareReport], Text]:
    """Answer a share of a request, in a worker process."""
    answering = answer_share(asked, share, settings)
    with _without_collector():
        written = asyncio.run(_run_in_context(answering, correlated, within_s))
    text = np.frombuffer(written.text, dtype=np.uint8)  # because arrays are read without a copy
    return [ShareReport(text.size, written.refused)], text


# Apart from the tasks, because Ray pickles a task's function with the globals that it names, and a
# context variable cannot be pickled.
async def _run_in_context(work: Awaitable[T], correlated: str, within_s: float | None) -> T:
    correlate_logs()
    correlation_id.set(correlated)
    with set_deadline(within_s):
        return await work


@contextmanager
def _without_collector() -> Generator[None]:
    """Run the block without the garbage collector.

    The collector would otherwise visit a million live objects again and again, for half of the
    time; hardly one of them is part of a cycle.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
