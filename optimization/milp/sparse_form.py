"""Sparse form of a compiled problem: its fixed structure, and the source of every number in theta.

Each number that HiGHS takes - a cost, a coefficient, a limit or a bound - is one entry of the
parameter vector theta times a constant (or a constant alone: the last entry of theta is 1). A whole
problem is therefore one gather, ``factor * theta[place]``, which is several times cheaper than the
sparse product that CVXPY would compute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from optimization.milp.data import Chosen, Floats

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class SparseForm:
    """A mixed-integer program without theta.

    The gathered numbers are, in order: costs of the columns, values of the matrix, lower and upper
    limits of the rows, lower and upper bounds of the columns.
    """

    starts: NDArray[np.int32]  # column-wise matrix
    indices: NDArray[np.int32]
    kinds: NDArray[np.int32]  # 1 if a column is integer
    least: Floats  # lower bounds of boolean columns, infinite for the others
    most: Floats
    place: Places
    factor: Floats
    variables: Mapping[str, slice]  # columns by name
    rows: int

    def fill(self, theta: Floats) -> list[Floats]:
        """Compute the six parts at this theta."""
        flat = self.factor * theta[self.place]
        parts: list[Floats] = []
        first = 0
        for size in self._sizes:
            parts.append(flat[first : first + size])
            first += size
        np.maximum(parts[4], self.least, out=parts[4])
        np.minimum(parts[5], self.most, out=parts[5])
        return parts

    def kinds_but(self, fractional: Mapping[str, Chosen]) -> NDArray[np.int32]:
        """Kinds of the columns, with the chosen entries of some variables continuous."""
        if not fractional:
            return self.kinds
        kinds = self.kinds.copy()
        for name, chosen in fractional.items():
            kinds[self.variables[name]][chosen] = 0
        return kinds

    def select_columns(self, columns: Chosen) -> "SparseForm":
        """Keep some of the columns, and the rows with an entry in them."""
        values = np.repeat(columns, np.diff(self.starts))
        rows = np.zeros(self.rows, dtype=bool)
        rows[self.indices[values]] = True
        entries = np.concatenate((columns, values, rows, rows, columns, columns))
        before = np.concatenate(([0], np.cumsum(columns))).tolist()
        return SparseForm(
            starts=_compute_starts(np.diff(self.starts)[columns]),
            indices=_renumber(rows)[self.indices[values]],
            kinds=self.kinds[columns],
            least=self.least[columns],
            most=self.most[columns],
            place=self.place[entries],
            factor=self.factor[entries],
            variables={
                name: slice(before[place.start], before[place.stop])
                for name, place in self.variables.items()
            },
            rows=int(rows.sum()),
        )

    @property
    def _sizes(self) -> tuple[int, ...]:
        columns = len(self.kinds)
        return columns, len(self.indices), self.rows, self.rows, columns, columns


def extract_sparse_form(data: Any, variables: Mapping[str, slice]) -> SparseForm:
    """Extract the sparse form from CVXPY's problem data for HiGHS.

    Rows with a single variable become bounds of that variable.
    """
    cone = data["param_prob"]
    entries = _Entries.from_cone(cone.reduced_A, int(data["dims"].zero))
    columns, in_rows = int(cone.x.size), entries.is_in_rows
    rows = np.zeros(entries.rows, dtype=bool)
    rows[entries.row[in_rows]] = True
    limits = entries.limits()
    equal = np.flatnonzero(rows) < entries.zero_rows
    parts = (
        _Gather.from_maps(sp.csr_array(cone.q)[:-1]),
        _Gather.from_maps(entries.maps[np.flatnonzero(in_rows)]),
        limits.select(rows).where(equal, -np.inf),
        limits.select(rows),
        *_find_bounds(entries, limits, columns, variables),
    )
    least, most = np.full(columns, -np.inf), np.full(columns, np.inf)
    least[data["bool_vars_idx"]], most[data["bool_vars_idx"]] = 0.0, 1.0
    kinds = np.zeros(columns, dtype=np.int32)
    kinds[[*data["bool_vars_idx"], *data["int_vars_idx"]]] = 1
    return SparseForm(
        starts=_compute_starts(np.bincount(entries.column[in_rows], minlength=columns)),
        indices=_renumber(rows)[entries.row[in_rows]],
        kinds=kinds,
        least=least,
        most=most,
        place=np.concatenate([part.place for part in parts]),
        factor=np.concatenate([part.factor for part in parts]),
        variables=variables,
        rows=int(rows.sum()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Gather:
    """Numbers that are each one entry of theta times a constant."""

    place: Places
    factor: Floats

    @staticmethod
    def from_maps(maps: Any) -> "_Gather":
        """Read linear maps of theta, one row per number."""
        maps = sp.csr_array(maps)
        maps.eliminate_zeros()
        counts = np.diff(maps.indptr)
        if (counts > 1).any():
            raise ValueError("a coefficient may depend on one parameter only")
        place = np.full(len(counts), maps.shape[1] - 1, dtype=np.intp)
        factor = np.zeros(len(counts))
        place[counts == 1], factor[counts == 1] = maps.indices, maps.data
        return _Gather(place, factor)

    def select(self, chosen: Any) -> "_Gather":
        """Select some of the numbers."""
        return _Gather(self.place[chosen], self.factor[chosen])

    def where(self, chosen: Chosen, otherwise: float) -> "_Gather":
        """Replace the numbers that are not chosen with a constant."""
        return _Gather(np.where(chosen, self.place, -1), np.where(chosen, self.factor, otherwise))


@dataclass(frozen=True, slots=True, eq=False)
class _Entries:
    """Entries of (A b) in the rows A x <= b, the first of them A x = b, as maps of theta."""

    maps: Any
    row: Places
    column: Places
    rows: int
    zero_rows: int
    is_limit: Chosen

    @staticmethod
    def from_cone(reduced: Any, zero_rows: int) -> "_Entries":
        """Read CVXPY's cone form A x + s = b, which stores A negated."""
        row, starts, (rows, columns) = reduced.problem_data_index
        column = np.repeat(np.arange(columns), np.diff(starts))
        is_limit = column == columns - 1
        sign = sp.diags_array(np.where(is_limit, 1.0, -1.0))
        maps = sp.csr_array(sign @ sp.csr_array(reduced.reduced_mat))
        return _Entries(maps, np.asarray(row), column, int(rows), zero_rows, is_limit)

    @property
    def is_single(self) -> Chosen:
        """Whether each entry is the only one of an inequality."""
        in_row = np.bincount(self.row[~self.is_limit], minlength=self.rows)
        return ~self.is_limit & (in_row[self.row] == 1) & (self.row >= self.zero_rows)

    @property
    def is_in_rows(self) -> Chosen:
        """Whether each entry stays in a row: neither single nor a limit."""
        return ~self.is_limit & ~self.is_single

    def limits(self) -> _Gather:
        """The vector b, one number per row, 0 without an entry."""
        chosen = np.flatnonzero(self.is_limit)
        shape = (self.rows, len(chosen))
        scatter = sp.csr_array(
            (np.ones(len(chosen)), (self.row[chosen], np.arange(len(chosen)))), shape=shape
        )
        return _Gather.from_maps(scatter @ self.maps[chosen])


def _find_bounds(
    entries: _Entries, limits: _Gather, columns: int, variables: Mapping[str, slice]
) -> tuple[_Gather, _Gather]:
    """Lower and upper bounds of the columns."""
    is_single = np.flatnonzero(entries.is_single)
    coefficient = _read_constants(entries.maps[is_single])
    bound = limits.select(entries.row[is_single])
    bound = _Gather(bound.place, bound.factor / coefficient)
    sides: list[_Gather] = []
    for side, chosen in (("lower", coefficient < 0), ("upper", coefficient > 0)):
        column = entries.column[is_single][chosen]
        _require_once(column, side, variables)
        place = np.full(columns, -1, dtype=np.intp)
        factor = np.full(columns, np.inf if side == "upper" else -np.inf)
        place[column], factor[column] = bound.place[chosen], bound.factor[chosen]
        sides.append(_Gather(place, factor))
    return sides[0], sides[1]


def _read_constants(maps: Any) -> Floats:
    """Coefficients of rows with a single variable, which no parameter of these programs changes."""
    dense = maps.toarray()
    if dense[:, :-1].any():
        raise ValueError("a bound's coefficient may not be a parameter")
    return dense[:, -1]


def _require_once(columns: Places, side: str, variables: Mapping[str, slice]) -> None:
    """Raise ValueError if two rows bound one side of a variable: only the last would count."""
    twice = np.flatnonzero(np.bincount(columns) > 1).tolist()
    for name, place in variables.items():
        if any(place.start <= column < place.stop for column in twice):
            raise ValueError(f"variable {name} has more than one {side} bound in rows")


def _compute_starts(counts: Places) -> NDArray[np.int32]:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int32)


def _renumber(selection: Chosen) -> NDArray[np.int32]:
    return (np.cumsum(selection) - 1).astype(np.int32)
