"""The arrays the engine works on: exact integers for a block of portfolios of one model.

Shapes: B portfolios, n securities. Units: see units.py. A position is ``remainder + lots * lot_value``:
the remainder is what a fractional holding (or an odd lot) is worth below one lot and cannot be traded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimization.exact.scaled_integers import INT64_SAFE, Integers


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Portfolios that share prices, targets and bands."""

    decimals: int  # money is in 10**-decimals currency
    denominator: int  # weights are in 1/denominator
    lot_value: Integers  # shape (n,), units, > 0
    weight: Integers  # shape (n,), 1/denominator
    low: Integers  # shape (n,), 1/denominator below the weight
    high: Integers  # shape (n,), 1/denominator above the weight
    remainder: Integers  # shape (B, n) or (1, n), units, >= 0
    before: Integers  # shape (B, n), lots held, negative when short
    market_value: Integers  # shape (B,), units
    investable: Integers  # shape (B,), units: the most that all positions may be worth together
    least: Integers | None = None  # shape (B, n), lots: no fewer, whatever the band
    most: Integers | None = None  # shape (B, n), lots: no more, whatever the band
    costs: int = 0  # units: of trading, paid before weights are measured
    odd_lots: tuple[
        tuple[int, int], ...
    ] = ()  # columns of one holding: its lots, its odd remainder

    @property
    def base(self) -> Integers:
        """The amount that weights are fractions of: market value after costs, shape (B,), units."""
        return self.market_value - self.costs if self.costs else self.market_value

    def after_costs(self, costs: int, investable: Integers) -> "Block":
        """The same block at the base that these costs leave, with what may be invested of it."""
        return replace(self, costs=costs, investable=investable)

    @property
    def shape(self) -> tuple[int, int]:
        """(B, n)."""
        return self.before.shape[0], self.lot_value.shape[0]

    def rows(self, chosen: Sequence[int]) -> "Block":
        """The same block with some of its portfolios."""
        shared = self.remainder.shape[0] != self.before.shape[0]
        return replace(
            self,
            remainder=self.remainder if shared else self.remainder[chosen],
            before=self.before[chosen],
            market_value=self.market_value[chosen],
            investable=self.investable[chosen],
            least=None if self.least is None else self.least[chosen],
            most=None if self.most is None else self.most[chosen],
        )

    def restricted(self, least: Integers, most: Integers) -> "Block":
        """The same block with bounds on the lots besides the bands."""
        return replace(self, least=least, most=most)

    def unrestricted(self) -> "Block":
        """The same block with its bands alone."""
        return replace(self, least=None, most=None)

    @property
    def kept_short(self) -> NDArray[np.bool_]:
        """Which short positions may not be bought back, so that they are kept; shape (B, n)."""
        if self.most is None:
            return np.zeros(self.before.shape, dtype=bool)
        return (self.most < 0).astype(bool)

    @property
    def outside(self) -> NDArray[np.bool_]:
        """Which columns are holdings outside the model, shape (n,): their target and band are 0."""
        return (self.weight == 0) & (self.high == 0)


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """Where each position should be and may be, in units above its remainder; shape (B, n).

    The target is ``target + part / denominator``; a position is in its band when
    ``lower <= lots * lot_value <= upper``.
    """

    target: Integers
    part: Integers  # 0 <= part < denominator
    lower: Integers  # >= 0 save for a short position that may not be bought back
    upper: Integers

    def rows(self, chosen: Sequence[int]) -> "Bands":
        """The same of some of the portfolios."""
        return Bands(self.target[chosen], self.part[chosen], self.lower[chosen], self.upper[chosen])


def bands(block: Block) -> Bands:
    """Targets and drift bands of a block at its base M, exact: t = M w, M (w - l) and M (w + h)."""
    base, parts = block.base[:, None], block.denominator
    whole, rest = None, base
    if not fits_int64(2 * parts * int(np.abs(base).max()), 1):
        # M w = (q D + r) w / D = q w + r w / D keeps every product below M or D**2.
        whole, rest = base // parts, base % parts

    def rounded_down(scaled: Integers, weight: Integers) -> Integers:
        """M weight in whole units; ``scaled`` is rest * weight."""
        units = scaled // parts
        return units if whole is None else units + whole * weight

    scaled, top, bottom = rest * block.weight, block.weight + block.high, block.low - block.weight
    target = rounded_down(scaled, block.weight) - block.remainder
    part = scaled - scaled // parts * parts
    upper = rounded_down(rest * top, top) - block.remainder
    lower = np.maximum(-rounded_down(rest * bottom, bottom) - block.remainder, 0)
    # A holding to be sold may keep what is below one lot: its band would otherwise admit nothing.
    # One that may not be sold is kept.
    kept = 0 if block.least is None else np.maximum(block.least, 0) * block.lot_value
    sold_out = block.outside & (upper < kept) & (base >= 0)
    if sold_out.any():
        upper = np.where(sold_out, kept, upper)
    short = block.kept_short
    if short.any():
        held = block.before * block.lot_value
        lower, upper = np.where(short, held, lower), np.where(short, np.maximum(upper, held), upper)
    return Bands(target, part, lower, upper)


def largest_number(
    market_values: Sequence[int], lot_values: Sequence[int], held: int, securities: int
) -> int:
    """A bound on every number the engine computes from such a block, for the int64 guard.

    A target plus its band is at most twice the market value; a position is within one lot of it;
    sums run over the securities. ``held`` bounds the value of what is held before.
    """
    most = max(abs(value) for value in market_values)
    lot = max(lot_values, default=1)
    return (2 * most + 2 * lot + held) * (securities + 1)


def fits_int64(largest: int, denominator: int) -> bool:
    """Whether int64 holds every number of a block."""
    return largest < INT64_SAFE and 2 * denominator**2 < INT64_SAFE


def lot_limits(block: Block, bands: Bands) -> tuple[Integers, Integers]:
    """Fewest and most whole lots inside each band; fewest > most where there is none. Shape (B, n)."""
    fewest, most = -(-bands.lower // block.lot_value), bands.upper // block.lot_value
    if block.least is None or block.most is None:
        return fewest, most
    return np.maximum(fewest, block.least), np.minimum(most, block.most)
