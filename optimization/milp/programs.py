"""Calls of the integer programs; the first one loads CVXPY and HiGHS.

Most portfolios need no integer program, so a process that answers only these saves the time and
memory of the two libraries.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from types import ModuleType

from optimization.milp.data import CashMilpData, CoupledMilpData, Floats, SolverAnswer
from optimization.time_budget import TimeBudget


@cache
def load_solver() -> ModuleType:
    """Load CVXPY and HiGHS now, so that no search has to wait for them.

    >>> from optimization import load_solver
    >>> load_solver() is load_solver()
    True
    """
    # A thread loads them, because KeyboardInterrupt is raised in the main thread and would leave
    # CVXPY half loaded: its finished modules would keep the first object of the package.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(import_module, "optimization.milp.formulations").result()


def solve_cash(data: CashMilpData, budget: TimeBudget) -> tuple[SolverAnswer, Floats | None]:
    """Solve the cash-constrained program: lots above k of each security; None without a plan."""
    return load_solver().solve_cash(data, budget)


def solve_coupled(data: CoupledMilpData, budget: TimeBudget) -> tuple[SolverAnswer, Floats | None]:
    """Solve the coupled program: lots above ``base`` of each security; None without a plan."""
    return load_solver().solve_coupled(data, budget)


def solve_fewest_trades(
    data: CoupledMilpData, budget: TimeBudget
) -> tuple[SolverAnswer, Floats | None]:
    """Minimise trades among the plans whose objective is at most ``objective_most``."""
    return load_solver().solve_fewest_trades(data, budget)
