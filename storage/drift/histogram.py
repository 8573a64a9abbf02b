"""Histogram of the drift of a book: portfolios by total drift as a part of market value."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, count
from typing import Final

UNIT_OF_WIDTH: Final = Decimal("0.0001")  # because weights have four decimals
WIDTH_STEPS: Final = (Decimal(1), Decimal(2), Decimal(5))
MIN_SHOWN_PERCENT: Final = 95  # of the portfolios have to fall into the bins


@dataclass(frozen=True, slots=True)
class WeightCount:
    """Number of portfolios with this total drift, and number of them that are out of band."""

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
    """Bins of one width from 0 on; empty without portfolios.

    The last bin has no upper end if a few portfolios have very much drift, because otherwise all
    others would fall into the first bin. ``median``, ``p95`` and ``largest`` are total drifts of
    portfolios, as parts of market value.
    """

    bins: tuple[Bin, ...]
    portfolios: int
    median: Decimal | None = None
    p95: Decimal | None = None
    largest: Decimal | None = None


def make_histogram(counts: Sequence[WeightCount], bins: int) -> DriftHistogram:
    """Make a histogram of at most ``bins`` bins; the weights ascend.

    >>> counts = [WeightCount(Decimal("0.01"), 3, 0), WeightCount(Decimal("0.07"), 1, 1)]
    >>> histogram = make_histogram(counts, 4)
    >>> [(str(bar.lower), bar.portfolios) for bar in histogram.bins], str(histogram.median)
    ([('0.0000', 3), ('0.0200', 0), ('0.0400', 0), ('0.0600', 1)], '0.01')
    """
    if not counts:
        return DriftHistogram((), 0)
    below = [0, *accumulate(row.portfolios for row in counts)]
    outside = [0, *accumulate(row.out_of_band for row in counts)]
    weights = [row.weight for row in counts]
    total, largest = below[-1], weights[-1]

    def percentile(percent: int) -> Decimal:
        rank = -(-total * percent // 100)
        return weights[bisect_left(below, rank) - 1]

    width = _choose_width(percentile(MIN_SHOWN_PERCENT), bins)
    number = min(bins, int(largest // width) + 1)
    edges = [width * at for at in range(number + 1)]
    cuts = [*(bisect_left(weights, edge) for edge in edges[:-1]), len(weights)]
    is_open = largest >= edges[-1]
    parts = [
        Bin(
            edges[at],
            None if is_open and at == number - 1 else edges[at + 1],
            below[cuts[at + 1]] - below[cuts[at]],
            outside[cuts[at + 1]] - outside[cuts[at]],
        )
        for at in range(number)
    ]
    return DriftHistogram(tuple(parts), total, percentile(50), percentile(95), largest)


def _choose_width(reach: Decimal, bins: int) -> Decimal:
    """Choose the least width, 1, 2 or 5 times a power of ten, whose bins exceed ``reach``."""
    for power in count():
        for step in WIDTH_STEPS:
            width = UNIT_OF_WIDTH * step * 10**power
            if width * bins > reach:
                return width
    raise AssertionError
