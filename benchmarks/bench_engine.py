"""The engine against other ways to the same answer: each row is a ratio measured in one run.

    python benchmarks/bench_engine.py [--problems 12] [--sizes 10 50 100 500] [--seed 1]
                                      [--indexes 500 3000]

The problems are those of instances.py in tests/engine_checks, the other ways those of rivals.py.
*slack*: the separable optimum leaves enough cash; *tight*: the cash floor is above what it leaves,
so the row binds; *options*: options that couple securities. Times are CPU times of one processor,
because they hardly depend on what else the machine does: the median over the problems, each the
best of a few turns taken alternately. Where a rival runs into its time limit of 5 s the ratio is a
lower bound. *floor*: accounts of cash alone, of which 5 % stay.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from statistics import median
from typing import TypeVar

import numpy as np
import pandas as pd
from pypfopt import DiscreteAllocation
from rich import box
from rich.console import Console
from rich.table import Table

from optimization.block_engine import rebalance_block
from optimization.domain.drift_band import DriftBand
from optimization.domain.numbers import Percent
from optimization.domain.option_values import Direction, GroupBand, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import Portfolio, PricedTarget
from optimization.engine import rebalance_all
from optimization.exact.block import Block, compute_bands
from optimization.exact.block_builder import build_block
from optimization.exact.columns import PortfolioBlock
from optimization.milp import formulations
from optimization.solvers.cash_constrained import solve_cash_constrained
from optimization.solvers.cash_rows import solve_cash_rows
from optimization.solvers.coupled import solve_at_base
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import relax, solve
from optimization.time_budget import TimeBudget
from tests.engine_checks.instances import Instance, instances, portfolios, securities
from tests.engine_checks.rivals import (
    TextbookTerms,
    hull_by_arrays,
    hull_by_highspy,
    raw_highs,
    textbook_by_cvxpy,
    textbook_by_scipy,
)
from tests.optimization.support.columns import block_of

BLOCK, MAX_BLOCK = 512, 2048  # portfolios
INDEX_PORTFOLIOS = 200
TIME_LIMIT_S = 5.0
ALLOCATIONS = 8  # accounts for PyPortfolioOpt
TURNS = 7  # where the two are close
MIDDLE = 50  # securities that the targets are for
MAX_SIZE_FOR_ABS = 100  # tight: |.| has no useful bound beyond it

One = TypeVar("One")


def milliseconds(work: Callable[[], object]) -> float:
    """Measure the processor time of the work, in milliseconds."""
    begin = time.process_time()
    work()
    return (time.process_time() - begin) * 1e3


def duel(
    problems: Sequence[One],
    ours: Callable[[One], object],
    theirs: Callable[[One], object],
    turns: int = 3,
) -> tuple[float, float]:
    """Measure the median milliseconds of both contenders, in alternate turns."""
    ours(problems[0]), theirs(problems[0])
    rows: list[tuple[float, float]] = []
    for problem in problems:
        pairs = [
            (milliseconds(lambda p=problem: ours(p)), milliseconds(lambda p=problem: theirs(p)))
            for _ in range(turns)
        ]
        rows.append((min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)))
    return median(row[0] for row in rows), median(row[1] for row in rows)


class Comparison:
    """Table of the comparisons."""

    def __init__(self) -> None:
        self._table = Table(
            "N", "cash", "ours, ms", "theirs, ms", "theirs / ours", "target", "ours against theirs",
            box=box.MARKDOWN,
        )  # fmt: skip

    def add(self, size: int, cash: str, times: tuple[float, float], target: str, what: str) -> None:
        """Add a duel to the table."""
        ours, theirs = times
        cells = (f"{ours:,.4g}", f"{theirs:,.4g}", f"{theirs / ours:,.3g}", target, what)
        self._table.add_row(str(size), cash, *cells)

    def print(self) -> None:
        """Print the table in Markdown, as docs/explanation/performance.md has it."""
        Console(width=150).print(self._table)


def each_portfolio_ms(blocks: Sequence[Block], portfolios: int) -> float:
    """Time the separable optimum of all blocks, as the best of several turns."""
    turns = [milliseconds(lambda: [solve(o, compute_bands(o)) for o in blocks]) for _ in range(15)]
    return min(turns) / portfolios


def separable(rng: np.random.Generator, model: tuple[PricedTarget, ...], table: Comparison) -> str:
    """Compare blocks of arrays with single portfolios and with the public function."""
    size = len(model)
    book = portfolios(rng, model, MAX_BLOCK)
    block = build_block(model, (), book, RebalanceOptions()).block
    ones = [block.select_rows([row]) for row in range(64)]
    alone = each_portfolio_ms(ones, len(ones))
    best = 0.0
    rates: list[str] = []
    for rows in (BLOCK, MAX_BLOCK):
        parts = [
            block.select_rows(list(range(first, first + rows)))
            for first in range(0, MAX_BLOCK, rows)
        ]
        block_ms = each_portfolio_ms(parts, MAX_BLOCK)
        what = f"separable: arrays in blocks of {rows} / one by one"
        table.add(size, "slack", (block_ms, alone), "", what)
        rates.append(f"{1e-3 / block_ms:.2f} M/s in blocks of {rows}")
        best = best or block_ms
    some = [instance.portfolio for instance in instances(rng, model, 128, tight=False)]
    prices = some[0].prices
    some = [replace(portfolio, prices=prices) for portfolio in some]
    public = min(milliseconds(lambda: rebalance_all(model, some)) for _ in range(5)) / len(some)
    table.add(size, "slack", (best, public), "", "separable: arrays / rebalance_all with objects")
    return f"N={size}: {', '.join(rates)} on arrays, {1e3 / public:,.0f}/s as objects"


def columns(rng: np.random.Generator, model: tuple[PricedTarget, ...], table: Comparison) -> str:
    """Compare rebalance_block with rebalance_all, and with the bare separable optimum.

    *mixed*: a tenth of the portfolios holds three securities outside the model, a twentieth
    fractions of a share.
    """
    size, plain_book = len(model), portfolios(rng, model, MAX_BLOCK)
    prices = plain_book[0].prices | {f"OTHER{i:02}": Decimal(i) for i in range(1, 41)}
    one_snapshot = [replace(portfolio, prices=prices) for portfolio in plain_book]
    rates: list[str] = []
    for cash, others, fractions in (
        ("plain", 0.0, 0.0),
        ("others", 0.1, 0.0),
        ("fractions", 0.0, 0.05),
        ("mixed", 0.1, 0.05),
    ):
        book = [_mix(rng, portfolio, others, fractions) for portfolio in one_snapshot]
        block = block_of(model, book)
        every = [block.select(slice(at, at + BLOCK)) for at in range(0, MAX_BLOCK, BLOCK)]
        whole = [
            build_block(model, (), plain_book[at : at + BLOCK], RebalanceOptions()).block
            for at in range(0, MAX_BLOCK, BLOCK)
        ]

        def ours(blocks: Sequence[PortfolioBlock] = every) -> object:
            return [rebalance_block(model, timed_block) for timed_block in blocks]

        columns_ms = min(milliseconds(ours) for _ in range(15)) / MAX_BLOCK
        bare = each_portfolio_ms(whole, MAX_BLOCK)
        few = book[:BLOCK]
        objects = min(milliseconds(lambda few=few: rebalance_all(model, few)) for _ in range(3))
        table.add(size, cash, (columns_ms, bare), "", "rebalance_block / separable: arrays")
        table.add(size, cash, (columns_ms, objects / BLOCK), "", "rebalance_block / rebalance_all")
        rates.append(f"{cash} {1e3 * columns_ms:.1f}")
    return f"N={size}: rebalance_block in blocks of {BLOCK}, us for a portfolio: {', '.join(rates)}"


def index(rng: np.random.Generator, model: tuple[PricedTarget, ...], table: Comparison) -> str:
    """Compare rebalance_block with rebalance_all on few portfolios of a large index.

    *tight*: a cash floor of 5 % that binds for most of them.
    """
    size, plain_book = len(model), portfolios(rng, model, INDEX_PORTFOLIOS)
    prices = plain_book[0].prices
    book = [replace(portfolio, prices=prices) for portfolio in plain_book]
    block, rates = block_of(model, book), list[str]()
    for cash, floor in (("slack", Decimal(0)), ("tight", Decimal(5))):
        options = RebalanceOptions(cash_floor=Percent(floor))

        def ours(options: RebalanceOptions = options) -> object:
            return rebalance_block(model, block, options)

        def theirs(options: RebalanceOptions = options) -> object:
            return rebalance_all(model, book, options)

        times = [min(milliseconds(work) for _ in range(3)) / len(book) for work in (ours, theirs)]
        what = f"index, {len(book)} portfolios: rebalance_block / rebalance_all"
        table.add(size, cash, (times[0], times[1]), "", what)
        rates.append(f"{cash} {1e3 * times[0]:,.0f}")
    return f"N={size}: {len(book)} portfolios of an index, us for a portfolio: {', '.join(rates)}"


def restricted(rng: np.random.Generator, model: tuple[PricedTarget, ...], table: Comparison) -> str:
    """Compare rebalance_block with rebalance_all under options that restrict single securities."""
    size, plain_book = len(model), portfolios(rng, model, BLOCK)
    prices, ids = plain_book[0].prices, [security.security_id for security in model]
    book = [replace(portfolio, prices=prices) for portfolio in plain_book]
    rates: list[str] = []
    for what, options in (
        ("BUY_ONLY", RebalanceOptions(direction=Direction.BUY_ONLY)),
        ("DRIFTED_TO_TARGET", RebalanceOptions(scope=Scope.DRIFTED_TO_TARGET)),
        ("three not sold", RebalanceOptions(do_not_sell=frozenset(ids[:3]))),
        ("two round lots", RebalanceOptions(lots=dict.fromkeys(ids[:2], Decimal(10)))),
    ):
        solved_rows = np.flatnonzero(
            rebalance_block(model, block_of(model, book), options).status >= 0
        )
        some = [book[row] for row in solved_rows.tolist()]
        block = block_of(model, some)

        def ours(block: PortfolioBlock = block, options: RebalanceOptions = options) -> object:
            return rebalance_block(model, block, options)

        def theirs(some: Sequence[Portfolio] = some, options: RebalanceOptions = options) -> object:
            return rebalance_all(model, some, options)

        times = [min(milliseconds(work) for _ in range(3)) / len(some) for work in (ours, theirs)]
        table.add(size, what, (times[0], times[1]), "", "rebalance_block / rebalance_all")
        rates.append(f"{what} {1e3 * times[0]:.1f}")
    return f"N={size}: rebalance_block under restrictions, us for a portfolio: {', '.join(rates)}"


def _mix(
    rng: np.random.Generator, portfolio: Portfolio, others: float, fractions: float
) -> Portfolio:
    holdings = dict(portfolio.holdings)
    if rng.random() < others:
        ids = rng.choice(sorted(portfolio.prices.keys() - holdings.keys()), 3, replace=False)
        holdings |= {str(security_id): Decimal(int(rng.integers(1, 90))) for security_id in ids}
    if rng.random() < fractions:
        holdings = {
            security_id: shares + Decimal("0.25") for security_id, shares in holdings.items()
        }
    return replace(portfolio, holdings=holdings)


def with_cash_row(
    rng: np.random.Generator,
    model: tuple[PricedTarget, ...],
    count: int,
    table: Comparison,
    cash: str,
) -> None:
    """Compare the ways to solve the cash row: cover, compiled program, and rivals."""
    size, highs = len(model), raw_highs()
    problems = instances(rng, model, count, tight=cash == "tight")

    def compiled(instance: Instance) -> object:
        return formulations.solve_cash(instance.cash, TimeBudget(TIME_LIMIT_S))

    def bare(instance: Instance) -> object:
        return hull_by_highspy(highs, instance.cash, TIME_LIMIT_S)

    def arrays(instance: Instance) -> object:
        return hull_by_arrays(highs, instance.cash, TIME_LIMIT_S)

    if cash == "tight":
        times = duel(
            problems,
            lambda instance: solve_cash_constrained(
                instance.cash_problem, TimeBudget(TIME_LIMIT_S)
            ),
            bare,
        )
        table.add(size, cash, times, ">= 2" if size >= 50 else "", "cover / HiGHS, hull")
    for other, name in ((bare, "bare"), (arrays, "bare, by arrays")):
        times = duel(problems, compiled, other, TURNS)
        table.add(size, cash, times, ">= 0.91", f"CVXPY compiled / HiGHS {name}")
    if cash == "slack" or size <= MAX_SIZE_FOR_ABS:
        target = ">= 10" if cash == "tight" and size >= 50 else ""
        against_abs(problems[: max(3, count // 2)], compiled, table, cash, target)


def many_tight(rng: np.random.Generator, model: tuple[PricedTarget, ...], table: Comparison) -> str:
    """Compare many portfolios whose cash row binds, together and one at a time."""
    size = len(model)
    options = RebalanceOptions(cash_floor=Percent(Decimal(5)))
    some = portfolios(rng, model, 4 * BLOCK)
    prices = some[0].prices
    some = [replace(portfolio, prices=prices) for portfolio in some]
    relaxed = relax(build_block(model, (), some, options), options)
    bound = relaxed.separable.admits & (relaxed.separable.invested > relaxed.block.investable)
    tight = [some[row] for row in np.flatnonzero(bound)[:BLOCK].tolist()]
    relaxed = relax(build_block(model, (), tight, options), options)
    block, where, separable = relaxed.block, relaxed.bands, relaxed.separable
    problems = [CoupledProblem.from_relaxation(relaxed, row) for row in range(len(tight))]
    budget, count = TimeBudget(), len(tight)

    def best(work: Callable[[], object]) -> float:
        return min(milliseconds(work) for _ in range(TURNS)) / count

    searches = best(lambda: [solve_at_base(problem, options, budget) for problem in problems])
    arrays = best(lambda: solve_cash_rows(block, where, separable, budget))
    alone = best(lambda: [rebalance_all(model, [portfolio], options) for portfolio in tight])
    together = best(lambda: rebalance_all(model, tight, options))
    target = "<= 0.9 ms" if size == MIDDLE else ""
    table.add(size, "tight", (arrays, searches), "", f"cash rows: {count} together / one by one")
    table.add(size, "tight", (together, alone), target, f"rebalance_all: {count} / one by one")
    return f"N={size}: {1e3 / together:,.0f}/s where cash binds, as objects"


def against_abs(
    problems: Sequence[Instance],
    compiled: Callable[[Instance], object],
    table: Comparison,
    cash: str,
    target: str,
) -> None:
    """Compare the compiled hull with the textbook form of |.|."""
    size = len(problems[0].cash.lot_value)
    by_cvxpy = duel(
        problems, compiled, lambda instance: textbook_by_cvxpy(instance.textbook, TIME_LIMIT_S), 1
    )
    table.add(size, cash, by_cvxpy, target, "CVXPY compiled, hull / CVXPY built anew, abs()")
    by_scipy = duel(
        problems, compiled, lambda instance: textbook_by_scipy(instance.textbook, TIME_LIMIT_S), 1
    )
    table.add(size, cash, by_scipy, "", "CVXPY compiled, hull / scipy.milp, abs()")


def coupled(
    rng: np.random.Generator, model: tuple[PricedTarget, ...], count: int, table: Comparison
) -> None:
    """Compare the coupling options, one by one and all together."""
    size = len(model)
    ids = [security.security_id for security in model]
    thirds = [frozenset(ids[first::3]) for first in range(3)]
    weight = [sum(s.weight for s in model if s.security_id in third) for third in thirds]
    cases = {
        "costs": {"cost_rate": Decimal("0.001"), "cost_per_trade": Decimal(5)},
        "minimum trade": {"minimum_value": Decimal(500)},
        "number of trades": {"maximum_trades": max(1, 9 * size // 10)},
        "turnover": {"turnover_cap": Percent(Decimal(40))},
        "groups": {
            "groups": tuple(
                GroupBand(str(i), third, high=total)
                for i, (third, total) in enumerate(zip(thirds, weight, strict=True))
            )
        },
    }
    every = {name: value for row in cases.values() for name, value in row.items()}
    problems = instances(rng, model, count, tight=False)
    for what, case in {**cases, "all of these": every}.items():
        options = RebalanceOptions(**case, time_limit_s=TIME_LIMIT_S)

        def ours(instance: Instance, options: RebalanceOptions = options) -> object:
            return rebalance_all(model, [instance.portfolio], options)

        def theirs(instance: Instance, options: RebalanceOptions = options) -> object:
            return textbook_by_cvxpy(
                instance.textbook, TIME_LIMIT_S, _terms(instance, options, ids)
            )

        times = duel(problems, ours, theirs, 1)
        table.add(size, "options", times, "", f"{what}, rebalance_all / CVXPY built anew, abs()")


def _terms(instance: Instance, options: RebalanceOptions, ids: Sequence[str]) -> TextbookTerms:
    """Convert options to the terms of a textbook; absent options become limits that never bind."""
    worth = float(instance.portfolio.market_value)
    groups = options.groups or (GroupBand("all", frozenset(ids)),)
    cap, trades = options.turnover_cap, options.maximum_trades
    return TextbookTerms(
        rate=float(options.cost_rate),
        per_trade=float(options.cost_per_trade),
        least_trade=np.maximum(np.ceil(float(options.minimum_value) / instance.textbook.price), 1),
        trades=len(ids) if trades is None else trades,
        turnover=float(cap.to_currency(instance.portfolio.market_value))
        if isinstance(cap, Percent)
        else 2 * worth,
        groups=np.array([[float(i in group.security_ids) for i in ids] for group in groups]),
        group_high=np.array([float(group.high) * worth for group in groups]),
    )


def discrete_allocation(
    rng: np.random.Generator, model: tuple[PricedTarget, ...], table: Comparison
) -> str:
    """Compare on the task of PyPortfolioOpt's lp_portfolio: whole shares for cash, 5 % kept back.

    lp_portfolio minimises the drift and the remaining cash; the engine minimises the drift.
    """
    weights = {s.security_id: float(s.weight) / 0.95 for s in model}
    series = pd.Series({s.security_id: float(s.price) for s in model})
    open_bands = tuple(replace(s, band=DriftBand(Decimal(1), Decimal(1))) for s in model)
    options = RebalanceOptions(cash_floor=Percent(Decimal(5)))
    prices = {s.security_id: s.price for s in model}
    accounts = [
        Portfolio(f"{at:024d}", Decimal(f"{rng.uniform(0.5e6, 5e6):.2f}"), {}, prices)
        for at in range(ALLOCATIONS)
    ]

    def theirs(portfolio: Portfolio) -> dict[str, int]:
        allocation = DiscreteAllocation(
            weights, series, total_portfolio_value=0.95 * float(portfolio.cash)
        )
        return allocation.lp_portfolio(solver="HIGHS")[0]

    def ours(portfolio: Portfolio) -> PortfolioOutcome:
        answer = rebalance_all(open_bands, [portfolio], options)[0]
        assert isinstance(answer, PortfolioOutcome)
        return answer

    def drift(portfolio: Portfolio, shares: Mapping[str, Decimal | int]) -> Decimal:
        away = (portfolio.cash * s.weight - shares.get(s.security_id, 0) * s.price for s in model)
        return sum((abs(amount) for amount in away), Decimal(0))

    times = duel(accounts, ours, theirs, 1)
    table.add(len(model), "floor", times, "", "rebalance_all / PyPortfolioOpt lp_portfolio")
    more = [
        drift(account, theirs(account))
        / drift(account, {t.security_id: t.quantity for t in ours(account).transactions})
        for account in accounts
    ]
    return (
        f"N={len(model)}: drift of lp_portfolio's plan / ours: {min(more):.2f} to {max(more):.2f}"
    )


def main() -> None:
    """Measure all comparisons, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=12)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 50, 100, 500])
    parser.add_argument("--indexes", type=int, nargs="*", default=[500, 3000])
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    table, rates = Comparison(), list[str]()
    for size in arguments.sizes:
        rng = np.random.default_rng([arguments.seed, size])
        model = securities(rng, size)
        rates.append(separable(rng, model, table))
        rates.append(columns(np.random.default_rng([arguments.seed, size, 1]), model, table))
        rates.append(restricted(np.random.default_rng([arguments.seed, size, 2]), model, table))
        for cash in ("slack", "tight"):
            with_cash_row(rng, model, arguments.problems, table, cash)
        rates.append(many_tight(rng, model, table))
        if size <= MAX_SIZE_FOR_ABS:
            coupled(rng, model, max(3, arguments.problems // 2), table)
        rates.append(discrete_allocation(rng, model, table))
    for size in arguments.indexes:
        rng = np.random.default_rng([arguments.seed, size, 3])
        rates.append(index(rng, securities(rng, size), table))
    table.print()
    print("\n".join(rates), "(target: >= 0.8 M/s at N=50)", sep="\n")


if __name__ == "__main__":
    main()
