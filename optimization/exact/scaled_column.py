"""ScaledColumn: decimals as whole numbers at one scale for the column, so nothing is rounded.

A column remembers the digits after the point of each number if they differ, because outcomes show
them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

from optimization.domain.numbers import EXACT, Number, read_decimal
from optimization.errors import RuleError
from optimization.exact.scaled_integers import (
    INT64_SAFE,
    Integers,
    narrow,
    parts_to_decimal,
    to_units,
)

INT64_DIGITS = 18  # int64 holds every power of ten up to this one

Rows = slice | Sequence[int] | NDArray[np.intp]

InCurrency = Callable[[int, Fraction], Decimal]
"""Converts an amount of a row, in currency, to a decimal; chooses the digits if they repeat."""


@dataclass(frozen=True, slots=True, eq=False)
class ScaledColumn:
    """Decimals as whole numbers: each value is ``units / 10**decimals``.

    ``units`` is int64 if every number fits, otherwise an object array of Python integers. Without
    ``digits`` every value is written with ``decimals`` digits after the point.

    >>> column = ScaledColumn.from_numbers([12.50, -3])
    >>> column.units.tolist(), column.decimals, column.value(1)
    ([125, -30], 1, Decimal('-3.0'))
    >>> ScaledColumn(column.units, 1, np.array([1, 0])).value(1)
    Decimal('-3')
    """

    units: Integers  # any shape
    decimals: int
    digits: NDArray[np.signedinteger] | None = None  # that shape; negative for 1E+3

    def __post_init__(self) -> None:
        if self.units.dtype != np.int64 and self.units.dtype != np.object_:
            rule = "units are int64, or Python integers in an object array"
            raise RuleError(("units", "dtype"), str(self.units.dtype), rule)
        if self.decimals < 0:
            raise RuleError(("decimals",), self.decimals, "a scale has at least 0 decimals")

    @classmethod
    def from_numbers(cls, values: Iterable[Number], shape: tuple[int, ...] = (-1,)) -> Self:
        """Make a column of values at the smallest scale; RuleError if a value is not finite."""
        values = [read_decimal(value, ("value",)) for value in values]
        decimals = 0
        for value in values:
            exponent = value.as_tuple().exponent
            if not isinstance(exponent, int):
                raise RuleError(("value",), value, "a value is a finite number")
            if -exponent > decimals:
                digits = value.normalize(EXACT).as_tuple().exponent
                assert isinstance(digits, int)
                decimals = max(decimals, -digits)
        units = np.array([to_units(value, decimals) for value in values], dtype=np.object_)
        return cls(narrow(units).reshape(shape), decimals)

    @classmethod
    def from_units(
        cls, units: Integers, decimals: int, digits: NDArray[np.signedinteger] | None = None
    ) -> Self:
        """Make a column of units, as Python integers if sums in int64 could overflow.

        >>> ScaledColumn.from_units(np.array([2**62]), 2).units.dtype
        dtype('O')
        """
        extremes = int(units.min(initial=0)), int(units.max(initial=0))
        is_safe = max(map(abs, extremes)) < INT64_SAFE
        return cls(units if is_safe else units.astype(np.object_), decimals, digits)

    @classmethod
    def from_written(cls, values: Sequence[Decimal], shape: tuple[int, ...] = (-1,)) -> Self:
        """Make a column of finite decimals, each with the digits that it is written with.

        >>> column = ScaledColumn.from_written([Decimal("12.50"), Decimal("7.5")])
        >>> column.units.tolist(), column.value(0), column.value(1)
        ([1250, 750], Decimal('12.50'), Decimal('7.5'))
        """
        # The text is tested first, because most amounts are whole and as_tuple of each costs more.
        text = "".join(map(str, values))
        if "." not in text and "E" not in text:
            return cls(narrow(np.array(list(map(int, values)), np.object_)).reshape(shape), 0)
        digits = np.array([count_written_decimals(value) for value in values], np.int32)
        decimals = max(0, int(digits.max()))
        units = [int(EXACT.scaleb(value, decimals)) for value in values]
        column = narrow(np.array(units, np.object_)).reshape(shape)
        written_digits = None if (digits == decimals).all() else digits.reshape(shape)
        return cls(column, decimals, written_digits)

    def value(self, *place: int) -> Decimal:
        """Return the value at a place, with the digits that it is written with."""
        value = EXACT.scaleb(Decimal(int(self.units[place])), -self.decimals)
        return value if self.digits is None else with_digits(value, int(self.digits[place]))

    @property
    def digits_written(self) -> NDArray[np.signedinteger] | int:
        """Digits after the point of each value, or of all of them."""
        return self.decimals if self.digits is None else self.digits

    def split(self) -> tuple[Integers, Integers]:
        """Whole numbers, rounded down, and the rest of each in units.

        >>> whole, rest = ScaledColumn.from_numbers([Decimal("2.5"), Decimal("-0.5")]).split()
        >>> whole.tolist(), rest.tolist()
        ([2, -1], [5, 5])
        """
        if not self.decimals:
            return self.units, np.zeros_like(self.units)
        units = self.units.astype(object) if self.decimals > INT64_DIGITS else self.units
        whole = units // 10**self.decimals
        return whole, units - whole * 10**self.decimals

    def coarsest(self) -> "ScaledColumn":
        """Rescale the values to the smallest exact scale, in int64 if they fit.

        The digits with which they were written are lost.
        """
        units, decimals = self.units, self.decimals
        if decimals:
            whole, rest = self.split()
            if not rest.any():
                units, decimals = whole, 0
        while decimals and not (units % 10).any():
            units, decimals = units // 10, decimals - 1
        return ScaledColumn(narrow(units), decimals)

    def at_scale(self, decimals: int) -> "ScaledColumn":
        """Rescale the values to a finer scale, as Python integers if int64 could not hold them."""
        factor = 10 ** (decimals - self.decimals)
        if factor == 1:
            return self
        units = self.units
        if factor * int(np.abs(units).max(initial=0)) >= INT64_SAFE or factor >= INT64_SAFE:
            units = units.astype(object)
        return ScaledColumn(units * factor, decimals, self.digits)

    def with_dtype(self, dtype: type) -> "ScaledColumn":
        """Convert the units to int64, which must hold them, or to Python integers."""
        return replace(self, units=self.units.astype(dtype, copy=False))

    def select(self, rows: Rows | int) -> "ScaledColumn":
        """Select some rows, or a single row by its number, at the same scale."""
        digits = None if self.digits is None else self.digits[rows]
        return ScaledColumn(self.units[rows], self.decimals, digits)


def count_written_decimals(value: Decimal) -> int:
    """Digits after the point with which a finite value is written; negative before the point."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return -exponent


def with_digits(value: Decimal, digits: int) -> Decimal:
    """Write a value with this number of digits after the point; it must not need more.

    >>> with_digits(Decimal(1200), -2), with_digits(Decimal("1.50"), 1)
    (Decimal('1.2E+3'), Decimal('1.5'))
    """
    return EXACT.quantize(value, Decimal((0, (1,), -digits)))


def parts_to_column(
    parts: Integers,
    rows: Integers,
    denominator: int,
    decimals: int,
    in_currency: InCurrency | None = None,
) -> ScaledColumn:
    """Convert amounts in parts of ``1 / denominator`` of a unit, one per row, to a column.

    ``in_currency`` converts amounts that may repeat; without it their digits are those of the unit.

    >>> parts_to_column(np.array([12345]), np.array([0]), 1000, 2).value(0)
    Decimal('0.12345')
    """
    digits = len(str(denominator)) - 1
    if denominator == 10**digits:
        return ScaledColumn(parts, decimals + digits)
    if in_currency is None:
        return ScaledColumn.from_numbers(
            parts_to_decimal(part, denominator, decimals) for part in parts.tolist()
        )
    whole = denominator * 10**decimals
    pairs = zip(rows.tolist(), parts.tolist(), strict=True)
    return ScaledColumn.from_numbers(in_currency(row, Fraction(part, whole)) for row, part in pairs)
