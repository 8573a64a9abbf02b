"""Desk: one portfolio under options that couple, and the floats of its integer program."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from optimization import program
from optimization.certificate import broken
from optimization.separable import lot_limits
from optimization.terms import Evaluated, Terms, evaluate
from optimization.tight import Tight, hair_of
from optimization.units import Integers, grain_of, just_above

UNBOUNDED = 1e15  # currency; beyond any limit of a portfolio
NO_MARGINS: Mapping[str, Fraction] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """One portfolio, its separable optimum and its terms."""

    tight: Tight
    terms: Terms

    def evaluated(self, lots: Integers) -> Evaluated:
        """The exact objective, cost and limits of a plan."""
        return evaluate(self.terms, self.tight.block, self.tight.bands, lots)

    def keeps_bands(self, lots: Integers) -> bool:
        """Whether a plan is inside every band and restriction and short of nothing."""
        if self.terms.soft_price is None:
            return not broken(self.tight.block, lots[None, :])[0, :2].any()
        least, most = self.bounds
        return bool(((lots >= least) & (lots <= most)).all())

    @property
    def unit(self) -> float:
        """A unit of money in currency."""
        return 10.0**-self.tight.block.decimals

    @property
    def bounds(self) -> tuple[Integers, Integers]:
        """Fewest and most lots: of the bands, or of the restrictions alone where bands are soft."""
        block, bands = self.tight.block, self.tight.bands
        if self.terms.soft_price is None:
            fewest, most = lot_limits(block, bands)
            return fewest[0], most[0]
        return self.soft_bounds

    @property
    def soft_bounds(self) -> tuple[Integers, Integers]:
        """No short position, the restrictions, and nothing beyond what any plan can need."""
        block, bands = self.tight.block, self.tight.bands
        trade = max(self.terms.least_trade, default=1)
        useful = np.maximum(lot_limits(block, bands)[0][0], block.before[0]) + trade
        most = np.maximum(np.maximum(bands.target[0] // block.lot_value + 1, useful), 0)
        most = np.maximum(most, block.market_value[0] // block.lot_value)
        least = np.zeros_like(most)
        if block.least is not None and block.most is not None:
            least, most = np.maximum(least, block.least[0]), np.minimum(most, block.most[0])
        return least, most

    def without_band(self) -> Integers:
        """Columns where no count of lots is inside band, restriction and minimum trade at once."""
        fewest, most = self.bounds
        before = self.tight.block.before[0]
        least = np.array(self.terms.least_trade, dtype=before.dtype)
        stays = (fewest <= before) & (before <= most)
        buys = np.maximum(fewest, before + least) <= most
        sells = fewest <= np.minimum(most, before - least)
        return np.flatnonzero(~(stays | buys | sells))


def desk_problem(
    desk: Desk, margins: Mapping[str, Fraction] = NO_MARGINS
) -> tuple[program.DeskProblem, Integers]:
    """The program's floats, and the lots ``k`` they count from: those at or just below each target.

    ``margins`` say by how much limits are tightened, by the names that terms.py gives them, in units.
    """
    fewest, most = desk.bounds
    block, bands, terms, unit = desk.tight.block, desk.tight.bands, desk.terms, desk.unit
    lot_value = block.lot_value
    base = np.minimum(np.maximum(bands.target[0] // lot_value, fewest), most)
    before = block.before[0]
    value = lot_value.astype(float) * unit
    away = (bands.target[0] - base * lot_value).astype(float)
    away = (away + bands.part[0].astype(float) / block.denominator) * unit
    rate_value, per_trade = float(terms.rate) * value, float(terms.per_trade) * unit
    counts = 1.0 if terms.costs_in_objective else 0.0
    soft = terms.soft_price is not None
    everything = (most - fewest).astype(float) * value + 1.0
    low, high = _edges_above(desk, base) if soft else (-everything, everything)
    limits = _Limits(desk, base, margins)
    limit, limit_low, turnover = limits.of_cash()
    group_value, group_low, group_high = limits.of_groups()
    problem = program.DeskProblem(
        lot_value=value,
        chord=np.abs(away - value) - np.abs(away),
        chords=(base < most).astype(float),
        most_down=(base - fewest).astype(float),
        most_up=np.maximum(most - base - 1, 0).astype(float),
        base_trade=(base - before).astype(float),
        most_buy=np.maximum(most - before, 0).astype(float),
        most_sell=np.maximum(before - fewest, 0).astype(float),
        least_trade=np.array(terms.least_trade, dtype=float),
        rate_value=rate_value,
        per_trade=per_trade,
        objective_rate_value=rate_value * counts,
        objective_per_trade=per_trade * counts,
        band_low=low,
        band_high=high,
        soft_price=float(terms.soft_price) if terms.soft_price is not None else 0.0,
        trades=float(len(base) if terms.trades is None else terms.trades),
        limit=limit,
        limit_low=limit_low,
        turnover=turnover,
        group_value=group_value,
        group_low=group_low,
        group_high=group_high,
    )
    return problem, base


def _edges_above(desk: Desk, base: Integers) -> tuple[program.Floats, program.Floats]:
    """The edges of the bands, in currency above ``base`` lots."""
    at_base = (base * desk.tight.block.lot_value + desk.tight.remainder).tolist()
    rows = zip(desk.terms.edges, at_base, strict=True)
    pairs = [(float(low - worth), float(high - worth)) for (low, high), worth in rows]
    edges = np.array(pairs).reshape(len(pairs), 2) * desk.unit
    return edges[:, 0], edges[:, 1]


@dataclass(frozen=True, slots=True, eq=False)
class _Limits:
    """The limits on sums of money as the program has them: above ``base`` lots, tightened by margins."""

    desk: Desk
    base: Integers
    margins: Mapping[str, Fraction]

    def of_cash(self) -> tuple[float, float, float]:
        """What may be spent at most and at least, and what may be traded."""
        terms, worth = self.desk.terms, self._worth
        cash = int(self.desk.tight.block.market_value[0]) - sum(worth)
        p = [Fraction(value) for value in self.desk.tight.block.lot_value.tolist()]
        traded, spent = grain_of(p), grain_of([*p, *(terms.rate * v for v in p), terms.per_trade])
        least = None if terms.cash_most is None else terms.cash_most - cash
        return (
            self._most("cash_floor", cash - terms.cash_least, spent),
            -self._most("cash_ceiling", least, spent),
            self._most("turnover_cap", terms.turnover, traded),
        )

    def of_groups(self) -> tuple[program.Floats, program.Floats, program.Floats]:
        """Rows over the lots above ``base``; one that binds nothing where there are no groups."""
        groups, lot_value = self.desk.terms.groups, self.desk.tight.block.lot_value
        rows = np.zeros((max(1, len(groups)), len(self.base)))
        low, high = np.zeros(len(rows)), np.zeros(len(rows))
        for row, group in enumerate(groups):
            columns = sorted(group.columns)
            rows[row, columns] = lot_value[columns].astype(float) * self.desk.unit
            at_base = sum(self._worth[column] for column in columns)
            grain = grain_of(lot_value[columns].tolist())
            name = f"groups.{group.name}"
            low[row] = -self._most(f"{name}.low", at_base - group.low, grain)
            high[row] = self._most(f"{name}.high", group.high - at_base, grain)
        return rows, low, high

    @property
    def _worth(self) -> list[int]:
        return (self.base * self.desk.tight.block.lot_value + self.desk.tight.remainder).tolist()

    def _most(self, name: str, limit: Fraction | None, grain: Fraction) -> float:
        if limit is None:
            return UNBOUNDED
        limit = just_above(limit, grain, hair_of(self.desk.tight.block))
        return float(limit - self.margins.get(name, 0)) * self.desk.unit
