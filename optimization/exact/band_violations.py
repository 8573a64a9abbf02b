"""Violations: by how much positions of one portfolio are outside their bands, exact, at the block's base."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from optimization.exact.block import Block
from optimization.exact.scaled_integers import Integers

Edges = tuple[tuple[Fraction, Fraction], ...]


def edges_of(block: Block) -> Edges:
    """The least and the most that each position may be worth in its band, in units, unrounded.

    Without a position below zero; what a holding outside the model has below one lot counts as sold.
    """
    parts = block.denominator
    return tuple((Fraction(low, parts), Fraction(high, parts)) for low, high in _edges(block))


def total_violation(block: Block, lots: Integers) -> Fraction:
    """What all positions of a plan are outside their bands together, in units; whole numbers on the way."""
    parts, edges = block.denominator, zip(_edges(block), worth_of(block, lots), strict=True)
    rows = ((low, high, worth * parts) for (low, high), worth in edges)
    return Fraction(sum(max(low - at, at - high, 0) for low, high, at in rows), parts)


def _edges(block: Block) -> Iterator[tuple[int, int]]:
    """The edges in units / denominator."""
    value, parts = int(block.base[0]), block.denominator
    outside: list[bool] = block.outside.tolist()
    rest: list[int] = np.broadcast_to(block.remainder[0], block.lot_value.shape).tolist()
    columns = (block.weight, block.low, block.high)
    rows = zip(*(column.tolist() for column in columns), outside, rest, strict=True)
    for weight, low, high, is_outside, below_one_lot in rows:
        if is_outside:
            yield 0, below_one_lot * parts
        else:
            yield max(value * (weight - low), 0), value * (weight + high)


def worth_of(block: Block, lots: Integers) -> list[int]:
    """The value of each position of a plan, in units; ``lots`` of shape (n,)."""
    return (lots * block.lot_value + np.broadcast_to(block.remainder[0], lots.shape)).tolist()


def violations(edges: Sequence[tuple[Fraction, Fraction]], worth: Sequence[int]) -> list[Fraction]:
    """What each position is below or above its edges; 0 between them.

    >>> violations([(Fraction(30), Fraction(70))] * 3, [25, 50, 100])
    [Fraction(5, 1), Fraction(0, 1), Fraction(30, 1)]
    """
    rows = zip(edges, worth, strict=True)
    return [max(low - value, value - high, Fraction(0)) for (low, high), value in rows]
