"""Band violations: the amounts by which positions of one portfolio are outside their bands, exact.

With V the base, position i is worth v and its band is [V (w - l), V (w + h)], cut off at 0. Its
violation is max(V (w - l) - v, v - V (w + h), 0).
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from optimization.exact.block import Block
from optimization.exact.scaled_integers import Integers

Edges = tuple[tuple[Fraction, Fraction], ...]


def compute_edges(block: Block) -> Edges:
    """Lower and upper edge of each band, in units, unrounded, to measure violations.

    No edge is below zero. A holding outside the model counts as sold once less than a lot remains.
    """
    parts = block.denominator
    return tuple((Fraction(low, parts), Fraction(high, parts)) for low, high in _edges(block))


def total_violation(block: Block, lots: Integers) -> Fraction:
    """Sum of all violations of a plan, in units; computed in whole numbers."""
    parts, edges = block.denominator, zip(_edges(block), compute_worth(block, lots), strict=True)
    rows = ((low, high, worth * parts) for (low, high), worth in edges)
    return Fraction(sum(max(low - at, at - high, 0) for low, high, at in rows), parts)


def scaled_edges(block: Block) -> Iterator[tuple[int, int]]:
    """Yield V (w - l) and V (w + h) of each security, in units / denominator."""
    value = int(block.base[0])
    rows = zip(block.weight.tolist(), block.low.tolist(), block.high.tolist(), strict=True)
    return ((value * (weight - low), value * (weight + high)) for weight, low, high in rows)


def list_remainders(block: Block) -> list[int]:
    """Value of each position below one lot, in units."""
    return np.broadcast_to(block.remainder[0], block.lot_value.shape).tolist()


def _edges(block: Block) -> Iterator[tuple[int, int]]:
    """Yield the edges in units / denominator."""
    rows = zip(scaled_edges(block), block.is_outside.tolist(), list_remainders(block), strict=True)
    for (low, high), is_outside, rest in rows:
        yield (0, rest * block.denominator) if is_outside else (max(low, 0), high)


def compute_worth(block: Block, lots: Integers) -> list[int]:
    """Value of each position of a plan, in units; ``lots`` of shape (n,)."""
    return (lots * block.lot_value + np.broadcast_to(block.remainder[0], lots.shape)).tolist()


def band_violations(
    edges: Sequence[tuple[Fraction, Fraction]], worth: Sequence[int]
) -> list[Fraction]:
    """Distance of each position from its band; 0 inside.

    >>> band_violations([(Fraction(30), Fraction(70))] * 3, [25, 50, 100])
    [Fraction(5, 1), Fraction(0, 1), Fraction(30, 1)]
    """
    rows = zip(edges, worth, strict=True)
    return [max(low - value, value - high, Fraction(0)) for (low, high), value in rows]
