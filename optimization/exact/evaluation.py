"""Evaluation: the objective, cost and slacks of a plan, in exact numbers.

Every answer with options passes this check. It shares no code with the program that proposes the
plan, because an error of the program would otherwise repeat itself here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from optimization.exact.band_violations import band_violations, compute_worth
from optimization.exact.block import Bands, Block
from optimization.exact.constraints import CouplingConstraints
from optimization.exact.scaled_integers import Integers

VIOLATION = "bands"  # name of the limit on the sum of violations
BAND = "band."  # prefix of the limits that are edges of bands


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit and its slack in a plan: units of money, or trades; negative if violated."""

    option: str
    slack: Fraction


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Objective, cost and slacks of a plan."""

    objective: Fraction  # units
    cost: Fraction  # units
    limits: tuple[Limit, ...]

    @property
    def violated_limits(self) -> tuple[Limit, ...]:
        """The limits with a negative slack."""
        return tuple(limit for limit in self.limits if limit.slack < 0)


def evaluate(
    constraints: CouplingConstraints, block: Block, bands: Bands, lots: Integers
) -> Evaluation:
    """Evaluate a plan for one portfolio against every limit; ``lots`` of shape (n,).

    objective = drift + soft_price * violation + cost, where the options set violation and cost.
    Cash, turnover, cost and group values are sums over positions worth z p + r at lots z.
    """
    p: list[int] = block.lot_value.tolist()
    after: list[int] = lots.tolist()
    before: list[int] = block.before[0].tolist()
    traded = [abs(z - z0) for z, z0 in zip(after, before, strict=True)]
    joined = sum(bool(traded[main] and traded[odd]) for main, odd in block.odd_lots)
    count = sum(change != 0 for change in traded) - joined
    turnover = sum(change * value for change, value in zip(traded, p, strict=True))
    worth = compute_worth(block, lots)
    cost = constraints.rate * turnover + constraints.per_trade * count
    outside = Fraction(0)
    if constraints.bands_yield:
        outside = sum(band_violations(constraints.edges, worth), outside)
    base = Fraction(int(block.base[0]))
    if constraints.base_fractions is not None:
        constraints = constraints.lower_base(constraints.base_fractions, cost - block.costs)
        base = int(block.market_value[0]) - cost
    limits = [
        Limit("cash_floor", int(block.market_value[0]) - sum(worth) - cost - constraints.cash_least)
    ]
    if constraints.cash_most is not None:
        # Measured on the base, because a plan could otherwise meet the ceiling by paying costs.
        limits.append(Limit("cash_ceiling", constraints.cash_most - (base - sum(worth))))
    limits += _check_caps(constraints, turnover, count)
    limits += _check_minimum_trades(constraints, traded, p)
    limits += _check_groups(constraints, worth)
    if constraints.base_fractions is not None:
        limits += _check_bands(constraints, worth)
    if constraints.violation_most is not None:
        limits.append(Limit(VIOLATION, constraints.violation_most - outside))
    drift = _compute_drift(block, bands, after)
    return Evaluation(_compute_objective(constraints, drift, outside, cost), cost, tuple(limits))


def _compute_objective(
    constraints: CouplingConstraints, drift: Fraction, outside: Fraction, cost: Fraction
) -> Fraction:
    if constraints.violation_alone:
        return outside
    weighed = cost if constraints.costs_in_objective else 0
    return drift + (constraints.soft_price or 0) * outside + weighed


def _check_caps(constraints: CouplingConstraints, turnover: int, count: int) -> Iterator[Limit]:
    if constraints.turnover is not None:
        yield Limit("turnover_cap", constraints.turnover - turnover)
    if constraints.trades is not None:
        yield Limit("maximum_trades", Fraction(constraints.trades - count))


def _check_minimum_trades(
    constraints: CouplingConstraints, traded: Sequence[int], p: Sequence[int]
) -> list[Limit]:
    """Slack of the trade closest to its minimum, for each option that sets a minimum."""
    if all(least == 1 for least in constraints.least_trade):
        return []
    spare: dict[str, list[Fraction]] = {}
    names = constraints.least_by or ("minimum_value",) * len(p)
    for change, least, value, name in zip(traded, constraints.least_trade, p, names, strict=True):
        if least > 1:
            spare.setdefault(name, [])
            spare[name] += [Fraction((change - least) * value)] * (change > 0)
    return [Limit(name, min(spare[name], default=Fraction(0))) for name in sorted(spare)]


def _check_groups(constraints: CouplingConstraints, worth: Sequence[int]) -> Iterator[Limit]:
    for group in constraints.groups:
        value = sum(worth[column] for column in group.columns)
        yield Limit(f"groups.{group.name}.low", value - group.low)
        yield Limit(f"groups.{group.name}.high", group.high - value)


def _check_bands(constraints: CouplingConstraints, worth: Sequence[int]) -> Iterator[Limit]:
    """Yield both edges of every band as limits, by column number."""
    for column, ((low, high), value) in enumerate(zip(constraints.edges, worth, strict=True)):
        yield Limit(edge_name(column, "low"), value - low)
        yield Limit(edge_name(column, "high"), high - value)


def edge_name(column: int, side: str) -> str:
    """Name an edge of a band as a limit."""
    return f"{BAND}{column}.{side}"


def _compute_drift(block: Block, bands: Bands, after: Sequence[int]) -> Fraction:
    rows = zip(
        bands.target[0].tolist(),
        bands.part[0].tolist(),
        block.lot_value.tolist(),
        after,
        strict=True,
    )
    parts = sum(abs((t - z * p) * block.denominator + part) for t, part, p, z in rows)
    return Fraction(parts, block.denominator)
