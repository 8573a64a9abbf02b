"""Random problems, few enough to enumerate, have the objective of an independent judge.

The large ones are left to tests/engine_checks/check_engine.py, because the judge's solver needs
minutes for them.
"""

from decimal import Decimal

import numpy as np
import pytest

from optimization.domain.certificate import Proof
from optimization.domain.portfolio import price_others, price_targets
from optimization.engine import rebalance
from optimization.exact.block_builder import build_block
from optimization.solvers.coupled import solve_at_base
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import relax
from optimization.time_budget import TimeBudget
from tests.optimization.support.generated_problems import KINDS, OTHER_KINDS, hard, problem_of
from tests.optimization.support.judge import judged, of, violations

SMALL = [kind for kind in (*KINDS, *OTHER_KINDS) if "large" not in kind.__name__]
TIME_LIMIT_S = 20.0
EXPECTED = {False: {"agreed"}, True: {"agreed", "undecided"}}  # by whether it is refused


@pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)
def test_random_problems_keep_every_rule_and_have_the_objective_of_a_second_formulation(kind):
    for number in range(50):
        problem = hard(kind(np.random.default_rng([5, number])))
        answer = rebalance(problem.model, problem.portfolio, problem.options)
        if answer.certificate is not None:
            assert violations(of(problem, answer), answer) == []

        assert judged(problem, answer, TIME_LIMIT_S) in EXPECTED[answer.certificate is None], (
            problem
        )


@pytest.mark.parametrize(
    ("number", "objective"),
    [(1301, "10908.51"), (1315, "70576.37"), (2701, "17827.65"), (6649, "29516.61")],
)
def test_a_plan_that_is_one_cent_better_is_found_among_sums_of_many_cents(
    number: int, objective: str
):
    # Of each of these HiGHS, given costs in whole cents, calls a plan optimal that is a cent worse.
    problem = problem_of(1, number)
    model, portfolio, options = problem.model, problem.portfolio, problem.options
    securities = price_targets(model, portfolio.prices)
    others = price_others(securities, portfolio)
    relaxed = relax(build_block(securities, others, [portfolio], options), options)
    at_market_value = CoupledProblem.from_relaxation(relaxed, 0)

    plan = solve_at_base(at_market_value, options, TimeBudget())

    assert plan is not None
    certificate = plan.certificate
    assert certificate.objective == certificate.lower_bound == Decimal(objective)
    assert certificate.proof is Proof.OPTIMAL
