"""Trade sizes: the minimum and maximum lots of a security in one trade.

The maximum is a bound on the lots of each security (lots held, plus or minus the maximum), so the
problem stays separable. A security whose maximum is below its minimum is not traded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from math import ceil, floor

import numpy as np

from optimization.domain.numbers import EXACT, Percent, count_needed_decimals
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import PricedTarget
from optimization.exact.block import Block
from optimization.exact.scaled_integers import INT64_SAFE, Integers, to_units

VALUE, VOLUME = "maximum_value", "volume_share"
ZERO = Decimal(0)


def least_trades(
    block: Block, lots: Sequence[Decimal | Fraction], options: RebalanceOptions
) -> list[tuple[int, int]]:
    """Minimum lots of a trade by minimum_shares and by minimum_value, per column.

    An odd remainder has no minimum, because it is sold only with round lots that meet it. Each
    minimum is capped just above twice everything owned: no larger trade is possible, and the bound
    on the numbers of a block then covers the minimum too.
    """
    if not (options.minimum_shares or options.minimum_value):
        return [(0, 0)] * len(lots)
    shares, value = Fraction(options.minimum_shares), options.minimum_value
    if isinstance(value, Percent):
        units = Fraction(value.value) * int(block.base[0]) / 100
    else:
        units = Fraction(value) * 10**block.decimals
    odd = {column for _, column in block.odd_lots}
    owned = abs(int(block.market_value[0])) + int(np.abs(block.before[0] * block.lot_value).sum())
    rows = enumerate(zip(lots, block.lot_value.tolist(), strict=True))
    needed: list[tuple[int, int]] = []
    for column, (lot, worth) in rows:
        most = 0 if column in odd else 2 * owned // worth + 2
        needed.append((min(ceil(shares / Fraction(lot)), most), min(ceil(units / worth), most)))
    return needed


@dataclass(frozen=True, slots=True, eq=False)
class MostTraded:
    """Maximum lots of a trade of each security, by options that limit its size; shape (B, n)."""

    lots: Integers
    by_volume: Integers  # bool: volume_share is narrower than maximum_value

    @classmethod
    def from_options(
        cls, block: Block, securities: Sequence[PricedTarget], options: RebalanceOptions
    ) -> "MostTraded":
        """Compute the maximum lots, in whole numbers.

        Both limits are values; a volume counts at the price of its security. They are rounded down
        to whole units, because every trade is worth whole units.
        """
        volumes = _bound_by_volume(block, securities, options)
        value = _bound_by_value(block, options)
        units = np.minimum(volumes, value)
        most = units // block.lot_value
        for main, odd in block.odd_lots:
            # Limited together, because an odd remainder is sold only in one trade with all lots.
            lots_value = block.before[:, [main, odd]] * block.lot_value[[main, odd]]
            most[:, odd] = np.where(lots_value.sum(axis=1) > units[:, odd], 0, most[:, odd])
        if options.minimum_shares or options.minimum_value:
            scale = 10**block.decimals
            pairs = zip(block.lot_value.tolist(), securities, strict=True)
            lots = [
                Fraction(worth) / (Fraction(security.price) * scale) for worth, security in pairs
            ]
            least = [max(pair) for pair in least_trades(block, lots, options)]
            most = np.where(most < np.array(least, dtype=most.dtype), 0, most)
        return cls(most, np.broadcast_to(volumes < value, most.shape))

    def bound(self, before: Integers, least: Integers, most: Integers) -> tuple[Integers, Integers]:
        """Narrow bounds on lots by the maximum size of a trade.

        A short position that cannot be bought back whole is bought back as far as the size permits.
        """
        most = np.minimum(most, before + self.lots)
        return np.where(most < 0, most, np.maximum(least, before - self.lots)), most

    def find_option(self, row: int, column: int) -> str:
        """Name the option that limits a trade."""
        return VOLUME if self.by_volume[row, column] else VALUE


def _bound_by_value(block: Block, options: RebalanceOptions) -> Integers:
    """Maximum value of a trade by maximum_value, in units rounded down; shape (B, 1)."""
    value, count = options.maximum_value, block.shape[0]
    dtype = block.before.dtype
    if value is None:
        return np.full((count, 1), _largest_units(block), dtype=dtype)
    if not isinstance(value, Percent):
        units = int(EXACT.scaleb(value, block.decimals).to_integral_value(ROUND_FLOOR))
        return np.full((count, 1), _cap(block, units), dtype=dtype)
    digits = count_needed_decimals(value.value)
    part, whole = to_units(value.value, digits), 100 * 10**digits
    rows = [max(worth, 0) * part // whole for worth in block.market_value.tolist()]
    return np.array([[_cap(block, units)] for units in rows], dtype=dtype)


def _bound_by_volume(
    block: Block, securities: Sequence[PricedTarget], options: RebalanceOptions
) -> Integers:
    """Maximum value of a trade by volume_share, in units rounded down; shape (1, n)."""
    part, dtype = options.volume_share, block.before.dtype
    if part is None:
        return np.full((1, len(securities)), _largest_units(block), dtype=dtype)
    scaled_part = Fraction(part) * 10**block.decimals
    volumes = (options.volumes.get(security.security_id, ZERO) for security in securities)
    worth = (Fraction(v) * Fraction(s.price) for v, s in zip(volumes, securities, strict=True))
    return np.array([[_cap(block, floor(scaled_part * value)) for value in worth]], dtype=dtype)


def _cap(block: Block, units: int) -> int:
    return min(units, _largest_units(block))


def _largest_units(block: Block) -> int:
    # The bound is above int64 for Python integers, because a holding may exceed int64.
    return 2**256 if block.before.dtype == np.object_ else INT64_SAFE
