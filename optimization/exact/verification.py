"""Exact verification: the constraints that a plan violates."""

import numpy as np
from numpy.typing import NDArray

from optimization.exact.block import Block
from optimization.exact.scaled_integers import INT64_SAFE, Integers


def violated_constraints(block: Block, lots: Integers) -> NDArray[np.bool_]:
    """Check plans against their constraints: shape (B, 3), columns short, band, cash.

    Exact, by products alone, where separable.py and knapsack_cover.py divide: u >= 0, the cash row,
    and M (w - l) <= u p <= M (w + h) at the base M. ``lots`` has shape (B, n). A sold holding may
    keep less than one lot.
    """
    value, base = lots * block.lot_value + block.remainder, block.base[:, None]
    low, high = block.weight - block.low, block.weight + block.high
    cash = value.sum(axis=1) > block.investable
    if could_overflow(block, value):
        value, base = value.astype(object), base.astype(object)
        low, high = low.astype(object), high.astype(object)
    scaled = value * block.denominator
    least = 0 if block.least is None else np.maximum(block.least, 0)
    sold = block.is_outside & (lots <= least)
    short = block.is_kept_short
    band = ((scaled < base * low) | ((scaled > base * high) & ~sold)) & ~short
    if block.least is not None and block.most is not None:
        band |= (lots < block.least) | (lots > block.most)
    columns = (((lots < 0) & ~short).any(axis=1), band.any(axis=1), cash)
    return np.stack([column.astype(bool) for column in columns], axis=1)


def could_overflow(block: Block, value: Integers) -> bool:
    """Whether a value in parts of a unit, or its distance from a band, may not fit int64."""
    largest = max(int(np.abs(block.base).max()), int(np.abs(value).max(initial=0)))
    return value.dtype != np.object_ and 2 * largest * block.denominator >= INT64_SAFE
