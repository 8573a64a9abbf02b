"""BindingRows: the binding constraints of a block of plans, as a sparse table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from optimization.domain.certificate import CASH_FLOOR, Binding
from optimization.errors import RuleError
from optimization.exact.columns import renumber
from optimization.exact.scaled_column import Rows, ScaledColumn
from optimization.exact.scaled_integers import to_decimal


@dataclass(frozen=True, slots=True, eq=False)
class BindingRows:
    """Binding constraints of plans: triples of row, constraint and slack, ordered by row and name.

    ``names`` are distinct and ascend: options, and bands of securities.

    >>> slack = ScaledColumn(np.array([550, 0]), 2)
    >>> found = BindingRows(np.array([1, 1]), np.array([0, 1]), slack, ("band.VTI", "direction"))
    >>> found.read_row(0), [str(binding.slack) for binding in found.read_row(1)]
    ((), ['5.50', '0.00'])
    """

    rows: NDArray[np.signedinteger]  # (K,) row in the block, ascending
    constraints: NDArray[np.signedinteger]  # (K,) place in names, ascending in each row
    slacks: ScaledColumn  # (K,) currency
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.constraints) == len(self.slacks.units):
            lengths = [len(self.rows), len(self.constraints), len(self.slacks.units)]
            rule = "rows, constraints and slacks have one length"
            raise RuleError(("binding",), lengths, rule)

    @classmethod
    def merge(cls, parts: Sequence[tuple[NDArray[np.intp], "BindingRows"]]) -> Self:
        """Merge several parts, each with the numbers of its rows in the whole."""
        parts = [(numbers, part) for numbers, part in parts if len(part.rows)]
        if not parts:
            return cls.none()
        names = tuple(sorted({name for _, part in parts for name in part.names}))
        place = {name: at for at, name in enumerate(names)}
        rows = np.concatenate([numbers[part.rows] for numbers, part in parts])
        constraints = np.concatenate(
            [np.array([place[name] for name in part.names])[part.constraints] for _, part in parts]
        )
        decimals = max(part.slacks.decimals for _, part in parts)
        slacks = np.concatenate([part.slacks.at_scale(decimals).units for _, part in parts])
        order = np.lexsort((constraints, rows))
        return cls(
            rows[order].astype(np.int32),
            constraints[order].astype(np.int32),
            ScaledColumn(slacks[order], decimals),
            names,
        )

    @classmethod
    def none(cls) -> Self:
        """No binding constraints."""
        empty = np.zeros(0, dtype=np.int32)
        return cls(empty, empty, ScaledColumn(np.zeros(0, dtype=np.int64), 0), ())

    def read_row(self, row: int) -> tuple[Binding, ...]:
        """Binding constraints of one plan: the cash floor, then the others by name."""
        if not len(self.rows):
            return ()
        first, end = np.searchsorted(self.rows, (row, row + 1)).tolist()
        names, slacks = self.names, self.slacks
        entries = slice(first, end)
        pairs = zip(self.constraints[entries].tolist(), slacks.units[entries].tolist(), strict=True)
        bindings = [Binding(names[at], to_decimal(units, slacks.decimals)) for at, units in pairs]
        if CASH_FLOOR in names:
            bindings.sort(key=lambda binding: binding.constraint != CASH_FLOOR)
        return tuple(bindings)

    def select(self, rows: Rows) -> "BindingRows":
        """Select some rows, in ascending order, and renumber them from 0."""
        if not len(self.rows):
            return self
        places, numbers = renumber(self.rows, rows)
        slacks = self.slacks.select(places)
        return replace(self, rows=numbers, constraints=self.constraints[places], slacks=slacks)
