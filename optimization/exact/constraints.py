"""Coupling constraints: the options of one portfolio that couple securities or trades, exact.

Money is in units of the block (scaled_integers.py), as Fractions where a rate or a percentage
yields parts of a unit. evaluation.py checks a plan against these constraints.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from optimization.domain.numbers import EXACT, Amount, Percent, to_currency
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio, PricedTarget
from optimization.exact.band_violations import Edges, list_remainders, scaled_edges
from optimization.exact.block import Block
from optimization.exact.scaled_integers import to_decimal
from optimization.exact.trade_sizes import least_trades


@dataclass(frozen=True, slots=True)
class Group:
    """Bounds on the total value of some positions, in units of money."""

    name: str
    columns: frozenset[int]
    low: Fraction
    high: Fraction

    def lower_base(self, fractions: tuple[Fraction, Fraction], by: Fraction) -> "Group":
        """Restate the bounds at a base that is lower by ``by`` units."""
        low, high = fractions
        return replace(self, low=self.low - by * low, high=self.high - by * high)


@dataclass(frozen=True, slots=True)
class BaseFractions:
    """Limits as fractions of the base: the amount by which each falls per unit of base."""

    cash_least: Fraction  # 0 for a floor in currency
    cash_most: Fraction  # 0 for a ceiling in currency
    groups: tuple[tuple[Fraction, Fraction], ...]
    edges: tuple[tuple[Fraction, Fraction], ...]


@dataclass(frozen=True, slots=True)
class CouplingConstraints:
    """Coupling constraints at one base; None for an option that is not set. Money in units.

    With ``base_fractions`` the constraints hold at the base that the plan's own costs leave: limits
    move with the costs, and bands become limits.
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
    edges: Edges  # edges of the bands, in units
    base_fractions: BaseFractions | None = None
    least_by: tuple[str, ...] = ()  # the option that sets least_trade, per column
    violation_most: Fraction | None = None  # upper limit on the sum of violations
    violation_alone: bool = False  # the objective is the violation, without drift and costs

    @property
    def cash_floor_alone(self) -> bool:
        """Whether the cash floor is the only constraint that couples securities or trades."""
        caps = (self.cash_most, self.turnover, self.trades)
        free = not (self.rate or self.per_trade or self.groups)
        return free and caps == (None, None, None) and max(self.least_trade, default=1) == 1

    @property
    def bands_yield(self) -> bool:
        """Whether a plan may leave bands."""
        return self.soft_price is not None

    @property
    def counts_trades(self) -> bool:
        """Whether the number of trades matters, besides their value.

        At the plan's own base the number matters, because a plan could otherwise buy and sell the
        same security to burn cash and meet a limit.
        """
        least = max(self.least_trade, default=1)
        counts = self.trades is not None or self.per_trade > 0 or least > 1
        return counts or self.base_fractions is not None

    def lower_base(self, fractions: BaseFractions, by: Fraction) -> "CouplingConstraints":
        """Restate the constraints at a base that is lower by ``by`` units."""
        most, groups = self.cash_most, zip(self.groups, fractions.groups, strict=True)
        return replace(
            self,
            cash_least=self.cash_least - by * fractions.cash_least,
            cash_most=None if most is None else most - by * fractions.cash_most,
            groups=tuple(group.lower_base(of_base, by) for group, of_base in groups),
            edges=tuple(
                (low - by * low_part, high - by * high_part)
                for (low, high), (low_part, high_part) in zip(
                    self.edges, fractions.edges, strict=True
                )
            ),
        )


def state_constraints(
    options: RebalanceOptions,
    portfolio: Portfolio,
    block: Block,
    securities: Sequence[PricedTarget],
    lots: Sequence[Decimal],
) -> CouplingConstraints:
    """State the options at the block's base; ``lots`` in shares, per column.

    Turnover is a fraction of market value, before costs.
    """
    market_value, scale = portfolio.market_value, 10**block.decimals
    base = EXACT.subtract(market_value, to_decimal(block.costs, block.decimals))

    def units(value: Amount, whole: Decimal = base) -> Fraction:
        return Fraction(to_currency(value, whole)) * scale

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
        groups=tuple(_state_groups(options, Fraction(base) * scale, securities)),
        # The edges are computed for yielding bands and costs, because nothing else reads them.
        edges=tuple(band_edges(block)) if soft is not None or options.has_costs else (),
        least_by=tuple(
            "minimum_value" if of_value >= of_shares else "minimum_shares"
            for of_shares, of_value in needed
        ),
    )


def _state_groups(
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


def state_base_fractions(options: RebalanceOptions, block: Block) -> BaseFractions:
    """State the limits of a portfolio as fractions of the base."""

    def part(value: Amount | None) -> Fraction:
        return Fraction(value.value) / 100 if isinstance(value, Percent) else Fraction(0)

    columns = zip(block.weight.tolist(), block.low.tolist(), block.high.tolist(), strict=True)
    return BaseFractions(
        part(options.cash_floor),
        part(options.cash_ceiling),
        tuple((Fraction(group.low), Fraction(group.high)) for group in options.groups),
        tuple(
            (Fraction(w - low, block.denominator), Fraction(w + high, block.denominator))
            for w, low, high in columns
        ),
    )


def band_edges(block: Block) -> Iterable[tuple[Fraction, Fraction]]:
    """Lower and upper edge of each band, in units, unrounded, as limits of the program.

    The unsellable part of a holding outside the model, and a short position that may not be bought
    back, widen their bands and therefore violate nothing.
    """
    outside: list[bool] = block.is_outside.tolist()
    short: list[bool] = block.is_kept_short[0].tolist()
    rests, lot_value = list_remainders(block), block.lot_value.tolist()
    for i, (low, high) in enumerate(scaled_edges(block)):
        bottom, top = Fraction(low, block.denominator), Fraction(high, block.denominator)
        if outside[i]:
            kept = 0 if block.least is None else max(int(block.least[0, i]), 0)
            top = max(top, Fraction(kept * lot_value[i] + rests[i]))
        if short[i] and block.most is not None:
            kept = Fraction(int(block.most[0, i]) * lot_value[i] + rests[i])
            bottom, top = min(bottom, kept), max(top, kept)
        yield bottom, top
