"""Work on a chunk of portfolios, from holdings to outcomes, for direct rebalances and for runs."""

import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from optimization import (
    BlockOutcome,
    Model,
    OpenOrders,
    OptionOverrides,
    PortfolioOutcome,
    RebalanceOptions,
    Refusal,
    rebalance_block,
    require_targets,
)
from optimization.errors import (
    EmptyModelError,
    OptimizationError,
    OptionsConflictError,
    RuleError,
    SolverInterruptedError,
)
from serve_app.call_context import correlation_id
from serve_app.chunks.assumed_fills import assume_fills, fetch_counted_orders
from serve_app.chunks.blocks import complete_outcome, list_separate_outcomes, price_block
from serve_app.chunks.fetch import find_source, price_balances
from serve_app.chunks.solve import (
    NarrowOptions,
    OwnOptions,
    refused_outcome,
    solve_chunk,
    solve_in_thread,
)
from serve_app.chunks.unmatched_ids import list_other_holdings, require_matched
from serve_app.observability.metrics import count_solved
from serve_app.resources import Resources
from serve_app.rules.options import depends_on_value, narrow_by_value
from serve_app.rules.refusals import name_rules
from serve_app.settings import Settings
from serve_app.upstream.holdings.block import fetch_block
from serve_app.upstream.holdings.source import fetch_holdings
from serve_app.upstream.prices import PriceSnapshot
from storage.rebalances.rebalance import Rebalance
from storage.rebalances.rebalance_store import RebalanceStore
from storage.runs.chunk_store import Chunk
from storage.runs.run import HoldingsRef

DEFAULT_OPTIONS: Final = RebalanceOptions()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RebalanceInput:
    """Input that all chunks of one rebalance share; put into the object store once."""

    settings: Settings
    rebalance: Rebalance
    snapshot: PriceSnapshot
    options: RebalanceOptions
    correlation_id: str
    holdings: HoldingsRef
    refusal: Refusal | None = None  # refuses every portfolio
    tries: int = 1  # limit for a portfolio whose balances are missing while others arrive
    must_match: RebalanceOptions | None = None  # restrictions that may name no unknown id


Seconds = Mapping[str, float]
"""Seconds by stage of the work."""


async def solve_in_arrays(
    shared: RebalanceInput, chunk: Chunk, resources: Resources
) -> tuple[BlockOutcome | list[PortfolioOutcome], Seconds]:
    """Fetch and solve the portfolios of a chunk, in arrays if its options allow it."""
    correlation_id.set(shared.correlation_id)
    if not _is_plain(shared, chunk):
        return await solve_outcomes(shared, chunk, resources)
    begin = time.perf_counter()
    source = find_source(shared.settings, resources, shared.holdings)
    model_ids = [security.security_id for security in shared.rebalance.securities]
    holdings = await fetch_block(source, chunk.portfolio_ids, model_ids, shared.tries)
    inputs = await price_block(holdings, resources.securities, shared.snapshot)
    solving = time.perf_counter()
    try:
        block_outcome, seconds = await solve_in_thread(
            lambda budget: rebalance_block(
                shared.rebalance.securities, inputs.block, shared.options, budget
            )
        )
    except SolverInterruptedError:
        raise
    except Exception:  # any error, because by objects it fails the portfolio at fault alone
        logger.exception("chunk %s failed in arrays", chunk.chunk_id)
        return await solve_outcomes(shared, chunk, resources)
    outcome = complete_outcome(inputs, block_outcome)
    if rules := shared.rebalance.rules:
        beside = dict(
            zip(outcome.beside, name_rules(rules, list_separate_outcomes(outcome)), strict=True)
        )
        outcome = replace(outcome, beside=beside)
    count_solved(list_separate_outcomes(outcome), seconds, outcome.count_methods())
    return outcome, {"fetch": solving - begin, "solve": time.perf_counter() - solving}


def _is_plain(shared: RebalanceInput, chunk: Chunk) -> bool:
    """Return whether all portfolios of the chunk have the same options, which admit them."""
    if shared.refusal is not None or shared.must_match is not None or _is_counting(shared.options):
        return False
    try:
        require_targets(shared.rebalance.securities, shared.options)
    except (EmptyModelError, OptionsConflictError):
        return False
    rules = shared.rebalance.rules
    if rules and depends_on_value(shared.options, rules):
        return False
    return shared.rebalance.overrides_by_portfolio.keys().isdisjoint(chunk.portfolio_ids)


async def solve_outcomes(
    shared: RebalanceInput, chunk: Chunk, resources: Resources
) -> tuple[list[PortfolioOutcome], Seconds]:
    """Fetch and solve the portfolios of a chunk; return their outcomes and the seconds by stage."""
    correlation_id.set(shared.correlation_id)
    ids = chunk.portfolio_ids
    if shared.refusal is not None:
        return [refused_outcome(portfolio_id, shared.refusal) for portfolio_id in ids], {}
    begin = time.perf_counter()
    own = _merge_own_options(shared, chunk)
    counting_ids = [
        portfolio_id for portfolio_id in ids if _is_counting(own.get(portfolio_id, shared.options))
    ]
    # Orders before holdings, because otherwise an order filled between the two reads would be
    # missing from both.
    orders = await fetch_counted_orders(counting_ids, resources) if counting_ids else {}
    source = find_source(shared.settings, resources, shared.holdings)
    balance_by_id = await fetch_holdings(source, ids, shared.tries)
    additional_ids = frozenset(order.security_id for row in orders.values() for order in row)
    model = shared.rebalance.securities
    inputs = await price_balances(
        model, ids, balance_by_id, resources.securities, shared.snapshot, additional_ids
    )
    if orders:
        inputs = assume_fills(inputs, orders)
    if shared.must_match is not None:
        require_matched(shared.must_match, model, inputs)
    solving = time.perf_counter()
    rules = shared.rebalance.rules
    narrow = _find_narrowing(shared, own)
    outcomes = await solve_chunk(model, inputs, shared.options, count_solved, own, narrow)
    if rules:
        outcomes = [*name_rules(rules, outcomes)]
    if orders:
        outcomes = [
            replace(outcome, counted_orders=len(orders.get(outcome.portfolio_id, ())))
            for outcome in outcomes
        ]
    return outcomes, {"fetch": solving - begin, "solve": time.perf_counter() - solving}


def _find_narrowing(shared: RebalanceInput, own: OwnOptions) -> NarrowOptions | None:
    """Return how rules narrow the options at a market value; None if no rule depends on it."""
    rules = shared.rebalance.rules
    if rules and any(
        isinstance(options, RebalanceOptions) and depends_on_value(options, rules)
        for options in (shared.options, *own.values())
    ):
        return partial(narrow_by_value, rules)
    return None


def _merge_own_options(shared: RebalanceInput, chunk: Chunk) -> OwnOptions:
    """Merge the options of portfolios that have their own over the options of all."""
    own = shared.rebalance.overrides_by_portfolio
    return {
        portfolio_id: _override(shared.options, own[portfolio_id])
        for portfolio_id in chunk.portfolio_ids
        if portfolio_id in own
    }


def _override(
    options: RebalanceOptions, overrides: OptionOverrides
) -> RebalanceOptions | OptimizationError:
    """Replace options by name; return the error if the result is invalid."""
    try:
        return overrides.apply_to(options)
    except (RuleError, OptionsConflictError) as error:
        return error


def _is_counting(options: RebalanceOptions | OptimizationError) -> bool:
    return isinstance(options, RebalanceOptions) and options.open_orders is OpenOrders.COUNT


async def match(
    rebalance: Rebalance,
    outcomes: BlockOutcome | Iterable[PortfolioOutcome],
    rebalances: RebalanceStore,
) -> None:
    """Record the ids named by options that these portfolios hold."""
    if not rebalance.unmatched:
        return
    if held_ids := set(list_other_holdings(outcomes)).intersection(rebalance.unmatched):
        await rebalances.match(rebalance.rebalance_id, held_ids)


def merge_options(
    model: Model,
    overrides: OptionOverrides,
    settings: Settings,
    with_own: Collection[str] = (),
) -> RebalanceOptions:
    """Merge the options of a request over those of the model.

    Raises EmptyModelError if they would sell everything unasked, and OptionsConflictError.
    ``with_own`` are portfolios with options of their own.
    """
    options = replace(model.options or DEFAULT_OPTIONS, time_limit_s=settings.optimization_timeout)
    options = overrides.apply_to(options)
    require_model_targets(model, options, with_own)
    return options


def require_model_targets(
    model: Model, options: RebalanceOptions, with_own: Collection[str]
) -> None:
    """Raise EmptyModelError if all portfolios have these options and they do not allow it."""
    if not with_own:  # because otherwise each portfolio is checked when it is solved
        require_targets(model.targets, options)


def find_unmatched_ids(
    model: Model, options: RebalanceOptions, own: Iterable[RebalanceOptions] = ()
) -> tuple[str, ...]:
    """List the securities that restrictions name and the model lacks, sorted."""
    known_ids = {target.security_id for target in model.targets}
    unmatched_ids = (
        security_id
        for named_options in (options, *own)
        for _, security_id in named_options.find_unmatched(known_ids)
    )
    return tuple(sorted(set(unmatched_ids)))
