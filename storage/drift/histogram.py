"""Histogram of the drift of a book: portfolios by total drift as a part of market value."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, count
from typing import Final

UNIT_OF_WIDTH: Final = Decimal("0.0001")  # because weights have four decimals
STEPS: Final = (Decimal(1), Decimal(2), Decimal(5))
SHOWN: Final = 95  # percent of the portfolios that the bins of one width hold, at least


@dataclass(frozen=True, slots=True)
class Weighed:
    """Number of portfolios with one total drift, and of those out of band."""

    weight: Decimal
    portfolios: int
    out_of_band: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Portfolios with a drift from ``lower`` on and below ``upper``; the last may have no end."""

    lower: Decimal
    upper: Decimal | None
    portfolios: int
    out_of_band: int


@dataclass(frozen=True, slots=True)
class DriftHistogram:
    """Bins of one width from 0 on; without portfolios there are none, and no figures.

    A few portfolios with very much drift are in a bin without an end, because the others would
    otherwise be in one bin. ``median``, ``p95`` and ``largest`` are weights that portfolios have.
    """

    bins: tuple[Bin, ...]
    portfolios: int
    median: Decimal | None = None
    p95: Decimal | None = None
    largest: Decimal | None = None


def make_histogram(weighed: Sequence[Weighed], bins: int) -> DriftHistogram:
    """Make a histogram of at most so many bins; the weights ascend.

    >>> made = make_histogram([Weighed(Decimal("0.01"), 3, 0), Weighed(Decimal("0.07"), 1, 1)], 4)
    >>> [(str(each.lower), each.portfolios) for each in made.bins], str(made.median)
    ([('0.0000', 3), ('0.0200', 0), ('0.0400', 0), ('0.0600', 1)], '0.01')
    """
    if not weighed:
        return DriftHistogram((), 0)
    below = [0, *accumulate(each.portfolios for each in weighed)]
    outside = [0, *accumulate(each.out_of_band for each in weighed)]
    weights = [each.weight for each in weighed]
    total, largest = below[-1], weights[-1]

    def percentile(percent: int) -> Decimal:
        rank = -(-total * percent // 100)
        return weights[bisect_left(below, rank) - 1]

    width = _width(percentile(SHOWN), bins)
    parts = min(bins, int(largest // width) + 1)
    edges = [width * at for at in range(parts + 1)]
    cuts = [*(bisect_left(weights, edge) for edge in edges[:-1]), len(weights)]
    is_open = largest >= edges[-1]
    made = [
        Bin(
            edges[at],
            None if is_open and at == parts - 1 else edges[at + 1],
            below[cuts[at + 1]] - below[cuts[at]],
            outside[cuts[at + 1]] - outside[cuts[at]],
        )
        for at in range(parts)
    ]
    return DriftHistogram(tuple(made), total, percentile(50), percentile(95), largest)


def _width(shown: Decimal, bins: int) -> Decimal:
    """Width of 1, 2 or 5 by a power of ten at which so many bins reach beyond a weight."""
    for power in count():
        for step in STEPS:
            width = UNIT_OF_WIDTH * step * 10**power
            if width * bins > shown:
                return width
    raise AssertionError
