"""Random problems that are few enough to enumerate have the objective that an independent judge finds.

The large ones are for benchmarks/check_engine.py: the judge's solver needs its time for them.
"""

from fractions import Fraction

import numpy as np
import pytest

from optimization.engine import rebalance
from tests.optimization.generated import KINDS
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
