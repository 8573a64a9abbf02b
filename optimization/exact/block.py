"""Blocks: the exact integer arrays of portfolios that share a model.

Shapes: B portfolios, n securities. Units: see scaled_integers.py. A position is worth
``remainder + lots * lot_value``. The remainder is the value of the part of a holding below one lot
(a fraction of a share, or an odd lot); it cannot be traded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimization.exact.scaled_integers import INT64_SAFE, Integers

BLOCK_SIZE = 512  # portfolios, because 512 rows of 50 securities fit the processor's cache


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
    investable: Integers  # shape (B,), units: upper limit on the value of all positions
    least: Integers | None = None  # shape (B, n), lots: lower bound besides the band
    most: Integers | None = None  # shape (B, n), lots: upper bound besides the band
    costs: int = 0  # units: trading costs, subtracted from the base of all weights
    odd_lots: tuple[tuple[int, int], ...] = ()  # (column of lots, column of odd remainder)

    @property
    def base(self) -> Integers:
        """Market value after costs, the amount that weights are fractions of; shape (B,), units."""
        return self.market_value - self.costs if self.costs else self.market_value

    def with_costs(self, costs: int, investable: Integers) -> "Block":
        """Restate the block at the base that these costs leave."""
        return replace(self, costs=costs, investable=investable)

    @property
    def shape(self) -> tuple[int, int]:
        """(B, n)."""
        return self.before.shape[0], self.lot_value.shape[0]

    def select_rows(self, chosen: Sequence[int]) -> "Block":
        """Select some of the portfolios."""
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

    def with_bounds(self, least: Integers, most: Integers) -> "Block":
        """Add bounds on lots besides the bands."""
        return replace(self, least=least, most=most)

    def without_bounds(self) -> "Block":
        """Drop all bounds except the bands."""
        return replace(self, least=None, most=None)

    @property
    def is_kept_short(self) -> NDArray[np.bool_]:
        """Whether each position is short and may not be bought back whole; shape (B, n)."""
        if self.most is None:
            return np.zeros(self.before.shape, dtype=bool)
        return (self.most < 0).astype(bool)

    @property
    def is_outside(self) -> NDArray[np.bool_]:
        """Whether each column is a holding outside the model: target and band 0; shape (n,)."""
        return (self.weight == 0) & (self.high == 0)


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """Target and band of each position, in units above its remainder; shape (B, n).

    The target is ``target + part / denominator``. A position is inside its band if
    ``lower <= lots * lot_value <= upper``.
    """

    target: Integers
    part: Integers  # 0 <= part < denominator
    lower: Integers  # >= 0, except for a short position that may not be bought back
    upper: Integers

    def select_rows(self, chosen: Sequence[int]) -> "Bands":
        """Select some of the portfolios."""
        return Bands(self.target[chosen], self.part[chosen], self.lower[chosen], self.upper[chosen])


def compute_bands(block: Block) -> Bands:
    """Targets and bands of a block at its base M: t = M w, M (w - l) and M (w + h), exact."""
    base, parts = block.base[:, None], block.denominator
    whole, rest = None, base
    if not fits_int64(2 * parts * int(np.abs(base).max()), 1):
        # M w = (q D + r) w / D = q w + r w / D, because each product is then below M or D**2.
        whole, rest = base // parts, base % parts

    def floor_product(scaled: Integers, weight: Integers) -> Integers:
        """Floor of M weight in whole units; ``scaled`` is rest * weight."""
        units = scaled // parts
        return units if whole is None else units + whole * weight

    scaled, top, bottom = rest * block.weight, block.weight + block.high, block.low - block.weight
    target = floor_product(scaled, block.weight) - block.remainder
    part = scaled - scaled // parts * parts
    upper = floor_product(rest * top, top) - block.remainder
    lower = np.maximum(-floor_product(rest * bottom, bottom) - block.remainder, 0)
    # Widened, because a sold holding may keep less than one lot and its band of width 0 would
    # admit nothing. A holding that may not be sold is kept.
    least_value = 0 if block.least is None else np.maximum(block.least, 0) * block.lot_value
    sold_out = block.is_outside & (upper < least_value) & (base >= 0)
    if sold_out.any():
        upper = np.where(sold_out, least_value, upper)
    short = block.is_kept_short
    if block.most is not None and short.any():
        # Widened to the short lots that remain after the largest purchase, because they violate
        # nothing: all of them, unless only the size of trades limits the purchase.
        most_value = np.minimum(block.most, 0) * block.lot_value
        lower = np.where(short, most_value, lower)
        upper = np.where(short, np.maximum(upper, most_value), upper)
    return Bands(target, part, lower, upper)


def largest_number(
    market_values: Sequence[int], lot_values: Sequence[int], holdings_value: int, securities: int
) -> int:
    """Upper bound on every number that the engine computes from a block, for the int64 guard.

    A target plus its band is at most twice the market value; a position is within one lot of it;
    sums run over the securities. ``holdings_value`` bounds the value of all holdings.
    """
    most = max(abs(value) for value in market_values)
    lot = max(lot_values, default=1)
    return (2 * most + 2 * lot + holdings_value) * (securities + 1)


def fits_int64(largest: int, denominator: int) -> bool:
    """Whether int64 holds every number of a block."""
    return largest < INT64_SAFE and 2 * denominator**2 < INT64_SAFE


def lot_limits(block: Block, bands: Bands) -> tuple[Integers, Integers]:
    """Fewest and most whole lots inside each band; fewest > most if none fits. Shape (B, n)."""
    fewest, most = -(-bands.lower // block.lot_value), bands.upper // block.lot_value
    if block.least is None or block.most is None:
        return fewest, most
    return np.maximum(fewest, block.least), np.minimum(most, block.most)
