"""Worker task for long bodies of POST /optimize: text in, text out."""

import asyncio

import ray

from serve_app.api.responses import Heading, answer_of_all, raw_response_of
from serve_app.api.routes.optimize import balances_of
from serve_app.api.schemas.optimize import convert_model, convert_options, parse_body
from serve_app.call_context import correlation_id, sendable_s, within
from serve_app.observability.logs import correlate_logs
from serve_app.ports.optimize import RawRequest, RawResponse
from serve_app.ray_calls import result_of
from serve_app.rebalances.stateless import optimize_portfolios
from serve_app.settings import Settings


async def answer_text(asked: RawRequest, settings: Settings) -> RawResponse:
    """Answer the text of a request; raise BodyRefusedError or RuleError for invalid text."""
    body = parse_body(asked.text)
    model, options = convert_model(body), convert_options(body)
    limit_s, balances = settings.optimization_timeout, balances_of(body)
    found = await optimize_portfolios(model, balances, body.prices, options, settings, limit_s)
    heading = Heading(None, None, asked.trade_date)
    return raw_response_of(await answer_of_all(asked.path, heading, found, {}))


async def answer_in_worker(asked: RawRequest, settings: Settings) -> RawResponse:
    """Answer in a worker process, because parsing the text here would block the event loop."""
    task = _text_task.remote(asked, settings, correlation_id.get(), sendable_s())
    return await result_of(task)


# The task takes no processor, because it may wait for tasks that need one to solve.
@ray.remote(num_cpus=0, max_retries=3, retry_exceptions=False)
def _text_task(
    asked: RawRequest, settings: Settings, correlated: str, within_s: float | None
) -> RawResponse:
    """Answer the text of a request, in a worker process."""
    return asyncio.run(_answer_in_context(asked, settings, correlated, within_s))


# Apart from the task, because Ray pickles a task's function with the globals that it names, and a
# context variable cannot be pickled.
async def _answer_in_context(
    asked: RawRequest, settings: Settings, correlated: str, within_s: float | None
) -> RawResponse:
    correlate_logs()
    correlation_id.set(correlated)
    with within(within_s):
        return await answer_text(asked, settings)
