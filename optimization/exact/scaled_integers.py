"""Scaled integers: decimals as exact integers, and the guard against int64 overflow.

Inside the engine money is a whole number of *units* of ``10**-decimals`` currency, and a weight is
a whole number of parts of ``1 / denominator``. Both scales come from the data, so nothing is
rounded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import gcd, lcm
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from optimization.domain.numbers import EXACT, count_needed_decimals, find_denominator, to_parts
from optimization.domain.portfolio import OtherTargets, PricedTarget

# A quarter of the int64 range, because sums and differences of two guarded numbers must fit.
INT64_SAFE = 2**61
TOO_LARGE = 2**64

EXTRA_DIGITS = 12  # digits of a repeating fraction beyond those of the unit

# int64, or Python integers (dtype object) if the guard says that int64 could overflow.
Integers = NDArray[Any]


def to_units(value: Decimal, decimals: int) -> int:
    """Convert a value to whole units of ``10**-decimals``; exact, or ValueError.

    >>> to_units(Decimal("12.34"), 2)
    1234
    >>> to_units(Decimal("0.001"), 2)
    Traceback (most recent call last):
    ValueError: 0.001 has more than 2 decimals
    """
    scaled = EXACT.scaleb(value, decimals)
    whole = int(scaled)
    if whole != scaled:
        raise ValueError(f"{value:f} has more than {decimals} decimals")
    return whole


def to_decimal(units: int, decimals: int) -> Decimal:
    """Convert units of ``10**-decimals`` to an amount in canonical form, whatever the scale.

    The amount has at least two decimals, and no trailing zeros beyond them.

    >>> to_decimal(1_234_500_000, 6), to_decimal(10, 0)
    (Decimal('1234.50'), Decimal('10.00'))
    """
    places = decimals
    if places > 2:
        cents, rest = divmod(units, 10 ** (places - 2))
        if not rest:
            return EXACT.scaleb(Decimal(cents), -2)
    while places > 2 and units % 10 == 0:
        units //= 10
        places -= 1
    if places < 2:
        units, places = units * 10 ** (2 - places), 2
    return EXACT.scaleb(Decimal(units), -places)


def fraction_to_decimal(units: Fraction, decimals: int) -> Decimal:
    """Convert a fraction of units: exact, or half even at the twelfth further digit if it repeats.

    Sums and products of decimals terminate; thirds repeat.

    >>> fraction_to_decimal(Fraction(12345, 4), 2), fraction_to_decimal(Fraction(200, 3), 2)
    (Decimal('30.8625'), Decimal('0.66666666666667'))
    """
    scale, rest = decimals, units.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return to_decimal(round(units * 10**EXTRA_DIGITS), decimals + EXTRA_DIGITS)
    while units.denominator != 1:
        units, scale = units * 10, scale + 1
    return to_decimal(units.numerator, scale)


def parts_to_decimal(parts: int, denominator: int, decimals: int) -> Decimal:
    """Convert parts of ``1 / denominator`` of a unit to an amount.

    >>> parts_to_decimal(12345, 1000, 2), parts_to_decimal(1, 3, 0)
    (Decimal('0.12345'), Decimal('0.333333333333'))
    """
    digits = len(str(denominator)) - 1
    if denominator == 10**digits:
        return to_decimal(parts, decimals + digits)
    return fraction_to_decimal(Fraction(parts, denominator), decimals)


def compute_granularity(amounts: Iterable[Fraction | int]) -> Fraction:
    """Greatest common divisor of the amounts, as a Fraction; 0 if all are zero.

    >>> compute_granularity([Fraction(3, 2), 4])
    Fraction(1, 2)
    """
    fractions = [Fraction(amount) for amount in amounts]
    parts = lcm(*(fraction.denominator for fraction in fractions))
    return Fraction(gcd(*(int(fraction * parts) for fraction in fractions)), parts)


def just_above(limit: Fraction, granularity: Fraction, feasibility_margin: Fraction) -> Fraction:
    """Limit on sums of multiples of ``granularity``, in a form that is safe in floats.

    The result is a feasibility margin above the largest admissible sum, and at least as far below
    the next one, because a solver could otherwise confuse the two within its tolerance.

    >>> just_above(Fraction(71, 10), Fraction(2), Fraction(1, 4))
    Fraction(25, 4)
    """
    if granularity == 0:
        return limit
    return limit // granularity * granularity + min(feasibility_margin, granularity / 2)


def integer_array(values: Iterable[int], largest: int) -> Integers:
    """Make an array: int64 if ``largest``, a bound on all results, fits; else Python integers."""
    dtype = np.int64 if largest < INT64_SAFE else np.object_
    return np.array(list(values), dtype=dtype)


def narrow(units: Integers) -> Integers:
    """Convert whole numbers to int64 if all of them fit.

    >>> narrow(np.array([5, 7], dtype=np.object_)).dtype, narrow(np.array([2**80])).dtype
    (dtype('int64'), dtype('O'))
    """
    if units.dtype == np.int64:
        return units
    largest = max(map(abs, units.ravel().tolist()), default=0)
    return units.astype(np.int64 if largest < INT64_SAFE else np.object_)


def round_counts(counts: NDArray[np.float64], like: Integers) -> Integers:
    """Round the solver's counts to whole numbers of the dtype of ``like``, even beyond int64.

    >>> round_counts(np.array([2.9999999, 1e25]), np.array([2**80], dtype=np.object_))
    array([3, 10000000000000000905969664], dtype=object)
    """
    if like.dtype == np.object_:
        return np.array([round(count) for count in counts.tolist()], dtype=np.object_)
    return np.rint(counts).astype(like.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class ModelUnits:
    """A priced model in whole units, one number a security, and the targets of other holdings.

    >>> from decimal import Decimal
    >>> from optimization.domain.model import DriftBand
    >>> band = DriftBand(Decimal("0.01"), Decimal("0.02"))
    >>> fund = PricedTarget("VTI", Decimal("31.5"), Decimal("0.25"), band)
    >>> units = ModelUnits.from_targets([fund])
    >>> units.prices, units.decimals, units.weight, units.denominator
    ([315], 1, [25], 100)
    """

    decimals: int  # prices are in 10**-decimals currency
    price_decimals: list[int]  # decimals that each price needs
    prices: list[int]
    denominator: int
    weight: list[int]  # parts of 1 / denominator, as are the drifts
    low: list[int]
    high: list[int]
    others: OtherTargets

    @property
    def is_decimal(self) -> bool:
        """Whether weights are decimals, so that no amount repeats."""
        return self.denominator == 10 ** (len(str(self.denominator)) - 1)

    @classmethod
    def from_targets(cls, securities: Sequence[PricedTarget]) -> Self:
        """Scale the prices, weights and drifts of a model."""
        weights = [security.weight for security in securities]
        lows, highs = (
            [security.band.low for security in securities],
            [security.band.high for security in securities],
        )
        # Each distinct weight once, because a model has few of them and each takes microseconds.
        distinct = {*weights, *lows, *highs}
        denominator = find_denominator(distinct)
        parts = {weight: to_parts(weight, denominator) for weight in distinct}
        needed = [count_needed_decimals(security.price) for security in securities]
        decimals = max(needed, default=0)
        return cls(
            decimals,
            needed,
            [to_units(security.price, decimals) for security in securities],
            denominator,
            weight=[parts[weight] for weight in weights],
            low=[parts[drift] for drift in lows],
            high=[parts[drift] for drift in highs],
            others=OtherTargets(securities),
        )
