"""The Ray tasks of drift scans: one page of portfolios each, in worker processes."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import ray

from optimization import DriftSummary, PricedTarget
from serve_app.call_context import CallContext
from serve_app.ray_calls import await_result
from serve_app.rebalances.drift import measure_followers
from serve_app.resources import Resources
from serve_app.runs.task_worker import run_in_worker
from serve_app.settings import Settings
from serve_app.upstream.prices import PriceSnapshot

Measure: TypeAlias = Callable[
    [tuple[PricedTarget, ...], Sequence[str]], Awaitable[tuple[DriftSummary, ...]]
]
"""Measures portfolios against the targets of a model at their prices."""
OpenMeter: TypeAlias = Callable[[Settings, Resources, PriceSnapshot], Measure]
"""Opens the meter of one scan."""


@ray.remote(num_cpus=1, max_retries=3, retry_exceptions=False)
def _measure_task(
    settings: Settings,
    snapshot: PriceSnapshot,
    securities: tuple[PricedTarget, ...],
    portfolio_ids: Sequence[str],
    context: CallContext,
) -> tuple[DriftSummary, ...]:
    """Fetch and measure one page of portfolios in a worker process."""

    async def measure(resources: Resources) -> tuple[DriftSummary, ...]:
        tries = settings.run_chunk_tries
        with context.activate():
            return await measure_followers(resources, snapshot, tries, securities, portfolio_ids)

    return run_in_worker(settings, measure)


def open_task_meter(settings: Settings, _: Resources, snapshot: PriceSnapshot) -> Measure:
    """Open the meter of one scan; its tasks open resources of their own."""
    shared = ray.put(snapshot)

    async def measure(
        securities: tuple[PricedTarget, ...], portfolio_ids: Sequence[str]
    ) -> tuple[DriftSummary, ...]:
        start: Any = _measure_task  # because its type knows nothing of references
        context = CallContext.capture()
        return await await_result(
            start.remote(settings, shared, securities, portfolio_ids, context)
        )

    return measure
