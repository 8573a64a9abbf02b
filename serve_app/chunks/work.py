"""Work on a chunk of portfolios, from holdings to outcomes, for direct rebalances and for runs."""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from optimization import (
    Model,
    OpenOrders,
    OptionOverrides,
    PortfolioOutcome,
    RebalanceOptions,
    Refusal,
    require_targets,
)
from optimization.errors import OptimizationError, OptionsConflictError, RuleError
from serve_app.call_context import correlation_id
from serve_app.chunks.assumed_fills import as_if_filled, counted_orders
from serve_app.chunks.fetch import fetch_chunk, source_of
from serve_app.chunks.solve import OwnOptions, refused_outcome, solve_chunk
from serve_app.chunks.unmatched_ids import held_outside, require_matched
from serve_app.observability.metrics import count_solved
from serve_app.resources import Resources
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
    own = _own_options(work, chunk)
    counting = [each for each in chunk.portfolio_ids if _counts(own.get(each, work.options))]
    # Orders before holdings, because otherwise an order filled between the two reads would be
    # missing from both.
    orders = await counted_orders(counting, resources) if counting else {}
    found = await fetch_chunk(
        work.run.securities,
        chunk.portfolio_ids,
        source_of(work.settings, resources, work.holdings),
        resources.securities,
        work.snapshot,
        work.tries,
        frozenset(order.security_id for row in orders.values() for order in row),
    )
    if orders:
        found = as_if_filled(found, orders)
    if work.must_match is not None:
        require_matched(work.must_match, work.run.securities, found)
    solving = time.perf_counter()
    outcomes = await solve_chunk(work.run.securities, found, work.options, count_solved, own)
    if orders:
        outcomes = [
            replace(one, counted_orders=len(orders.get(one.portfolio_id, ()))) for one in outcomes
        ]
    return outcomes, {"fetch": solving - begin, "solve": time.perf_counter() - solving}


def _own_options(work: Work, chunk: Chunk) -> OwnOptions:
    """Merge the options of portfolios that have their own over the options of all."""
    own = work.run.overrides_by_portfolio
    return {each: _override(work.options, own[each]) for each in chunk.portfolio_ids if each in own}


def _override(
    options: RebalanceOptions, overrides: OptionOverrides
) -> RebalanceOptions | OptimizationError:
    """Replace options by name; return the error if the result is invalid."""
    try:
        return overrides.apply_to(options)
    except (RuleError, OptionsConflictError) as error:
        return error


def _counts(options: RebalanceOptions | OptimizationError) -> bool:
    return isinstance(options, RebalanceOptions) and options.open_orders is OpenOrders.COUNT


async def match(
    run: Rebalance, outcomes: Iterable[PortfolioOutcome], rebalances: RebalanceStore
) -> None:
    """Record the ids named by options that these portfolios hold."""
    if not run.unmatched:
        return
    if held := set(held_outside(outcomes)).intersection(run.unmatched):
        await rebalances.match(run.rebalance_id, held)


def options_for(
    model: Model,
    overrides: OptionOverrides,
    settings: Settings,
    with_own: Collection[str] = (),
) -> RebalanceOptions:
    """Merge the options of a request over those of the model.

    Raises EmptyModelError if they would sell everything unasked, and OptionsConflictError.
    ``with_own`` are portfolios with options of their own.
    """
    options = replace(
        model.options or RebalanceOptions(), time_limit_s=settings.optimization_timeout
    )
    options = overrides.apply_to(options)
    require_targets_of(model, options, with_own)
    return options


def require_targets_of(model: Model, options: RebalanceOptions, with_own: Collection[str]) -> None:
    """Raise EmptyModelError if all portfolios have these options and they do not allow it."""
    if not with_own:  # because otherwise each portfolio is checked when it is solved
        require_targets(model.targets, options)


def named_beyond(
    model: Model, options: RebalanceOptions, own: Iterable[RebalanceOptions] = ()
) -> tuple[str, ...]:
    """List the securities that restrictions name and the model lacks, sorted."""
    known = {target.security_id for target in model.targets}
    found = (security_id for each in (options, *own) for _, security_id in each.unmatched(known))
    return tuple(sorted(set(found)))
