"""Stateless rebalances: portfolios of a request, solved without a database or an upstream."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import ray
from ray import ObjectRef

from optimization import (
    BlockOutcome,
    Model,
    PortfolioOutcome,
    PricedTarget,
    RebalanceOptions,
    price_targets,
    rebalance_block,
    require_targets,
)
from optimization.errors import SolverInterruptedError
from serve_app.call_context import CallContext, TimeSplit, reserve_time, set_deadline
from serve_app.chunks.blocks import complete_outcome, list_separate_outcomes, price_holdings
from serve_app.chunks.fetch import UNPRICED, ChunkInputs
from serve_app.chunks.solve import OwnOptions, failed_outcome, solve_chunk, solve_in_thread
from serve_app.observability.metrics import count_solved
from serve_app.ports.optimize import GivenOptions
from serve_app.ray_calls import count_parallel_tasks, fan_out, run_in_worker
from serve_app.settings import Settings
from serve_app.upstream.holdings.block import convert_to_block
from serve_app.upstream.holdings.source import Balance, HoldingsBlock

logger = logging.getLogger(__name__)

SOLVE_BATCH_SIZE = 50  # portfolios, because other requests use the solver between two batches


@dataclass(frozen=True, slots=True)
class StatelessWork:
    """Input that all portfolios of one call share; put into the object store once."""

    securities: tuple[PricedTarget, ...]
    prices: Mapping[str, Decimal]
    options: RebalanceOptions
    own: OwnOptions


async def optimize_portfolios(
    model: Model,
    balances: Sequence[Balance],
    prices: Mapping[str, Decimal],
    options: GivenOptions,
    time_limit_s: float,
    settings: Settings | None = None,
) -> tuple[PortfolioOutcome, ...]:
    """Solve each portfolio and return the outcomes in order; a failure does not stop the others.

    With ``settings``, tasks solve the portfolios of a large call; otherwise this process does.
    Raises EmptyModelError if everything would be sold unasked, and OptionsConflictError.
    """
    work = _prepare(model, balances, prices, options, time_limit_s)
    if not isinstance(work, StatelessWork):
        return work
    with reserve_time(len(balances)):
        if settings is not None and len(balances) > settings.run_fan_out_above:
            return await _fan_out_to_tasks(work, balances, settings)
        return await _solve_here(work, balances)


@dataclass(frozen=True, slots=True, eq=False)
class SolvedPart:
    """Outcomes of some portfolios of a call, with their places in the call."""

    places: Sequence[int]
    outcomes: BlockOutcome | Sequence[PortfolioOutcome]

    def objects(self) -> dict[int, PortfolioOutcome]:
        """Return the outcomes that are objects, by place."""
        outcomes = self.outcomes
        if isinstance(outcomes, BlockOutcome):
            rows, outcomes = list(outcomes.beside), list_separate_outcomes(outcomes)
            return {self.places[row]: outcome for row, outcome in zip(rows, outcomes, strict=True)}
        return dict(zip(self.places, outcomes, strict=True))


async def optimize_in_arrays(
    model: Model,
    balances: Sequence[Balance],
    prices: Mapping[str, Decimal],
    options: GivenOptions,
    time_limit_s: float,
) -> list[SolvedPart]:
    """Solve each portfolio as ``optimize_portfolios`` does, in arrays where its amounts allow it.

    Portfolios with options of their own become objects.
    """
    work = _prepare(model, balances, prices, options, time_limit_s)
    if not isinstance(work, StatelessWork):
        return [SolvedPart(range(len(work)), work)]
    places = [
        place for place, balance in enumerate(balances) if balance.portfolio_id not in work.own
    ]
    model_ids = [security.security_id for security in work.securities]
    common = {balances[place].portfolio_id: balances[place] for place in places}
    parts: list[SolvedPart] = []
    alone = set(range(len(balances)))
    with reserve_time(len(balances)):
        if common:
            with set_deadline(TimeSplit(2, 1).next_s()):
                block_outcome = await _solve_block(
                    work, convert_to_block(list(common), model_ids, common)
                )
            if block_outcome is not None:
                parts.append(SolvedPart(places, block_outcome))
                alone.difference_update(places)
        rest = sorted(alone)
        if rest:
            rest_outcomes = await _solve_here(work, [balances[place] for place in rest])
            parts.append(SolvedPart(rest, rest_outcomes))
    return parts


def _prepare(
    model: Model,
    balances: Sequence[Balance],
    prices: Mapping[str, Decimal],
    options: GivenOptions,
    time_limit_s: float,
) -> StatelessWork | tuple[PortfolioOutcome, ...]:
    """Check the options and price the model; the outcomes if the model has no usable prices."""
    common, own = options.build_common(time_limit_s), options.build_own(time_limit_s)
    for portfolio_options in {own.get(balance.portfolio_id, common) for balance in balances}:
        require_targets(model.targets, portfolio_options)
    try:
        securities = price_targets(model, prices)
    except UNPRICED as error:
        return tuple(failed_outcome(balance.portfolio_id, error) for balance in balances)
    return StatelessWork(securities, prices, common, own)


async def _solve_block(work: StatelessWork, holdings: HoldingsBlock) -> BlockOutcome | None:
    """Solve some portfolios in arrays; None if that fails, because objects fail one by one."""
    inputs = price_holdings(holdings, work.prices)
    try:
        block_outcome, seconds = await solve_in_thread(
            lambda budget: rebalance_block(work.securities, inputs.block, work.options, budget)
        )
    except SolverInterruptedError:
        raise
    except Exception:
        logger.exception("a block of %d portfolios failed in arrays", len(holdings.portfolio_ids))
        return None
    complete = complete_outcome(inputs, block_outcome)
    count_solved(list_separate_outcomes(complete), seconds, complete.count_methods())
    return complete


async def _solve_here(
    work: StatelessWork, balances: Sequence[Balance]
) -> tuple[PortfolioOutcome, ...]:
    firsts = range(0, len(balances), SOLVE_BATCH_SIZE)
    time_split = TimeSplit(len(firsts), 1)
    outcomes: list[PortfolioOutcome] = []
    for first in firsts:
        with set_deadline(time_split.next_s()):
            outcomes += await _solve(work, balances[first : first + SOLVE_BATCH_SIZE])
    return tuple(outcomes)


async def _fan_out_to_tasks(
    work: StatelessWork, balances: Sequence[Balance], settings: Settings
) -> tuple[PortfolioOutcome, ...]:
    shared, size = ray.put(work), settings.run_chunk_size

    def submit(_: int, part: Sequence[Balance]) -> ObjectRef[list[PortfolioOutcome]]:
        return _solve_task.remote(shared, part, CallContext.capture_for_worker())

    return await fan_out(balances, size, submit, await count_parallel_tasks(settings))


# Ray retries after a lost worker or node only, because an error of our own code would repeat.
@ray.remote(num_cpus=1, max_retries=3, retry_exceptions=False)
def _solve_task(
    work: StatelessWork, balances: Sequence[Balance], context: CallContext
) -> list[PortfolioOutcome]:
    """Solve some of the portfolios, in a worker process."""
    return asyncio.run(run_in_worker(_solve(work, balances), context))


async def _solve(work: StatelessWork, balances: Sequence[Balance]) -> list[PortfolioOutcome]:
    ids = [balance.portfolio_id for balance in balances]
    inputs = ChunkInputs(ids, balances, work.prices)
    return await solve_chunk(work.securities, inputs, work.options, count_solved, work.own)
