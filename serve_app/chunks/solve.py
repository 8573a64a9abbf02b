"""A few portfolios of one model: fetch what they hold, then solve them as one block."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from optimization.domain.model import Model, require_targets
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome, PricedTarget, Refusal, Status
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance_all
from optimization.errors import (
    EmptyModelError,
    OptimizationError,
    OptionsConflictError,
    PricesMissingError,
    RuleError,
    SolverInterruptedError,
    UnmatchedIdsError,
)
from optimization.exact.block_builder import price_targets
from optimization.time_budget import Budget
from serve_app.deadline import remaining_s
from serve_app.problems import catalogue
from serve_app.problems.error_table import kind_of, refusal_of
from serve_app.upstream.holdings.source import Found, HoldingsSource, held_by
from serve_app.upstream.prices import PriceSnapshot
from serve_app.upstream.securities import Securities

OnSolved = Callable[[Sequence[PortfolioOutcome], float], None]
OwnOptions = Mapping[str, RebalanceOptions | OptimizationError]
"""The options of portfolios that have their own, or what is wrong with them, by portfolio id."""
NONE_OWN: OwnOptions = MappingProxyType({})

UNPRICED: Final = (PricesMissingError, RuleError)
"""Errors of a model that lacks prices of its own: the refusal of each of its portfolios then."""

logger = logging.getLogger(__name__)

# One thread: a compiled program serves one solve at a time, and the event loop keeps its share of the GIL.
_solver = ThreadPoolExecutor(1, thread_name_prefix="solver")


async def prices_of(
    security_ids: frozenset[str], securities: Securities, snapshot: PriceSnapshot
) -> dict[str, Decimal]:
    """Price by security id; what has no ticker or no price is left out."""
    tickers = await securities.tickers(security_ids)
    return {
        security_id: snapshot.prices[ticker]
        for security_id, ticker in tickers.items()
        if ticker in snapshot.prices
    }


async def price_model(
    model: Model, securities: Securities, snapshot: PriceSnapshot
) -> tuple[PricedTarget, ...]:
    """Price the targets of a model; raises one of UNPRICED if one has no usable price."""
    ids = frozenset(target.security_id for target in model.targets)
    return price_targets(model, await prices_of(ids, securities, snapshot))


@dataclass(frozen=True, slots=True)
class ChunkInputs:
    """What is known of some portfolios before they are solved."""

    portfolio_ids: Sequence[str]
    balances: Sequence[Found]
    prices: Mapping[str, Decimal]


async def fetch_chunk(
    model: tuple[PricedTarget, ...],
    portfolio_ids: Sequence[str],
    source: HoldingsSource,
    securities: Securities,
    snapshot: PriceSnapshot,
    tries: int = 1,
    also_priced: frozenset[str] = frozenset(),
) -> ChunkInputs:
    """What the portfolios hold, and the prices of all of it and of some other securities.

    Raises UpstreamUnavailableError where an upstream does not answer (see ``held_by``).
    """
    found = await held_by(source, portfolio_ids, tries)
    held = (balance.holdings for balance in found.values() if not isinstance(balance, Exception))
    held_ids = frozenset(security_id for holdings in held for security_id in holdings)
    model_prices = {security.security_id: security.price for security in model}
    wanted = (held_ids | also_priced) - model_prices.keys()
    others = await prices_of(wanted, securities, snapshot)
    balances = [found[portfolio_id] for portfolio_id in portfolio_ids]
    return ChunkInputs(portfolio_ids, balances, {**others, **model_prices})


def merge_restrictions(
    options: RebalanceOptions, overrides: Mapping[str, Any]
) -> RebalanceOptions | OptimizationError:
    """Options with others in place of those of the same name, or why they exclude each other."""
    try:
        return replace(options, **overrides)
    except (RuleError, OptionsConflictError) as error:
        return error


def require_matched(
    restrictions: RebalanceOptions, model: tuple[PricedTarget, ...], portfolios: ChunkInputs
) -> None:
    """Raise UnmatchedIdsError for what restrictions name and neither the model nor a portfolio has.

    Where a portfolio's holdings could not be had, nobody knows.
    """
    known = {security.security_id for security in model}
    for balance in portfolios.balances:
        if isinstance(balance, Exception):
            return
        known.update(balance.holdings)
    unmatched = restrictions.unmatched(known)
    if unmatched:
        raise UnmatchedIdsError(unmatched)


async def solve_chunk(
    model: tuple[PricedTarget, ...],
    portfolios: ChunkInputs,
    options: RebalanceOptions,
    told: OnSolved,
    own: OwnOptions = NONE_OWN,
) -> list[PortfolioOutcome]:
    """What becomes of each portfolio, in their order; one that fails does not stop the others.

    ``own`` are the options of portfolios that have others than ``options``. The solver gets what is
    left of the deadline. ``told`` hears what was solved, and in how many seconds.
    """
    budget = Budget(remaining_s())
    solving = asyncio.get_running_loop().run_in_executor(
        _solver, _timed, model, portfolios, options, own, budget
    )
    try:
        outcomes, seconds = await solving
    except asyncio.CancelledError:
        budget.interrupt()
        raise
    told(outcomes, seconds)
    return outcomes


def refused_outcome(portfolio_id: str, refusal: Refusal) -> PortfolioOutcome:
    """The outcome of a portfolio that is not rebalanced for this reason."""
    return PortfolioOutcome(portfolio_id, Status.FAILED, None, None, None, refusal=refusal)


def failed_outcome(portfolio_id: str, error: Exception) -> PortfolioOutcome:
    """The outcome of a portfolio that could not be rebalanced because of an error."""
    if kind_of(error) is catalogue.INTERNAL:
        logger.error("portfolio %s failed unexpectedly", portfolio_id, exc_info=error)
    return refused_outcome(portfolio_id, refusal_of(error))


def _timed(
    model: tuple[PricedTarget, ...],
    fetch_chunk: ChunkInputs,
    options: RebalanceOptions,
    own: OwnOptions,
    budget: Budget,
) -> tuple[list[PortfolioOutcome], float]:
    begin = time.perf_counter()
    outcomes = _solved(model, fetch_chunk, options, own, budget)
    return outcomes, time.perf_counter() - begin


def _solved(
    model: tuple[PricedTarget, ...],
    fetch_chunk: ChunkInputs,
    options: RebalanceOptions,
    own: OwnOptions,
    budget: Budget,
) -> list[PortfolioOutcome]:
    pairs = zip(fetch_chunk.portfolio_ids, fetch_chunk.balances, strict=True)
    made = [
        _portfolio(portfolio_id, balance, fetch_chunk.prices) for portfolio_id, balance in pairs
    ]
    # Those of equal options share blocks, however many portfolios have options of their own.
    alike: dict[RebalanceOptions, list[int]] = defaultdict(list)
    outcomes: dict[int, PortfolioOutcome] = {}
    for place, one in enumerate(made):
        asked = own.get(one.portfolio_id, options)
        if isinstance(one, PortfolioOutcome):
            outcomes[place] = one
        elif isinstance(asked, OptimizationError):
            outcomes[place] = failed_outcome(one.portfolio_id, asked)
        else:
            alike[asked].append(place)
    left = len(made) - len(outcomes)
    for asked, places in alike.items():
        portfolios = [one for one in map(made.__getitem__, places) if isinstance(one, Portfolio)]
        answers = _answers(model, portfolios, asked, budget.share(left / len(places)))
        left -= len(places)
        outcomes.update(zip(places, map(_outcome, portfolios, answers), strict=True))
    return [outcomes[place] for place in range(len(made))]


def _answers(
    model: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions,
    budget: Budget,
) -> Sequence[PortfolioOutcome | Exception]:
    """One block; should one portfolio trip the engine, only that one is lost, and it says so."""
    try:
        require_targets(model, options)
        return rebalance_all(model, portfolios, options, budget)
    except SolverInterruptedError:
        raise
    except (EmptyModelError, OptionsConflictError) as error:
        return [error] * len(portfolios)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other portfolios go on
        if len(portfolios) == 1:
            return [error]
    return [_answers(model, [portfolio], options, budget)[0] for portfolio in portfolios]


def _portfolio(
    portfolio_id: str, balance: Found, prices: Mapping[str, Decimal]
) -> Portfolio | PortfolioOutcome:
    if isinstance(balance, Exception):
        return failed_outcome(portfolio_id, balance)
    try:
        return Portfolio(portfolio_id, balance.cash, balance.holdings, prices)
    except UNPRICED as error:
        return failed_outcome(portfolio_id, error)


def _outcome(portfolio: Portfolio, answer: PortfolioOutcome | Exception) -> PortfolioOutcome:
    return (
        answer
        if isinstance(answer, PortfolioOutcome)
        else failed_outcome(portfolio.portfolio_id, answer)
    )
