"""Work on a chunk of portfolios, from holdings to outcomes, for direct rebalances and for runs."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from optimization import OpenOrders, PortfolioOutcome, RebalanceOptions, Refusal
from optimization.errors import OptimizationError
from serve_app.call_context import correlation_id
from serve_app.chunks.assumed_fills import as_if_filled, counted_orders
from serve_app.chunks.fetch import fetch_chunk
from serve_app.chunks.outcomes import refused_outcome
from serve_app.chunks.own_options import own_options
from serve_app.chunks.solve import solve_chunk
from serve_app.chunks.unmatched_ids import held_outside, require_matched
from serve_app.observability.metrics import count_solved
from serve_app.resources import Resources, source_of
from serve_app.settings import Settings
from serve_app.upstream.prices import PriceSnapshot
from storage.chunk_store import Chunk
from storage.rebalance import Rebalance
from storage.rebalance_store import RebalanceStore
from storage.run import HoldingsRef


@dataclass(frozen=True, slots=True)
class Work:
    """Input that all chunks of one rebalance share; put into the object store once."""

    settings: Settings
    run: Rebalance
    snapshot: PriceSnapshot
    options: RebalanceOptions
    correlation_id: str
    holdings: HoldingsRef
    refusal: Refusal | None = None  # of all portfolios
    tries: int = 1  # for a portfolio whose balances are missing while others arrive
    must_match: RebalanceOptions | None = None  # restrictions that may name no unknown id


async def outcomes_of(
    work: Work, chunk: Chunk, resources: Resources
) -> tuple[list[PortfolioOutcome], Mapping[str, float]]:
    """Fetch and solve the portfolios of a chunk; return their outcomes and the seconds by stage."""
    correlation_id.set(work.correlation_id)
    if work.refusal is not None:
        return [refused_outcome(each, work.refusal) for each in chunk.portfolio_ids], {}
    begin = time.perf_counter()
    own = own_options(work.run, work.options, chunk.portfolio_ids)
    counting = [each for each in chunk.portfolio_ids if _counts(own.get(each, work.options))]
    # Orders before holdings, because otherwise an order filled between the two reads would be
    # missing from both.
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
    """Record the ids named by options that these portfolios hold."""
    held = set(held_outside(outcomes)).intersection(run.unmatched)
    if held:
        await rebalances.match(run.rebalance_id, held)
