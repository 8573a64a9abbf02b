"""Terms: the options of one portfolio in exact numbers.

Money is in units of the block (see units.py), as Fractions where a rate or a percentage makes parts of a
unit. What a plan makes of them is evaluation.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from optimization.domain.decimals import EXACT
from optimization.domain.options import Amount, Percent, RebalanceOptions, amount
from optimization.domain.outcome import PricedTarget
from optimization.domain.portfolio import Portfolio
from optimization.exact.band_violations import Edges
from optimization.exact.block import Block
from optimization.exact.restrictions import least_trades
from optimization.exact.scaled_integers import to_decimal


@dataclass(frozen=True, slots=True)
class Group:
    """Bounds on the value of some positions together, in units."""

    name: str
    columns: frozenset[int]
    low: Fraction
    high: Fraction

    def lowered(self, shares: tuple[Fraction, Fraction], by: Fraction) -> "Group":
        """The same bounds at a base that is lower by so many units."""
        low, high = shares
        return replace(self, low=self.low - by * low, high=self.high - by * high)


@dataclass(frozen=True, slots=True)
class BaseShares:
    """The limits of Terms as fractions of the base: what each loses with a unit of it."""

    cash_least: Fraction  # 0 of a floor in currency, as of the ceiling
    cash_most: Fraction
    groups: tuple[tuple[Fraction, Fraction], ...]
    edges: tuple[tuple[Fraction, Fraction], ...]


@dataclass(frozen=True, slots=True)
class CouplingConstraints:
    """The coupling options at one base; None where one is not asked for. Money in units.

    With ``shares`` a plan is held to the base that its own costs leave: limits move with it, and bands are limits.
    """

    cash_least: Fraction
    cash_most: Fraction | None
    turnover: Fraction | None
    trades: int | None
    rate: Fraction
    per_trade: Fraction
    costs_in_objective: bool
    soft_price: Fraction | None
    least_trade: tuple[int, ...]  # lots, per column, at least 1
    groups: tuple[Group, ...]
    edges: Edges  # of the bands, in units
    shares: BaseShares | None = None
    least_by: tuple[str, ...] = ()  # the option that sets the least trade, per column
    violation_most: Fraction | None = None  # of bands that yield: no more than this, all together
    violation_alone: bool = False  # is the objective, whatever the drift and the costs

    @property
    def cash_floor_alone(self) -> bool:
        """Whether nothing but the cash floor ties securities or trades together."""
        caps = (self.cash_most, self.turnover, self.trades)
        free = not (self.rate or self.per_trade or self.groups)
        return free and caps == (None, None, None) and max(self.least_trade, default=1) == 1

    @property
    def bands_yield(self) -> bool:
        """Whether a plan may leave bands."""
        return self.soft_price is not None

    @property
    def counted(self) -> bool:
        """Whether trades count, beside what they move.

        At the plan's own base they do, because to buy and sell the same would otherwise burn cash to keep a limit.
        """
        least = max(self.least_trade, default=1)
        counts = self.trades is not None or self.per_trade > 0 or least > 1
        return counts or self.shares is not None

    def lowered(self, shares: BaseShares, by: Fraction) -> "CouplingConstraints":
        """The terms at a base that is lower by so many units."""
        most, groups = self.cash_most, zip(self.groups, shares.groups, strict=True)
        return replace(
            self,
            cash_least=self.cash_least - by * shares.cash_least,
            cash_most=None if most is None else most - by * shares.cash_most,
            groups=tuple(group.lowered(of_base, by) for group, of_base in groups),
            edges=tuple(
                (low - by * low_share, high - by * high_share)
                for (low, high), (low_share, high_share) in zip(
                    self.edges, shares.edges, strict=True
                )
            ),
        )


def constraints_of(
    options: RebalanceOptions,
    portfolio: Portfolio,
    block: Block,
    securities: Sequence[PricedTarget],
    lots: Sequence[Decimal],
) -> CouplingConstraints:
    """The options at the block's base; ``lots`` in shares, per column. Turnover is of market value."""
    market_value, scale = portfolio.market_value, 10**block.decimals
    base = EXACT.subtract(market_value, to_decimal(block.costs, block.decimals))

    def units(value: Amount, whole: Decimal = base) -> Fraction:
        return Fraction(amount(value, whole)) * scale

    needed = least_trades(block, lots, options)
    soft = options.soft_band_price
    return CouplingConstraints(
        cash_least=units(options.cash_floor),
        cash_most=None if options.cash_ceiling is None else units(options.cash_ceiling),
        turnover=None
        if options.turnover_cap is None
        else units(options.turnover_cap, market_value),
        trades=options.maximum_trades,
        rate=Fraction(options.cost_rate),
        per_trade=units(options.cost_per_trade),
        costs_in_objective=options.costs_in_objective,
        soft_price=None if soft is None else Fraction(soft),
        least_trade=tuple(max(1, *pair) for pair in needed),
        groups=tuple(_groups(options, Fraction(base) * scale, securities)),
        # Only bands that a plan may leave, or that move with its costs, are asked about their edges.
        edges=tuple(band_edges(block)) if soft is not None or options.has_costs else (),
        least_by=tuple(
            "minimum_value" if of_value >= of_shares else "minimum_shares"
            for of_shares, of_value in needed
        ),
    )


def _groups(
    options: RebalanceOptions, base: Fraction, securities: Sequence[PricedTarget]
) -> Iterable[Group]:
    for group in options.groups:
        columns = frozenset(
            column
            for column, security in enumerate(securities)
            if security.security_id in group.security_ids
        )
        low, high = Fraction(group.low) * base, Fraction(group.high) * base
        yield Group(group.name, columns, low, high)


def shares_of(options: RebalanceOptions, block: Block) -> BaseShares:
    """The limits of a portfolio as fractions of the base."""

    def part(value: Amount | None) -> Fraction:
        return Fraction(value.value) / 100 if isinstance(value, Percent) else Fraction(0)

    columns = zip(block.weight.tolist(), block.low.tolist(), block.high.tolist(), strict=True)
    return BaseShares(
        part(options.cash_floor),
        part(options.cash_ceiling),
        tuple((Fraction(group.low), Fraction(group.high)) for group in options.groups),
        tuple(
            (Fraction(w - low, block.denominator), Fraction(w + high, block.denominator))
            for w, low, high in columns
        ),
    )


def band_edges(block: Block) -> Iterable[tuple[Fraction, Fraction]]:
    """The least and the most that each position may be worth in its band, unrounded.

    What cannot be sold of a holding outside the model is no violation, nor is a short position that
    may not be bought back.
    """
    value, parts = int(block.base[0]), block.denominator
    outside: list[bool] = block.outside.tolist()
    short: list[bool] = block.kept_short[0].tolist()
    columns = (block.weight, block.low, block.high, block.lot_value)
    for i, (weight, low, high, lot) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        bottom, top = (
            Fraction(value * (weight - low), parts),
            Fraction(value * (weight + high), parts),
        )
        rest = int(block.remainder[0, i % block.remainder.shape[1]])
        if outside[i]:
            kept = 0 if block.least is None else max(int(block.least[0, i]), 0)
            top = max(top, kept * lot + rest)
        if short[i]:
            held = int(block.before[0, i]) * lot + rest
            bottom, top = min(bottom, held), max(top, held)
        yield bottom, Fraction(top)
