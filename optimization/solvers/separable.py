"""The optimum of each security on its own: the integer program without coupling rows, solved exactly.

With t the target of a position and p the value of one lot, the drift |t - p z| over whole z is convex and
smallest at k = floor(t / p) or k + 1; clipped to the band it is the optimum of that security. Where the cash
row holds at this point it is the optimum of the whole problem, and always a lower bound of it.
"""

from dataclasses import dataclass

import numpy as np

from optimization.exact.block import Bands, Block
from optimization.exact.scaled_integers import Integers


@dataclass(frozen=True, slots=True, eq=False)
class Separable:
    """The separable optimum of a block.

    ``lots`` has shape (B, n); ``admits`` says of each portfolio whether every band holds a whole
    lot. Where it is False ``lots`` means nothing. ``clipped`` says whether a band or a restriction keeps
    any security from the lots nearest to its target.
    """

    lots: Integers
    admits: np.ndarray  # shape (B,), bool
    clipped: np.ndarray  # shape (B,), bool
    invested: Integers  # shape (B,), units: value of all positions


def solve(block: Block, bands: Bands) -> Separable:
    """Exact separable optimum; a tie goes to fewer traded lots."""
    lots = nearest_lots(block, bands)
    value = lots * block.lot_value
    outside = (value < bands.lower) | (value > bands.upper)
    if block.least is not None and block.most is not None:
        outside |= (lots < block.least) | (lots > block.most)
    admits = np.ones(block.shape[0], dtype=bool)
    if outside.any():
        admits = _clip(block, bands, lots, outside)
        value = lots * block.lot_value
    clipped = np.logical_or.reduce(outside, axis=1)
    return Separable(lots, admits, clipped, value.sum(axis=1) + block.remainder.sum(axis=1))


def nearest_lots(block: Block, bands: Bands) -> Integers:
    """The whole lots nearest to each target, band or no band; shape (B, n).

    Up to k + 1 when 2 (t - k p) > p. On a tie to the one of the two that trades fewer lots: down when k
    or fewer are held, up otherwise.
    """
    lots = bands.target // block.lot_value
    over = 2 * (bands.target - lots * block.lot_value) - block.lot_value
    up = over > 0
    # The part of a unit beyond the target, doubled below 2, decides what whole units leave open.
    row, column = np.nonzero((over == 0) | (over == -1))
    over = over[row, column] * block.denominator + 2 * bands.part[row, column]
    up[row, column] = (over > 0) | ((over == 0) & (block.before > lots)[row, column])
    return lots + up


def drift_of(block: Block, bands: Bands, lots: Integers) -> list[int]:
    """Total drift sum |t - p z| of each portfolio, in units / denominator; exact Python integers."""
    away = bands.target - lots * block.lot_value
    sign = np.where(away >= 0, 1, -1)
    whole = np.abs(away).sum(axis=1)
    part = (sign * bands.part).sum(axis=1)
    return [
        int(units) * block.denominator + int(parts)
        for units, parts in zip(whole, part, strict=True)
    ]


def _clip(block: Block, bands: Bands, lots: Integers, outside: np.ndarray) -> np.ndarray:
    row, column = np.nonzero(outside)
    lot_value = block.lot_value[column]
    fewest = -(-bands.lower[row, column] // lot_value)
    most = bands.upper[row, column] // lot_value
    if block.least is not None and block.most is not None:
        fewest = np.maximum(fewest, block.least[row, column])
        most = np.minimum(most, block.most[row, column])
    empty = fewest > most
    lots[row, column] = np.minimum(np.maximum(lots[row, column], fewest), most)
    admits = np.ones(block.shape[0], dtype=bool)
    admits[row[empty]] = False
    return admits
