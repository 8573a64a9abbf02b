"""Random problems that are few enough to enumerate have the objective that an independent judge finds.

The large ones are for benchmarks/check_engine.py: the judge's solver needs its time for them.
"""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from optimization.certificate import Proof
from optimization.engine import rebalance
from tests.optimization.generated import KINDS, problem_of
from tests.optimization.judge import best, compared, of, violations

SMALL = [kind for kind in KINDS if "large" not in kind.__name__]
TIME_LIMIT_S = 20.0


@pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)
def test_random_problems_keep_every_rule_and_have_the_objective_of_a_second_formulation(kind):
    for number in range(50):
        problem = kind(np.random.default_rng([5, number]))
        answer = rebalance(problem.model, problem.portfolio, problem.options)
        question, near = of(problem), None
        if answer.certificate is not None:
            assert violations(question, answer) == []
            near = Fraction(answer.certificate.objective)

        assert compared(answer, best(question, TIME_LIMIT_S, near)) == "agreed", problem


@pytest.mark.parametrize(
    ("number", "objective"),
    [(1301, "10908.51"), (1315, "70576.37"), (2701, "17827.65"), (6649, "29516.61")],
)
def test_a_plan_that_is_one_cent_better_is_found_among_sums_of_many_cents(
    number: int, objective: str
):
    # Of each of these HiGHS, given costs in whole cents, calls a plan optimal that is a cent worse.
    problem = problem_of(1, number)

    certificate = rebalance(problem.model, problem.portfolio, problem.options).certificate

    assert certificate is not None
    assert certificate.objective == certificate.lower_bound == Decimal(objective)
    assert certificate.proof is Proof.OPTIMAL
