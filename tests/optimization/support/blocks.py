"""Blocks of one portfolio, in whole numbers that can be worked out by hand."""

import numpy as np

from optimization.exact.block import Block


def block(
    market_value: int,
    *securities: tuple[int, int, int, int, int],
    denominator: int = 1000,
    dtype: object = np.int64,
) -> Block:
    """One portfolio; a security is (lot value, weight, low, high, lots held)."""
    price, weight, low, high, before = (
        np.array(column, dtype=dtype) for column in zip(*securities, strict=True)
    )
    worth = np.array([market_value], dtype=dtype)
    return Block(
        decimals=2,
        denominator=denominator,
        lot_value=price,
        weight=weight,
        low=low,
        high=high,
        remainder=np.zeros((1, 1), dtype=dtype),
        before=before[None, :],
        market_value=worth,
        investable=worth,
    )
