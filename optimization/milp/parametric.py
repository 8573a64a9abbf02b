"""A CVXPY problem compiled once and re-solved by parameters at the speed of the bare solver.

CVXPY's canonicalisation is affine in the parameters (DPP): cost, matrix and right-hand side are linear in the
parameter vector theta. ``get_problem_data`` runs once a process and size; a solve fills theta, gathers from it
what HiGHS wants to know, and hands that over. Rows with a single variable become its bounds. A problem is
compiled for a number of places (securities) and cut down to those that a solve has.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cvxpy as cp
import highspy
import numpy as np

from optimization.errors import SolverInterruptedError
from optimization.milp.sparse_form import Chosen, Floats, SparseForm, structure_of
from optimization.time_budget import Budget

COLUMNWISE = int(highspy.MatrixFormat.kColwise)
MINIMISE = int(highspy.ObjSense.kMinimize)
# Of HiGHS: at its default of 10^-6 sums of six-decimal prices pass for each other. In accounts of 10^9 and more,
# floats are not that exact, and some searches end in an error: they begin anew with the next one. A looser
# tolerance is a relaxation, so that the bound holds, and a plan is verified exactly whatever it was found at.
TOLERANCES = (1e-9, 1e-8, 1e-7, 1e-6)
TOLERANCE_NAMES = ("mip_feasibility_tolerance", "primal_feasibility_tolerance")
FAILED = frozenset(
    {
        highspy.HighsModelStatus.kSolveError,
        highspy.HighsModelStatus.kPresolveError,
        highspy.HighsModelStatus.kPostsolveError,
        highspy.HighsModelStatus.kUnknown,
    }
)
# Searches within the search. Among so many lots they can sit for several times the time limit and hear no
# interruption.
VAST = 2**16
SUB_SEARCHES = ("mip_heuristic_run_rins", "mip_heuristic_run_rens")
# Costs are handed over times this. Of costs that are multiples of a cent HiGHS wants a plan that is a cent better,
# to within its tolerance: below the rounding of sums of ten thousands, so that it gives the better plan up.
OBJECTIVE_SCALE = 1.0471975511965976
NOTHING: Mapping[str, Chosen] = MappingProxyType({})
FEASIBLE = int(highspy.SolutionStatus.kSolutionStatusFeasible)


@dataclass(frozen=True, slots=True, eq=False)
class SolverAnswer:
    """What the solver says; floats throughout, to be verified exactly before anyone believes them."""

    values: Mapping[str, Floats] | None  # by variable; None without a feasible point
    bound: float  # no plan has less: the solver's, less the gap within which it gives plans up
    proven: bool  # optimal within the gap
    infeasible: bool
    seconds: float


class ParametricMilp:
    """One structure, many parameter values. Not thread-safe; cannot be pickled; build per process.

    The ``placed`` variables have an entry for each place, all others are whole whatever the count.
    """

    def __init__(self, problem: cp.Problem, placed: Sequence[cp.Variable] = ()) -> None:
        data: Any = problem.get_problem_data(cp.HIGHS)[0]
        cone: Any = data["param_prob"]
        self._theta = np.zeros(cone.total_param_size + 1)
        self._theta[-1] = 1.0
        self._parameters = _views(problem.parameters(), cone.param_id_to_col, self._theta)
        self._placed = frozenset(variable.name() for variable in placed)
        self._whole = structure_of(data, _slices(problem.variables(), cone.var_id_to_col))
        self._structures: dict[int | None, SparseForm] = {}
        self._budget = Budget()
        self._highs = self._interruptible_highs()

    @property
    def parameters(self) -> Iterable[str]:
        """Their names."""
        return self._parameters.keys()

    def solve(
        self,
        parameters: Mapping[str, Floats | float],
        budget: Budget,
        absolute_gap: float,
        count: int | None = None,
        fractional: Mapping[str, Chosen] = NOTHING,
    ) -> SolverAnswer:
        """Fill the parameters (every one of the problem's) and solve, for the first ``count`` places.

        An array smaller than its parameter fills the first places; the others are zero. A plan is looked for
        that no other is better than by more than ``absolute_gap``. The ``fractional`` places of variables
        need not be whole.

        Raises SolverInterruptedError as soon as the budget is interrupted.
        """
        begin = time.perf_counter()
        if budget.left_s == 0:  # even to load a problem would be too late
            return SolverAnswer(None, -math.inf, proven=False, infeasible=False, seconds=0.0)
        shape = self._structures.get(count) or self._cut(count)
        self._fill(parameters)
        cost, values, row_lower, row_upper, lower, upper = shape.fill(self._theta)
        highs = self._highs
        sizes = (len(cost), len(row_upper), len(values), COLUMNWISE, MINIMISE, 0.0)
        rows = (row_lower, row_upper, shape.starts, shape.indices, values)
        kinds = shape.kinds_but(fractional)
        self._budget = budget
        is_vast = upper[shape.kinds == 1].max(initial=0.0) >= VAST
        for name in SUB_SEARCHES:
            highs.setOptionValue(name, not is_vast)
        highs.setOptionValue("mip_abs_gap", absolute_gap * OBJECTIVE_SCALE)
        for tolerance in TOLERANCES:
            highs.passModel(*sizes, cost * OBJECTIVE_SCALE, lower, upper, *rows, kinds)
            for name in TOLERANCE_NAMES:
                highs.setOptionValue(name, tolerance)
            highs.setOptionValue("time_limit", budget.left_s)  # of this run alone, as 1.15 counts
            highs.run()
            if highs.getModelStatus() not in FAILED:
                break
        if budget.is_interrupted:
            # An instance that was interrupted once interrupts every later run, too.
            self._highs = self._interruptible_highs()
            raise SolverInterruptedError
        return self._answer(shape, absolute_gap, begin)

    def _interruptible_highs(self) -> highspy.Highs:
        highs = _quiet_highs()
        highs.cbMipInterrupt += self._interrupt_if_asked
        highs.cbSimplexInterrupt += self._interrupt_if_asked
        return highs

    def _interrupt_if_asked(self, event: Any) -> None:
        if self._budget.is_interrupted:
            event.interrupt()

    def _cut(self, count: int | None) -> SparseForm:
        kept = np.ones(len(self._whole.kinds), dtype=bool)
        for name in self._placed if count is not None else ():
            place = self._whole.variables[name]
            kept[place.start + count : place.stop] = False
        self._structures[count] = made = self._whole.cut(kept)
        return made

    def _fill(self, parameters: Mapping[str, Floats | float]) -> None:
        self._theta[:-1] = 0.0
        for name, view in self._parameters.items():
            value = parameters[name]
            if not isinstance(value, np.ndarray):
                view[...] = value
            elif value.ndim == 1:
                view[: len(value)] = value
            else:
                view[tuple(map(slice, value.shape))] = value

    def _answer(self, shape: SparseForm, absolute_gap: float, begin: float) -> SolverAnswer:
        highs = self._highs
        status = highs.getModelStatus()
        proven = status == highspy.HighsModelStatus.kOptimal
        reached = "objective_function_value" if proven else "mip_dual_bound"
        # At a time limit without a feasible point the solution is all zeros: "sell everything".
        values: dict[str, Floats] | None = None
        if highs.getInfoValue("primal_solution_status")[1] == FEASIBLE:
            point = np.array(highs.getSolution().col_value)
            values = {name: point[place] for name, place in shape.variables.items()}
        return SolverAnswer(
            values,
            # A search that ends has given up what is better than its plan by less than the gap.
            float(highs.getInfoValue(reached)[1]) / OBJECTIVE_SCALE - absolute_gap,
            proven=proven,
            infeasible=status == highspy.HighsModelStatus.kInfeasible,
            seconds=time.perf_counter() - begin,
        )


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


def _quiet_highs() -> highspy.Highs:
    highs = highspy.Highs()
    highs.silent()
    options = {
        "threads": 1,
        "random_seed": 1,
        "mip_rel_gap": 0.0,
        "mip_heuristic_run_feasibility_jump": False,
        "mip_heuristic_run_zi_round": True,
        "mip_detect_symmetry": False,
    }
    for name, value in options.items():
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise ValueError(f"HiGHS does not take {name}={value}")
    return highs
