"""A CVXPY problem, compiled once and re-solved by parameters at the speed of the bare solver.

CVXPY's canonicalisation is affine in the parameters (DPP): cost, matrix and right-hand side are
linear in the parameter vector theta. ``get_problem_data`` runs once per process and size. A solve
fills theta, gathers the arrays of HiGHS from it, and passes them on. Rows with a single variable
become its bounds. A problem is compiled for a padded number of securities and cut down to those
that a solve has.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import cvxpy as cp
import highspy
import numpy as np
from numpy.typing import NDArray

from optimization.errors import SolverInterruptedError
from optimization.milp.data import Chosen, Floats, SolverAnswer
from optimization.milp.sparse_form import SparseForm, extract_sparse_form
from optimization.time_budget import TimeBudget

COLUMNWISE = int(highspy.MatrixFormat.kColwise)
MINIMISE = int(highspy.ObjSense.kMinimize)
# Feasibility tolerances of HiGHS. The default of 10^-6 is too loose, because sums of six-decimal
# prices then pass for each other. The loosening steps exist because floats in accounts of 10^9 and
# more are not that exact and some searches end in an error: such a search restarts with the next
# tolerance. A looser tolerance is a relaxation, so the bound holds, and every plan is verified
# exactly afterwards.
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
# The sub-MIP heuristics are off from this number of lots, because they may run for several times
# the time limit and ignore interruption.
MIN_LOTS_WITHOUT_SUBMIP = 2**16
SUB_SEARCHES = ("mip_heuristic_run_rins", "mip_heuristic_run_rens")
# An irrational factor on the costs, because HiGHS otherwise detects costs that are multiples of a
# cent and demands an improvement of a whole cent. Rounding in sums of tens of thousands can hide
# such an improvement, and the better plan would be lost.
OBJECTIVE_SCALE = 1.0471975511965976
NOTHING: Mapping[str, Chosen] = MappingProxyType({})
FEASIBLE = int(highspy.SolutionStatus.kSolutionStatusFeasible)


class ParametricMilp:
    """Mixed-integer program that keeps its sparse form and takes new parameter values.

    It is neither thread-safe nor picklable.

    ``placed`` variables have one entry per security; all others keep their size at every count.
    """

    def __init__(self, problem: cp.Problem, placed: Sequence[cp.Variable] = ()) -> None:
        data: Any = problem.get_problem_data(cp.HIGHS)[0]
        cone: Any = data["param_prob"]
        self._theta = np.zeros(cone.total_param_size + 1)
        self._theta[-1] = 1.0
        self._parameters = _map_parameters(problem.parameters(), cone.param_id_to_col, self._theta)
        self._placed = frozenset(variable.name() for variable in placed)
        self._whole = extract_sparse_form(
            data, _map_variables(problem.variables(), cone.var_id_to_col)
        )
        self._forms: dict[int | None, SparseForm] = {}
        self._budget = TimeBudget()
        self._highs = self._make_interruptible_highs()

    @property
    def parameters(self) -> Iterable[str]:
        """Names of the parameters."""
        return self._parameters.keys()

    def solve(
        self,
        parameters: Mapping[str, Floats | float],
        budget: TimeBudget,
        absolute_gap: float,
        count: int | None = None,
        fractional: Mapping[str, Chosen] = NOTHING,
    ) -> SolverAnswer:
        """Fill every parameter and solve for the first ``count`` securities.

        An array smaller than its parameter fills the first entries; the others are zero. The search
        stops once no plan can be better by more than ``absolute_gap``. The ``fractional`` entries
        of variables are continuous.

        Raises SolverInterruptedError as soon as the budget is interrupted.
        """
        begin = time.perf_counter()
        if budget.left_s == 0:  # no time is left even to load the problem
            return SolverAnswer(None, -math.inf, proven=False, infeasible=False, seconds=0.0)
        form = self._forms.get(count) or self._shrink(count)
        self._fill(parameters)
        self._budget = budget
        self._run(form, form.kinds_but(fractional), absolute_gap)
        if budget.is_interrupted:
            # A new instance, because an interrupted one interrupts every later run too.
            self._highs = self._make_interruptible_highs()
            raise SolverInterruptedError
        return self._answer(form, absolute_gap, begin)

    def _run(self, form: SparseForm, kinds: NDArray[np.int32], absolute_gap: float) -> None:
        """Run HiGHS on the problem, at the first tolerance that ends without an error."""
        cost, values, row_lower, row_upper, lower, upper = form.fill(self._theta)
        highs = self._highs
        sizes = (len(cost), len(row_upper), len(values), COLUMNWISE, MINIMISE, 0.0)
        rows = (row_lower, row_upper, form.starts, form.indices, values)
        is_vast = upper[form.kinds == 1].max(initial=0.0) >= MIN_LOTS_WITHOUT_SUBMIP
        for name in SUB_SEARCHES:
            highs.setOptionValue(name, not is_vast)
        highs.setOptionValue("mip_abs_gap", absolute_gap * OBJECTIVE_SCALE)
        for tolerance in TOLERANCES:
            highs.passModel(*sizes, cost * OBJECTIVE_SCALE, lower, upper, *rows, kinds)
            for name in TOLERANCE_NAMES:
                highs.setOptionValue(name, tolerance)
            # The remaining time, because HiGHS 1.15 counts the limit from the start of a run.
            highs.setOptionValue("time_limit", self._budget.left_s)
            highs.run()
            if highs.getModelStatus() not in FAILED:
                break

    def _make_interruptible_highs(self) -> highspy.Highs:
        highs = _make_quiet_highs()
        highs.cbMipInterrupt += self._interrupt_if_asked
        highs.cbSimplexInterrupt += self._interrupt_if_asked
        return highs

    def _interrupt_if_asked(self, event: Any) -> None:
        if self._budget.is_interrupted:
            event.interrupt()

    def _shrink(self, count: int | None) -> SparseForm:
        is_kept = np.ones(len(self._whole.kinds), dtype=bool)
        for name in self._placed if count is not None else ():
            place = self._whole.variables[name]
            is_kept[place.start + count : place.stop] = False
        self._forms[count] = form = self._whole.select_columns(is_kept)
        return form

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

    def _answer(self, form: SparseForm, absolute_gap: float, begin: float) -> SolverAnswer:
        highs = self._highs
        status = highs.getModelStatus()
        proven = status == highspy.HighsModelStatus.kOptimal
        reached = "objective_function_value" if proven else "mip_dual_bound"
        # Read only with an incumbent, because all zeros would otherwise mean "sell everything".
        values: dict[str, Floats] | None = None
        if highs.getInfoValue("primal_solution_status")[1] == FEASIBLE:
            point = np.array(highs.getSolution().col_value)
            values = {name: point[place] for name, place in form.variables.items()}
        return SolverAnswer(
            values,
            # The gap is subtracted, because a finished search may have pruned plans within it.
            float(highs.getInfoValue(reached)[1]) / OBJECTIVE_SCALE - absolute_gap,
            proven=proven,
            infeasible=status == highspy.HighsModelStatus.kInfeasible,
            seconds=time.perf_counter() - begin,
        )


def _map_parameters(
    parameters: list[Any], columns: Mapping[int, int], theta: Floats
) -> dict[str, Floats]:
    """Entries of each parameter in theta, in its shape."""
    return {
        parameter.name(): theta[
            columns[parameter.id] : columns[parameter.id] + parameter.size
        ].reshape(parameter.shape, order="F")
        for parameter in parameters
    }


def _map_variables(variables: list[Any], columns: Mapping[int, int]) -> dict[str, slice]:
    return {
        variable.name(): slice(columns[variable.id], columns[variable.id] + variable.size)
        for variable in variables
    }


def _make_quiet_highs() -> highspy.Highs:
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
