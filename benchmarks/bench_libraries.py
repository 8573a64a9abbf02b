"""The library beside PyPortfolioOpt and cvxportfolio on one task: a portfolio to whole shares.

    python benchmarks/bench_libraries.py [--accounts 10] [--names 30] [--seed 1]

Each account holds shares and cash; the target weights of all names sum to 1, so cash binds. The
three functions below are the programs that a user writes, and their lines are counted. Time is
processor time of a call, the median over the accounts after one call that is not counted. Drift is
the sum of distances from target in currency, as a part of market value; overdraft says how often
the plan spends more than there is. The table is that of docs/explanation/libraries.md.
"""

import argparse
import inspect
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import cvxportfolio
import numpy as np
import pandas as pd
from pypfopt import DiscreteAllocation
from rich.console import Console
from rich.table import Table

from optimization import rebalance_frame

Shares = pd.Series
Program = Callable[[pd.Series, float, pd.Series, pd.Series], pd.Series]


def by_library(shares: Shares, cash: float, prices: pd.Series, weights: pd.Series) -> Shares:
    outcome = rebalance_frame(shares, prices, weights, cash=cash, band=1)
    trades = outcome.to_frame("positions").set_index("security")
    return trades["quantity_after"]


def by_lp(shares: Shares, cash: float, prices: pd.Series, weights: pd.Series) -> Shares:
    value = float(shares @ prices) + cash
    plan = DiscreteAllocation(weights.to_dict(), prices, value)
    allocation, _ = plan.lp_portfolio(solver="HIGHS")
    return pd.Series(allocation).reindex(prices.index, fill_value=0)


def by_greedy(shares: Shares, cash: float, prices: pd.Series, weights: pd.Series) -> Shares:
    value = float(shares @ prices) + cash
    plan = DiscreteAllocation(weights.to_dict(), prices, value)
    allocation, _ = plan.greedy_portfolio()
    return pd.Series(allocation).reindex(prices.index, fill_value=0)


def by_cvxportfolio(shares: Shares, cash: float, prices: pd.Series, weights: pd.Series) -> Shares:
    holdings = pd.concat([shares * prices, pd.Series({"cash": cash})])
    targets = pd.concat([weights, pd.Series({"cash": 0.0})])
    policy = cvxportfolio.FixedWeights(targets)
    amounts, _, _ = policy.execute(holdings, market_data=None, t=pd.Timestamp("2026-11-26"))
    return shares + np.round(amounts[:-1] / prices)


PROGRAMS: dict[str, Program] = {
    "rebalance_frame": by_library,
    "DiscreteAllocation, linear program": by_lp,
    "DiscreteAllocation, greedy": by_greedy,
    "cvxportfolio FixedWeights, rounded": by_cvxportfolio,
}


@dataclass(frozen=True)
class Measurement:
    """Figures of a program over all accounts."""

    lines: int
    milliseconds: float
    drift: float  # percent of market value, median
    overdrafts: int


def accounts(count: int, names: int, seed: int) -> list[tuple[Shares, float, pd.Series, pd.Series]]:
    """Draw accounts of about 100,000 whose holdings have drifted from their targets."""
    random = np.random.default_rng(seed)
    tickers = [f"N{number:03}" for number in range(names)]
    book: list[tuple[Shares, float, pd.Series, pd.Series]] = []
    for _ in range(count):
        prices = pd.Series(random.uniform(10, 600, names).round(2), index=tickers)
        parts = np.floor(random.dirichlet(np.full(names, 5.0)) * 1e4).astype(int)
        parts[0] += 10_000 - parts.sum()
        weights = pd.Series(parts / 1e4, index=tickers)
        moved = weights * random.lognormal(0, 0.3, names)
        shares = np.floor(95_000 * moved / prices)
        book.append((shares, 5_000.0, prices, weights))
    return book


def measure(
    program: Program, book: list[tuple[Shares, float, pd.Series, pd.Series]]
) -> Measurement:
    program(*book[0])
    times: list[float] = []
    drifts: list[float] = []
    overdrafts = 0
    for holdings, cash, prices, weights in book:
        start = time.process_time()
        shares = program(holdings, cash, prices, weights)
        times.append(time.process_time() - start)
        value = float(holdings @ prices) + cash
        drifts.append(float((weights * value - shares * prices).abs().sum()) / value)
        overdrafts += float(shares @ prices) > value + 0.005
    lines = len(inspect.getsource(program).splitlines()) - 1
    return Measurement(lines, 1000 * median(times), 100 * median(drifts), overdrafts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=10)
    parser.add_argument("--names", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # those of the other libraries
    book = accounts(arguments.accounts, arguments.names, arguments.seed)
    heads = ("program", "lines", "ms", "drift %", "overdrafts")
    table = Table(*heads, title=f"{arguments.accounts} accounts, {arguments.names} names")
    for name, program in PROGRAMS.items():
        result = measure(program, book)
        cells = (
            f"{result.lines}",
            f"{result.milliseconds:.1f}",
            f"{result.drift:.3f}",
            f"{result.overdrafts}",
        )
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
