"""Random models and accounts for the benchmarks of the engine, in the form of every contender.

Prices are lognormal around 80, clipped to 2..4000; targets are multiples of 0.005 (of 0.0005 above
190 securities, of 0.0001 above 1,900) that sum to 0.95; bands are 0.5..3 %.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from optimization.domain.drift_band import DriftBand
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio, PricedTarget
from optimization.exact.block import Bands, Block, compute_bands, lot_limits
from optimization.exact.block_builder import build_block
from optimization.exact.scaled_integers import Integers
from optimization.milp.data import CashMilpData
from optimization.solvers.cash_constrained import CashConstrainedProblem, cash_milp_data
from optimization.solvers.separable import solve
from tests.engine_checks.rivals import Textbook


@dataclass(frozen=True)
class Instance:
    """One portfolio in the form of every contender."""

    portfolio: Portfolio
    cash_floor: Decimal
    cash_problem: CashConstrainedProblem
    cash: CashMilpData
    textbook: Textbook


def securities(rng: np.random.Generator, count: int) -> tuple[PricedTarget, ...]:
    """A model of ``count`` securities at one price snapshot."""
    sizes = ((190, "0.005"), (1_900, "0.0005"), (9_500, "0.0001"))
    step = next(Decimal(written) for most, written in sizes if count <= most)
    steps = int(Decimal("0.95") / step)
    weights = 1 + rng.multinomial(steps - count, rng.dirichlet(np.full(count, 4.0)))
    prices = np.clip(rng.lognormal(np.log(80), 0.8, count), 2, 4000)
    drifts = rng.integers(50, 301, count)
    return tuple(
        PricedTarget(
            f"{i:024d}",
            Decimal(f"{price:.2f}"),
            int(weight) * step,
            DriftBand(Decimal(int(drift)).scaleb(-4), Decimal(int(drift)).scaleb(-4)),
        )
        for i, (price, weight, drift) in enumerate(zip(prices, weights, drifts, strict=True))
    )


def portfolios(
    rng: np.random.Generator, model: tuple[PricedTarget, ...], count: int
) -> list[Portfolio]:
    """Accounts of 0.5 to 5 million, up to a fifth away from their targets."""
    prices = {security.security_id: security.price for security in model}
    made: list[Portfolio] = []
    for at in range(count):
        worth = float(rng.uniform(0.5e6, 5e6))
        away = rng.uniform(0.8, 1.2, len(model))
        held = {
            s.security_id: Decimal(int(worth * float(s.weight) / float(s.price) * f))
            for s, f in zip(model, away, strict=True)
        }
        invested = sum((u * prices[s] for s, u in held.items()), Decimal(0))
        made.append(Portfolio(f"{at:024d}", Decimal(f"{worth:.2f}") - invested, held, prices))
    return made


def instances(
    rng: np.random.Generator, model: tuple[PricedTarget, ...], count: int, *, tight: bool
) -> list[Instance]:
    """Problems that have a plan; tight ones lack part of what one lot less of each would free."""
    found: list[Instance] = []
    for portfolio in portfolios(rng, model, 20 * count):
        assembled = build_block(model, (), [portfolio], RebalanceOptions())
        where = compute_bands(assembled.block)
        best = solve(assembled.block, where)
        if not best.admits[0]:
            continue
        limit = best.invested
        if tight:
            above = best.lots * assembled.block.lot_value > where.target
            chords = int((above * assembled.block.lot_value).sum())
            limit = limit - max(1, int(chords * rng.uniform(0.1, 0.9)))
        block = replace(assembled.block, investable=limit)
        units = int(block.market_value[0]) - int(limit[0])
        floor = Decimal(units).scaleb(-block.decimals) if tight else Decimal(0)
        found.append(_instance(portfolio, floor, block, where, best.lots[0], tight=tight))
        if len(found) == count:
            return found
    raise AssertionError("too few accounts have a plan")


def _instance(
    portfolio: Portfolio, floor: Decimal, block: Block, where: Bands, lots: Integers, *, tight: bool
) -> Instance:
    if not tight:
        block = replace(block, investable=block.market_value)
    invested = int((lots * block.lot_value).sum())
    cash_problem = CashConstrainedProblem(
        portfolio.portfolio_id, block, where, lots, invested - int(block.investable[0])
    )
    fewest, most = (limits[0] for limits in lot_limits(block, where))
    base = np.clip(where.target[0] // block.lot_value, fewest, most)
    unit = 10.0**-block.decimals
    textbook = Textbook(
        price=block.lot_value * unit,
        target=(where.target[0] + where.part[0] / block.denominator) * unit,
        low=fewest.astype(float),
        high=most.astype(float),
        held=block.before[0].astype(float),
        limit=float(block.investable[0]) * unit,
    )
    return Instance(
        portfolio, floor, cash_problem, cash_milp_data(cash_problem, base, fewest, most), textbook
    )
