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
        self._parameters = _slices(problem.parameters(), cone.param_id_to_col)
        self._variables = _slices(problem.variables(), cone.var_id_to_col)
        self.shapes = {parameter.name(): parameter.shape for parameter in problem.parameters()}
        self._theta = np.zeros(cone.total_param_size + 1)
        self._theta[cone.param_id_to_col[-1]] = 1.0
        self._cost: Any = sp.csr_array(cone.q)[:-1]
        self._rows = _Rows(cone.reduced_A, int(data["dims"].zero))
        self._lp = highspy.HighsLp()
        self._binary = np.array(data["bool_vars_idx"], dtype=int)
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
        """Fill the parameters (every one of the problem's) and solve."""
        begin = time.perf_counter()
        for name, place in self._parameters.items():
            self._theta[place] = np.ravel(parameters[name], order="F")
        lower, upper, crossed = self._column_bounds()
        if crossed:
            return SolverAnswer(None, INFINITY, proven=False, infeasible=True, seconds=0.0)
        lp, rows = self._lp, self._rows
        limits = rows.limits @ self._theta
        lp.col_cost_ = self._cost @ self._theta
        lp.col_lower_, lp.col_upper_ = lower, upper
        lp.row_lower_, lp.row_upper_ = np.where(rows.equal, limits, -INFINITY), limits
        lp.a_matrix_.value_ = rows.values @ self._theta
        self._highs.passModel(lp)
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + time_limit_s)
        self._highs.run()
        return self._answer(begin)

    def _column_bounds(self) -> tuple[Floats, Floats, bool]:
        rows = self._rows
        lower = np.full(self._lp.num_col_, -INFINITY)
        upper = np.full(self._lp.num_col_, INFINITY)
        lower[self._binary], upper[self._binary] = 0.0, 1.0
        ratio = (rows.single_limits @ self._theta) / rows.single_values
        below = rows.single_values > 0
        np.minimum.at(upper, rows.single_column[below], ratio[below])
        np.maximum.at(lower, rows.single_column[~below], ratio[~below])
        return lower, upper, bool((lower > upper).any())

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
        self.single_column = column[single]
        self.single_limits = limits[indices[single]]
        self.single_values = _constants(-entries[np.flatnonzero(single)])


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
