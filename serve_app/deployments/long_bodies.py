"""Long bodies of POST /optimize, read and answered in a worker process: text in, text out."""

import asyncio

import ray

from serve_app.api.responses import Heading, answer_of_all, written_of
from serve_app.api.routes.optimize import balances_of
from serve_app.api.schemas.optimize import given, given_model, given_options
from serve_app.deadline import sendable_s, within
from serve_app.observability.correlation import correlation_id
from serve_app.observability.logs import correlate_logs
from serve_app.ports.optimize import RawRequest, RawResponse
from serve_app.ray_calls import result_of
from serve_app.rebalances.stateless import optimize_portfolios
from serve_app.settings import Settings


async def answered(asked: RawRequest, settings: Settings) -> RawResponse:
    """The answer to the text of a request; raises BodyRefusedError and RuleError."""
    body = given(asked.text)
    model, options = given_model(body), given_options(body)
    limit_s, balances = settings.optimization_timeout, balances_of(body)
    found = await optimize_portfolios(model, balances, body.prices, options, settings, limit_s)
    heading = Heading(None, None, asked.trade_date)
    return written_of(await answer_of_all(asked.path, heading, found, {}))


async def answered_elsewhere(asked: RawRequest, settings: Settings) -> RawResponse:
    """Answer in a worker process, because reading the text would hold up the event loop here."""
    task = _text_task.remote(asked, settings, correlation_id.get(), sendable_s())
    return await result_of(task)


# It may wait for tasks that solve: it takes no processor from them.
@ray.remote(num_cpus=0, max_retries=3, retry_exceptions=False)
def _text_task(
    asked: RawRequest, settings: Settings, correlated: str, within_s: float | None
) -> RawResponse:
    """Read a request and answer it, in a worker process."""
    return asyncio.run(_answered_there(asked, settings, correlated, within_s))


# Ray pickles the function of a task with the globals that it names, and a context variable cannot be.
async def _answered_there(
    asked: RawRequest, settings: Settings, correlated: str, within_s: float | None
) -> RawResponse:
    correlate_logs()
    correlation_id.set(correlated)
    with within(within_s):
        return await answered(asked, settings)
