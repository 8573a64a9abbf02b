"""Solution of a chunk: portfolios of one model as one block, in a thread beside the event loop."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from types import MappingProxyType
from typing import TypeVar

from optimization import (
    Portfolio,
    PortfolioOutcome,
    PricedTarget,
    RebalanceOptions,
    Refusal,
    Status,
    TimeBudget,
    rebalance_all,
    rebalance_at_once,
    require_targets,
)
from optimization.errors import (
    EmptyModelError,
    OptimizationError,
    OptionsConflictError,
    RuleError,
    SolverInterruptedError,
)
from serve_app.call_context import remaining_s
from serve_app.chunks.fetch import UNPRICED, ChunkInputs
from serve_app.problems import catalogue
from serve_app.problems.error_table import build_refusal, find_kind
from serve_app.upstream.holdings.source import BalanceOrError

R = TypeVar("R")
OnSolved = Callable[[Sequence[PortfolioOutcome], float], None]
OwnOptions = Mapping[str, RebalanceOptions | OptimizationError]
"""Options or their error by portfolio id, for portfolios with options of their own."""
NarrowOptions = Callable[[RebalanceOptions, Portfolio], RebalanceOptions]
NONE_OWN: OwnOptions = MappingProxyType({})

logger = logging.getLogger(__name__)

# One thread, because a compiled program serves one solve at a time and more threads would take the
# GIL from the event loop.
_solver = ThreadPoolExecutor(1, thread_name_prefix="solver")


async def solve_chunk(
    model: tuple[PricedTarget, ...],
    portfolios: ChunkInputs,
    options: RebalanceOptions,
    on_solved: OnSolved,
    own: OwnOptions = NONE_OWN,
    narrow: NarrowOptions | None = None,
) -> list[PortfolioOutcome]:
    """Solve the portfolios of a chunk, in order; a failure does not stop the others.

    ``own`` are the options of portfolios that differ from ``options``; ``narrow`` may narrow those
    of each portfolio. The time budget of the solver is the rest of the deadline. ``on_solved`` gets
    the outcomes and the seconds they took.
    """

    def choose(portfolio: Portfolio) -> RebalanceOptions | OptimizationError:
        portfolio_options = own.get(portfolio.portfolio_id, options)
        if narrow is None or isinstance(portfolio_options, OptimizationError):
            return portfolio_options
        try:
            return narrow(portfolio_options, portfolio)
        except (OptionsConflictError, RuleError) as error:
            return error

    outcomes, seconds = await solve_in_thread(
        lambda budget: _solve(model, portfolios, choose, budget)
    )
    on_solved(outcomes, seconds)
    return outcomes


def solve_at_once(
    model: tuple[PricedTarget, ...],
    inputs: ChunkInputs,
    options: RebalanceOptions,
    on_solved: OnSolved,
) -> list[PortfolioOutcome] | None:
    """Solve the portfolios of a chunk in this thread; None if one of them needs a search.

    The outcomes are those of ``solve_chunk``. None also after an unexpected error, because
    ``solve_chunk`` isolates and logs it.
    """
    begin = time.perf_counter()
    pairs = zip(inputs.portfolio_ids, inputs.balances, strict=True)
    candidates = [
        _build_portfolio(portfolio_id, balance, inputs.prices) for portfolio_id, balance in pairs
    ]
    portfolios = [portfolio for portfolio in candidates if isinstance(portfolio, Portfolio)]
    try:
        answers = rebalance_at_once(model, portfolios, options)
    except Exception:  # noqa: BLE001 - because solve_chunk isolates and logs any error
        return None
    if answers is None:
        return None
    solved_outcomes = _convert_answers(portfolios, answers)
    outcomes = [
        next(solved_outcomes) if isinstance(candidate, Portfolio) else candidate
        for candidate in candidates
    ]
    on_solved(outcomes, time.perf_counter() - begin)
    return outcomes


async def solve_in_thread(solve: Callable[[TimeBudget], R]) -> tuple[R, float]:
    """Solve in the thread of the solver, within the deadline; return the result and the seconds."""
    budget = TimeBudget(remaining_s())

    def solve_timed() -> tuple[R, float]:
        begin = time.perf_counter()
        result = solve(budget)
        return result, time.perf_counter() - begin

    try:
        return await asyncio.get_running_loop().run_in_executor(_solver, solve_timed)
    except asyncio.CancelledError:
        budget.interrupt()
        raise


def _solve(
    model: tuple[PricedTarget, ...],
    inputs: ChunkInputs,
    choose: Callable[[Portfolio], RebalanceOptions | OptimizationError],
    budget: TimeBudget,
) -> list[PortfolioOutcome]:
    pairs = zip(inputs.portfolio_ids, inputs.balances, strict=True)
    candidates = [
        _build_portfolio(portfolio_id, balance, inputs.prices) for portfolio_id, balance in pairs
    ]
    # Portfolios are grouped by options, because equal options can share a block.
    alike: dict[RebalanceOptions, list[int]] = defaultdict(list)
    outcomes: dict[int, PortfolioOutcome] = {}
    for place, candidate in enumerate(candidates):
        if isinstance(candidate, PortfolioOutcome):
            outcomes[place] = candidate
            continue
        options = choose(candidate)
        if isinstance(options, OptimizationError):
            outcomes[place] = failed_outcome(candidate.portfolio_id, options)
        else:
            alike[options].append(place)
    remaining = len(candidates) - len(outcomes)
    for options, places in alike.items():
        portfolios = [
            portfolio
            for portfolio in map(candidates.__getitem__, places)
            if isinstance(portfolio, Portfolio)
        ]
        answers = _solve_each(model, portfolios, options, budget.share(remaining / len(places)))
        remaining -= len(places)
        outcomes.update(zip(places, _convert_answers(portfolios, answers), strict=True))
    return [outcomes[place] for place in range(len(candidates))]


def _solve_each(
    model: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions,
    budget: TimeBudget,
) -> Sequence[PortfolioOutcome | Exception]:
    """Solve one block; if the engine fails, solve each portfolio alone, to isolate the culprit."""
    try:
        require_targets(model, options)
        return rebalance_all(model, portfolios, options, budget)
    except SolverInterruptedError:
        raise
    except (EmptyModelError, OptionsConflictError) as error:
        return [error] * len(portfolios)
    except Exception as error:  # noqa: BLE001 - because the other portfolios go on after any error
        if len(portfolios) == 1:
            return [error]
    return [_solve_each(model, [portfolio], options, budget)[0] for portfolio in portfolios]


def _build_portfolio(
    portfolio_id: str, balance: BalanceOrError, prices: Mapping[str, Decimal]
) -> Portfolio | PortfolioOutcome:
    if isinstance(balance, Exception):
        return failed_outcome(portfolio_id, balance)
    try:
        return Portfolio(portfolio_id, balance.cash, balance.holdings, prices)
    except UNPRICED as error:
        return failed_outcome(portfolio_id, error)


def _convert_answers(
    portfolios: Iterable[Portfolio], answers: Iterable[PortfolioOutcome | Exception]
) -> Iterator[PortfolioOutcome]:
    ids = (portfolio.portfolio_id for portfolio in portfolios)
    return map(convert_answer, ids, answers)


def convert_answer(portfolio_id: str, answer: PortfolioOutcome | Exception) -> PortfolioOutcome:
    """Return the outcome of a portfolio whose answer may be an error."""
    return answer if isinstance(answer, PortfolioOutcome) else failed_outcome(portfolio_id, answer)


def refused_outcome(portfolio_id: str, refusal: Refusal) -> PortfolioOutcome:
    """Make the outcome of a portfolio that is not rebalanced for this reason."""
    return PortfolioOutcome(portfolio_id, Status.FAILED, None, None, None, refusal=refusal)


def failed_outcome(portfolio_id: str, error: Exception) -> PortfolioOutcome:
    """Make the outcome of a portfolio that an error prevents from being rebalanced."""
    if find_kind(error) is catalogue.INTERNAL_ERROR:
        logger.error("portfolio %s failed unexpectedly", portfolio_id, exc_info=error)
    return refused_outcome(portfolio_id, build_refusal(error))
