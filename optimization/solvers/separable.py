"""Separable optimum: each security on its own, without coupling rows, solved exactly.

With t the target of a position and p the value of one lot, the drift |t - p z| over whole z is
convex and minimal at k = floor(t / p) or k + 1; clipped to the band it is the optimum of that
security. It is the optimum of the whole problem if the cash row holds there, and always a lower
bound.
"""

from dataclasses import dataclass

import numpy as np

from optimization.exact.block import Bands, Block
from optimization.exact.scaled_integers import INT64_SAFE, Integers


@dataclass(frozen=True, slots=True, eq=False)
class Separable:
    """Separable optimum of a block.

    ``lots`` has shape (B, n). ``admits`` tells for each portfolio whether every band holds a whole
    lot; otherwise its ``lots`` are meaningless. ``clipped`` tells whether a band or a restriction
    moves a security off the lots nearest to its target.
    """

    lots: Integers
    admits: np.ndarray  # shape (B,), bool
    clipped: np.ndarray  # shape (B,), bool
    invested: Integers  # shape (B,), units: value of all positions


def solve(block: Block, bands: Bands) -> Separable:
    """Compute the exact separable optimum; a tie goes to fewer traded lots."""
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
    """Whole lots nearest to each target, regardless of bands; shape (B, n).

    k + 1 if 2 (t - k p) > p, else k. A tie goes to the side that trades fewer lots: down if k or
    fewer are held, up otherwise.
    """
    lots = bands.target // block.lot_value
    over = 2 * (bands.target - lots * block.lot_value) - block.lot_value
    up = over > 0
    # Parts of a unit, because whole units leave a tie open that the parts decide.
    row, column = np.nonzero((over == 0) | (over == -1))
    over = over[row, column] * block.denominator + 2 * bands.part[row, column]
    up[row, column] = (over > 0) | ((over == 0) & (block.before > lots)[row, column])
    return lots + up


def drift_of(block: Block, bands: Bands, lots: Integers) -> Integers:
    """Total drift sum |t - p z| of each portfolio, in units / denominator, exact; shape (B,)."""
    distance = bands.target - lots * block.lot_value
    below = distance < 0
    whole = np.abs(distance).sum(axis=1)
    part = np.where(below, -bands.part, bands.part).sum(axis=1)
    if whole.dtype != np.object_ and int(whole.max()) * block.denominator >= INT64_SAFE:
        whole = whole.astype(object)
    return whole * block.denominator + part


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
