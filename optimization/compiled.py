"""A CVXPY problem compiled once and re-solved by parameters at the speed of the bare solver.

CVXPY's canonicalisation is affine in the parameters (DPP): cost, matrix and right-hand side are sparse
products with the parameter vector theta. ``get_problem_data`` runs once a process and size; a solve fills
theta, multiplies, and hands the kept structure to HiGHS. Rows with a single variable become its bounds.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import highspy
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats = NDArray[np.float64]
INFINITY = highspy.kHighsInf


@dataclass(frozen=True, slots=True, eq=False)
class SolverAnswer:
    """What the solver says; floats throughout, to be verified exactly before anyone believes them."""

    values: Mapping[str, Floats] | None  # by variable; None without a feasible point
    bound: float  # dual bound of the objective
    proven: bool  # optimal within the gap
    infeasible: bool
    seconds: float


class CompiledProgram:
    """One structure, many parameter values. Not thread-safe; cannot be pickled; build per process."""

    def __init__(self, problem: cp.Problem, absolute_gap: float) -> None:
        data: Any = problem.get_problem_data(cp.HIGHS)[0]
        cone: Any = data["param_prob"]
        cone.reduced_A.cache()
        self._theta = np.zeros(cone.total_param_size + 1)
        self._one = cone.param_id_to_col[-1]
        self._parameters = _views(problem.parameters(), cone.param_id_to_col, self._theta)
        self._variables = _slices(problem.variables(), cone.var_id_to_col)
        self._rows = rows = _Rows(cone.reduced_A, int(data["dims"].zero))
        _require_single_bounds(rows, self._variables)
        cost: Any = sp.csr_array(cone.q)[:-1]
        # One product for everything that theta gives: four of them cost more than they multiply.
        maps = (cost, rows.values, rows.limits, rows.single_limits)
        self._maps: Any = sp.csr_array(sp.vstack(maps))
        self._ends = np.cumsum([part.shape[0] for part in maps])[:-1]
        self._lp = highspy.HighsLp()
        self._most = np.full(cone.x.size, INFINITY)
        self._least = np.full(cone.x.size, -INFINITY)
        binary = np.array(data["bool_vars_idx"], dtype=int)
        self._least[binary], self._most[binary] = 0.0, 1.0
        self._shape_lp(cone.x.size, data)
        self._highs = _quiet_highs(absolute_gap)

    def _shape_lp(self, columns: int, data: Any) -> None:
        lp, rows = self._lp, self._rows
        lp.num_col_, lp.num_row_ = columns, rows.count
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = rows.starts
        lp.a_matrix_.index_ = rows.indices
        kinds = [highspy.HighsVarType.kContinuous] * columns
        for column in [*data["bool_vars_idx"], *data["int_vars_idx"]]:
            kinds[column] = highspy.HighsVarType.kInteger
        lp.integrality_ = kinds

    def solve(self, parameters: Mapping[str, Floats | float], time_limit_s: float) -> SolverAnswer:
        """Fill the parameters (every one of the problem's) and solve.

        An array smaller than its parameter fills the first places; the others are zero.
        """
        begin = time.perf_counter()
        self._fill(parameters)
        cost, values, limits, single_limits = np.split(self._maps @ self._theta, self._ends)
        lower, upper = self._column_bounds(single_limits)
        if (lower > upper).any():
            return SolverAnswer(None, INFINITY, proven=False, infeasible=True, seconds=0.0)
        lp = self._lp
        lp.col_cost_, lp.a_matrix_.value_ = cost, values
        lp.col_lower_, lp.col_upper_ = lower, upper
        lp.row_lower_, lp.row_upper_ = np.where(self._rows.equal, limits, -INFINITY), limits
        self._highs.passModel(lp)
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + time_limit_s)
        self._highs.run()
        return self._answer(begin)

    def _fill(self, parameters: Mapping[str, Floats | float]) -> None:
        self._theta[:] = 0.0
        self._theta[self._one] = 1.0
        for name, view in self._parameters.items():
            value = parameters[name]
            if isinstance(value, np.ndarray):
                view[tuple(map(slice, value.shape))] = value
            else:
                view[...] = value

    def _column_bounds(self, limits: Floats) -> tuple[Floats, Floats]:
        rows, lower, upper = self._rows, self._least.copy(), self._most.copy()
        ratio = limits / rows.single_values
        for side, chosen, column, tighter in (
            (upper, rows.uppers, rows.upper_column, np.minimum),
            (lower, rows.lowers, rows.lower_column, np.maximum),
        ):
            side[column] = tighter(side[column], ratio[chosen])
        return lower, upper

    def _answer(self, begin: float) -> SolverAnswer:
        highs = self._highs
        status, info = highs.getModelStatus(), highs.getInfo()
        # At a time limit without a feasible point the solution is all zeros: "sell everything".
        feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        values: dict[str, Floats] | None = None
        if feasible:
            point = np.array(highs.getSolution().col_value)
            values = {name: point[place] for name, place in self._variables.items()}
        return SolverAnswer(
            values,
            float(info.mip_dual_bound),
            proven=status == highspy.HighsModelStatus.kOptimal,
            infeasible=status == highspy.HighsModelStatus.kInfeasible,
            seconds=time.perf_counter() - begin,
        )


class _Rows:
    """The constraint matrix as products with theta: singleton rows apart, the others column-wise."""

    def __init__(self, reduced: Any, zero_rows: int) -> None:
        indices, starts, (rows, columns) = reduced.problem_data_index
        entries = sp.csr_array(reduced.reduced_mat)
        column = np.repeat(np.arange(columns), np.diff(starts))
        in_matrix = column < columns - 1
        per_row = np.bincount(indices[in_matrix], minlength=rows)
        single = in_matrix & (per_row[indices] == 1) & (indices >= zero_rows)
        kept = in_matrix & ~single
        several = np.setdiff1d(np.arange(rows), indices[single])
        place = np.zeros(rows, dtype=np.int32)
        place[several] = np.arange(len(several))
        limits = _by_row(entries, np.flatnonzero(~in_matrix), indices, rows)
        self.count = len(several)
        self.equal = several < zero_rows
        self.limits = limits[several]
        # The cone form is A x + s = b with A stored negated.
        self.values = -entries[np.flatnonzero(kept)]
        self.indices = place[indices[kept]]
        counts = np.bincount(column[kept], minlength=columns - 1)
        self.starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        self.single_limits = limits[indices[single]]
        self.single_values = _constants(-entries[np.flatnonzero(single)])
        self.uppers = np.flatnonzero(self.single_values > 0)
        self.lowers = np.flatnonzero(self.single_values < 0)
        self.upper_column = column[single][self.uppers]
        self.lower_column = column[single][self.lowers]


def _by_row(entries: Any, chosen: NDArray[np.intp], indices: Any, rows: int) -> Any:
    """The chosen entries' maps from theta, one for each row, zero where a row has none."""
    scatter = sp.csr_array(
        (np.ones(len(chosen)), (indices[chosen], np.arange(len(chosen)))), shape=(rows, len(chosen))
    )
    return sp.csr_array(scatter @ entries[chosen])


def _constants(maps: Any) -> Floats:
    """Coefficients of singleton rows, which depend on no parameter in these programs."""
    dense = maps.toarray()
    if dense[:, :-1].any():
        raise ValueError("a bound's coefficient may not be a parameter")
    return dense[:, -1]


def _require_single_bounds(rows: _Rows, variables: Mapping[str, slice]) -> None:
    """Refuse two rows that bound one variable on one side: only the last of them would be kept."""
    for side, columns in (("upper", rows.upper_column), ("lower", rows.lower_column)):
        twice = np.flatnonzero(np.bincount(columns) > 1).tolist()
        for name, place in variables.items():
            if any(place.start <= column < place.stop for column in twice):
                raise ValueError(f"variable {name} has more than one {side} bound in rows")


def _views(named: list[Any], columns: Mapping[int, int], theta: Floats) -> dict[str, Floats]:
    """The places of each parameter in theta, in its shape."""
    return {
        one.name(): theta[columns[one.id] : columns[one.id] + one.size].reshape(
            one.shape, order="F"
        )
        for one in named
    }


def _slices(named: list[Any], columns: Mapping[int, int]) -> dict[str, slice]:
    return {one.name(): slice(columns[one.id], columns[one.id] + one.size) for one in named}


def _quiet_highs(absolute_gap: float) -> highspy.Highs:
    highs = highspy.Highs()
    highs.silent()
    options = {
        "threads": 1,
        "random_seed": 1,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": absolute_gap,
        "mip_heuristic_run_feasibility_jump": False,
        "mip_detect_symmetry": False,
    }
    for name, value in options.items():
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise ValueError(f"HiGHS does not take {name}={value}")
    return highs
