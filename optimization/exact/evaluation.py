"""Evaluation: what a plan makes of the terms of its portfolio, in exact numbers.

The check behind every answer that has options: it shares no code with the program that proposes the plan.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from optimization.exact.band_violations import violations
from optimization.exact.block import Bands, Block
from optimization.exact.constraints import CouplingConstraints
from optimization.exact.scaled_integers import Integers

VIOLATION = "bands"  # the name of the limit on what positions are outside their bands
BAND = "band."  # how the limits begin that are edges of bands


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit and what a plan leaves of it: units of money, or trades; negative where it is broken."""

    option: str
    slack: Fraction


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A plan under its terms."""

    objective: Fraction  # units
    cost: Fraction  # units
    limits: tuple[Limit, ...]

    @property
    def broken(self) -> tuple[Limit, ...]:
        """The limits that the plan breaks."""
        return tuple(limit for limit in self.limits if limit.slack < 0)


def evaluate(terms: CouplingConstraints, block: Block, bands: Bands, lots: Integers) -> Evaluation:
    """The objective, the cost and every limit of a plan for one portfolio; ``lots`` of shape (n,)."""
    p: list[int] = block.lot_value.tolist()
    after: list[int] = lots.tolist()
    before: list[int] = block.before[0].tolist()
    rest: list[int] = np.broadcast_to(block.remainder[0], lots.shape).tolist()
    traded = [abs(z - z0) for z, z0 in zip(after, before, strict=True)]
    joined = sum(bool(traded[main] and traded[odd]) for main, odd in block.odd_lots)
    count = sum(change != 0 for change in traded) - joined
    turnover = sum(change * value for change, value in zip(traded, p, strict=True))
    worth = [z * value + r for z, value, r in zip(after, p, rest, strict=True)]
    outside = sum(violations(terms.edges, worth), Fraction(0)) if terms.bands_yield else Fraction(0)
    cost = terms.rate * turnover + terms.per_trade * count
    cash = int(block.market_value[0]) - sum(worth) - cost
    base = Fraction(int(block.base[0]))
    if terms.shares is not None:
        terms = terms.lowered(terms.shares, cost - block.costs)
        base = int(block.market_value[0]) - cost
    limits = [Limit("cash_floor", cash - terms.cash_least)]
    if terms.cash_most is not None:
        # Of the base, not of what this plan pays: to trade more would otherwise be a way below the ceiling.
        limits.append(Limit("cash_ceiling", terms.cash_most - (base - sum(worth))))
    if terms.turnover is not None:
        limits.append(Limit("turnover_cap", terms.turnover - turnover))
    if terms.trades is not None:
        limits.append(Limit("maximum_trades", Fraction(terms.trades - count)))
    limits += _minimum_trades(terms, traded, p)
    for group in terms.groups:
        value = sum(worth[column] for column in group.columns)
        limits.append(Limit(f"groups.{group.name}.low", value - group.low))
        limits.append(Limit(f"groups.{group.name}.high", group.high - value))
    if terms.shares is not None:
        limits += _of_bands(terms, worth)
    if terms.violation_most is not None:
        limits.append(Limit(VIOLATION, terms.violation_most - outside))
    drift = _drift(block, bands, after)
    return Evaluation(_objective(terms, drift, outside, cost), cost, tuple(limits))


def _objective(
    terms: CouplingConstraints, drift: Fraction, outside: Fraction, cost: Fraction
) -> Fraction:
    if terms.violation_alone:
        return outside
    weighed = cost if terms.costs_in_objective else 0
    return drift + (terms.soft_price or 0) * outside + weighed


def _minimum_trades(
    terms: CouplingConstraints, traded: Sequence[int], p: Sequence[int]
) -> list[Limit]:
    """What the trade that is closest to its least size has above it, for each option that sets one."""
    if all(least == 1 for least in terms.least_trade):
        return []
    spare: dict[str, list[Fraction]] = {}
    names = terms.least_by or ("minimum_value",) * len(p)
    for change, least, value, name in zip(traded, terms.least_trade, p, names, strict=True):
        if least > 1:
            spare.setdefault(name, [])
            spare[name] += [Fraction((change - least) * value)] * (change > 0)
    return [Limit(name, min(spare[name], default=Fraction(0))) for name in sorted(spare)]


def _of_bands(terms: CouplingConstraints, worth: Sequence[int]) -> Iterator[Limit]:
    """Both edges of every band as limits, by the number of the column."""
    for column, ((low, high), value) in enumerate(zip(terms.edges, worth, strict=True)):
        yield Limit(edge_name(column, "low"), value - low)
        yield Limit(edge_name(column, "high"), high - value)


def edge_name(column: int, side: str) -> str:
    """The name of an edge of a band among the limits."""
    return f"{BAND}{column}.{side}"


def _drift(block: Block, bands: Bands, after: Sequence[int]) -> Fraction:
    rows = zip(
        bands.target[0].tolist(),
        bands.part[0].tolist(),
        block.lot_value.tolist(),
        after,
        strict=True,
    )
    parts = sum(abs((t - z * p) * block.denominator + part) for t, part, p, z in rows)
    return Fraction(parts, block.denominator)
