"""Public names of the package; only those that solve load the solver."""

import subprocess
import sys

import pytest

import optimization

SOLVERS = ("cvxpy", "highspy", "scipy")


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*(set({SOLVERS}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import optimization",
        "import optimization.domain.model",
        "import storage.models.model_store",
        "from optimization import Model, PortfolioOutcome, RebalanceOptions, price_targets",
    ],
)
def test_whoever_imports_domain_types_alone_loads_no_solver(statement: str):
    assert loaded_after(statement) == set()


ACCOUNT = """
from optimization import Model, Portfolio, RebalanceOptions, rebalance, rebalance_at_once
from optimization import load_solver, price_targets
account = Portfolio("ira", 1000, {}, {"VTI": 31.50})
model = Model({"VTI": 0.9}, band=0.05)
"""


@pytest.mark.parametrize(
    "statement",
    [
        "rebalance(model, account)",
        "rebalance_at_once(price_targets(model, account.prices), [account])",
    ],
)
def test_a_portfolio_that_needs_no_search_loads_no_solver(statement: str):
    assert loaded_after(ACCOUNT + statement) == set()


@pytest.mark.parametrize(
    "statement", ["rebalance(model, account, RebalanceOptions(maximum_trades=1))", "load_solver()"]
)
def test_the_solver_comes_with_the_first_search_or_when_it_is_asked_for(statement: str):
    assert loaded_after(ACCOUNT + statement) == set(SOLVERS)


INTERRUPTED = """
import _thread, sys

class Interrupter:
    def find_spec(self, name, path, target=None):
        if name == "cvxpy.atoms.total_variation":
            sys.meta_path.remove(self)
            _thread.interrupt_main()

sys.meta_path.insert(0, Interrupter())
try:
    load_solver()
except KeyboardInterrupt:
    options = RebalanceOptions(cost_per_trade=1, costs_in_objective=True)
    print(rebalance(model, account, options).status)
"""


def test_an_interrupt_while_the_solver_is_loaded_leaves_it_whole():
    code = [sys.executable, "-c", ACCOUNT + INTERRUPTED]
    done = subprocess.run(code, capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout == "REBALANCED\n", done.stderr


TYPE_ALIASES = {"Answer", "Band", "Number", "OverridesByPortfolio", "Weight"}


@pytest.mark.parametrize(
    "name",
    [name for name in optimization.__all__ if name not in TYPE_ALIASES and not name.isupper()],
)
def test_every_public_class_and_function_has_a_doctest(name: str):
    assert ">>> " in (getattr(optimization, name).__doc__ or "")


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'solve_everything'"):
        _ = optimization.solve_everything
