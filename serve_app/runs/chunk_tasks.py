"""The Ray tasks of runs: one chunk of portfolios each, in worker processes.

Every outcome is written under a key made of the rebalance and the portfolio's place in it, so a task
that runs twice changes nothing.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import ray
from ray import ObjectRef

from optimization.domain.options import OpenOrders, RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome, Refusal, Status
from optimization.errors import OptimizationError
from serve_app.chunks.assumed_fills import as_if_filled, counted_orders
from serve_app.chunks.solve import fetch_chunk, refused_outcome, require_matched, solve_chunk
from serve_app.chunks.unmatched_ids import held_outside, own_options
from serve_app.deadline import reserved_for, within
from serve_app.observability.correlation import correlation_id
from serve_app.observability.logs import correlate_logs
from serve_app.observability.metrics import OBSERVERS, count_solved
from serve_app.ray_calls import fan_out, tasks_at_a_time
from serve_app.resources import Resources, open_resources, source_of
from serve_app.settings import Settings
from serve_app.upstream.prices import PriceSnapshot
from storage.chunk_store import Chunk, Report
from storage.mongo.connection import WRITER_TIMEOUT_S
from storage.rebalance import Rebalance
from storage.rebalance_store import RebalanceStore
from storage.run import HoldingsRef

# Below the replicas, so that single rebalances do not wait for a run over a book.
NICENESS = 10


@dataclass(frozen=True, slots=True)
class Work:
    """What all chunks of one rebalance share; put into the object store once."""

    settings: Settings
    run: Rebalance
    snapshot: PriceSnapshot
    options: RebalanceOptions
    correlation_id: str
    holdings: HoldingsRef
    refusal: Refusal | None = None  # why no portfolio of it can be rebalanced
    tries: int = 1  # for a portfolio whose balances cannot be had though others can
    must_match: RebalanceOptions | None = None  # restrictions of which nobody must be unknown


async def outcomes_of(
    work: Work, chunk: Chunk, resources: Resources
) -> tuple[list[PortfolioOutcome], Mapping[str, float]]:
    """What becomes of the portfolios of a chunk: all fetching first, then one block; seconds by stage."""
    correlation_id.set(work.correlation_id)
    if work.refusal is not None:
        return [refused_outcome(each, work.refusal) for each in chunk.portfolio_ids], {}
    begin = time.perf_counter()
    own = own_options(work.run, work.options, chunk.portfolio_ids)
    counting = [each for each in chunk.portfolio_ids if _counts(own.get(each, work.options))]
    # Before the holdings: an order that is still open now was not booked yet when they are read.
    orders = await counted_orders(counting, resources)
    found = await fetch_chunk(
        work.run.securities,
        chunk.portfolio_ids,
        source_of(work.settings, resources, work.holdings),
        resources.securities,
        work.snapshot,
        work.tries,
        frozenset(order.security_id for row in orders.values() for order in row),
    )
    found = as_if_filled(found, orders)
    if work.must_match is not None:
        require_matched(work.must_match, work.run.securities, found)
    solving = time.perf_counter()
    outcomes = await solve_chunk(work.run.securities, found, work.options, count_solved, own)
    outcomes = [
        replace(each, counted_orders=len(orders.get(each.portfolio_id, ()))) for each in outcomes
    ]
    return outcomes, {"fetch": solving - begin, "solve": time.perf_counter() - solving}


def _counts(options: RebalanceOptions | OptimizationError) -> bool:
    return isinstance(options, RebalanceOptions) and options.open_orders is OpenOrders.COUNT


async def match(
    run: Rebalance, outcomes: Iterable[PortfolioOutcome], rebalances: RebalanceStore
) -> None:
    """Note which securities that options name are held by these portfolios."""
    held = set(held_outside(outcomes)).intersection(run.unmatched)
    if held:
        await rebalances.match(run.rebalance_id, held)


async def preview_chunks(work: Work, whole: Chunk) -> tuple[PortfolioOutcome, ...]:
    """The outcomes of all portfolios, by tasks that store nothing; the first error ends the others."""
    shared, settings = ray.put(work), work.settings

    def submit(
        first: int, ids: Sequence[str], within_s: float | None
    ) -> ObjectRef[list[PortfolioOutcome]]:
        part = Chunk(whole.rebalance_id, first, tuple(ids))
        return _preview_task.remote(shared, part, within_s)

    at_a_time = tasks_at_a_time(settings)
    return await fan_out(whole.portfolio_ids, settings.run_chunk_size, submit, at_a_time)


async def record_chunk(
    work: Work, chunk: Chunk, resources: Resources, within_s: float | None
) -> Report | None:
    """Fetch, solve and record one chunk; None if its run may begin no more of them."""
    run_id = work.run.run_id
    if run_id is not None and not await resources.book_runs.begin_chunk(run_id):
        return None
    with within(within_s), reserved_for(len(chunk.portfolio_ids)):
        outcomes, seconds = await outcomes_of(work, chunk, resources)
    begin = time.perf_counter()
    counts = await resources.rebalances.record(chunk.rebalance_id, chunk.ordinals, outcomes)
    await match(work.run, outcomes, resources.rebalances)
    return report_of(outcomes, counts, {**seconds, "write": time.perf_counter() - begin})


# A lost worker or node is tried again, an error of ours is not.
@ray.remote(num_cpus=1, max_retries=3, retry_exceptions=False)
def chunk_task(work: Work, chunk: Chunk, within_s: float | None) -> Report | None:
    """Do one chunk, in a worker process."""
    worker = _worker(work.settings)
    return worker.runner.run(record_chunk(work, chunk, worker.resources, within_s))


@ray.remote(num_cpus=1, max_retries=3, retry_exceptions=False)
def _preview_task(work: Work, chunk: Chunk, within_s: float | None) -> list[PortfolioOutcome]:
    """Fetch and solve one chunk."""
    worker = _worker(work.settings)

    async def fetched_solved() -> list[PortfolioOutcome]:
        with within(within_s):
            outcomes, _ = await outcomes_of(work, chunk, worker.resources)
        return outcomes

    return worker.runner.run(fetched_solved())


def report_of(
    outcomes: list[PortfolioOutcome], counts: Mapping[Status, int], seconds: Mapping[str, float]
) -> Report:
    """What is noted of a chunk whose outcomes are stored."""
    methods = Counter(one.certificate.method.value for one in outcomes if one.certificate)
    return Report(counts, methods, seconds)


@ray.remote(num_cpus=1)
def _warm_task(settings: Settings) -> None:
    """Load what a chunk needs, so that the first run does not wait for it."""
    _worker(settings)


def warm_workers(settings: Settings, count: int) -> None:
    """Have so many worker processes ready; returns at once."""
    for _ in range(count):
        _warm_task.remote(settings)


@dataclass(frozen=True, slots=True)
class _Worker:
    """The event loop of a worker process, kept with its connections from task to task."""

    runner: asyncio.Runner
    resources: Resources


@cache
def _worker(settings: Settings) -> _Worker:
    os.nice(NICENESS)
    correlate_logs()
    runner = asyncio.Runner()

    async def open_here() -> Resources:
        return open_resources(settings, OBSERVERS, timeout_ms=WRITER_TIMEOUT_S * 1000)

    return _Worker(runner, runner.run(open_here()))
