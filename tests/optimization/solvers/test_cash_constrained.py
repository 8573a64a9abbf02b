"""A portfolio short of cash, by hand; the solver's answers are scripted where they matter."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from optimization.domain.certificate import Method, Proof
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.block import compute_bands
from optimization.milp import formulations
from optimization.milp.data import CashMilpData, SolverAnswer
from optimization.solvers.cash_constrained import (
    CashConstrainedProblem,
    cash_milp_data,
    compute_margin,
    lower_bound,
    solve_by_program,
    solve_cash_constrained,
)
from optimization.solvers.separable import solve
from optimization.time_budget import TimeBudget
from tests.optimization.support.blocks import block

# 7.00 of 10.00 in lots of 3.00, from 3.00 to 10.00: two lots miss by 1.00, one by 4.00, three by
# 2.00.
WIDE = (300, 700, 400, 300, 0)


def problem(investable: int, *securities: tuple[int, int, int, int, int]) -> CashConstrainedProblem:
    made = replace(block(1000, *securities), investable=np.array([investable]))
    where = compute_bands(made)
    separable = solve(made, where)
    shortfall = int(separable.invested[0]) - investable
    return CashConstrainedProblem("P" * 24, made, where, separable.lots[0], shortfall)


Answers = Callable[..., list[CashMilpData]]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Script the answers of the solver: (lots above base or None, its bound), in order."""

    def given(
        *said: tuple[float | None, float], proven: bool = True, infeasible: bool = False
    ) -> list[CashMilpData]:
        asked: list[CashMilpData] = []

        def solved(problem: CashMilpData, _time_limit_s: float):
            change, bound = said[len(asked)]
            asked.append(problem)
            none = infeasible and change is None
            answer = SolverAnswer({}, bound, proven=proven, infeasible=none, seconds=0.5)
            return answer, None if change is None else np.array([change])

        monkeypatch.setattr(formulations, "solve_cash", solved)
        return asked

    return given


def test_the_cover_steps_down_by_what_is_missing():
    plan = solve_cash_constrained(problem(599, WIDE), TimeBudget(1.0))

    assert plan is not None
    assert plan.lots.tolist() == [1]
    assert plan.certificate.objective == plan.certificate.lower_bound == Decimal("4.00")
    assert plan.certificate.method is Method.COVER
    [binding] = plan.certificate.binding
    assert (binding.constraint, binding.slack) == ("cash_floor", Decimal("2.99"))


def test_all_that_can_be_freed_is_just_enough_or_there_is_no_plan():
    assert solve_cash_constrained(problem(300, WIDE), TimeBudget(1.0)) is not None
    assert solve_cash_constrained(problem(299, WIDE), TimeBudget(1.0)) is None


def test_the_program_has_amounts_above_the_lots_just_below_each_target():
    tight = problem(599, WIDE)

    asked = cash_milp_data(tight, np.array([2]), np.array([1]), np.array([4]), Fraction(50))

    assert asked.lot_value.tolist() == [3.0]
    assert asked.cost_across.tolist() == [1.0]  # 2.00 above the target instead of 1.00 below
    assert asked.can_cross.tolist() == [1.0]
    assert (asked.max_down.tolist(), asked.max_up.tolist()) == ([1.0], [1.0])
    # 0.01 too little, so a lot of 3.00 has to go: a millionth above that, less the margin of 0.50.
    assert asked.limit == pytest.approx(-3.0 + 0.000001 - 0.5, abs=1e-12)


def test_the_program_knows_the_part_of_a_unit_of_a_target():
    made = block(1001, WIDE)  # 7.007
    where = compute_bands(made)
    tight = CashConstrainedProblem("P" * 24, made, where, solve(made, where).lots[0], 0)

    asked = cash_milp_data(tight, np.array([2]), np.array([1]), np.array([3]))

    assert asked.cost_across.tolist() == pytest.approx([1.993 - 1.007], abs=1e-12)
    assert asked.limit == pytest.approx(3.000001, abs=1e-12)  # one more lot of 4.01


def test_at_the_edge_of_its_band_a_security_has_no_chord_upward():
    asked = cash_milp_data(
        problem(599, WIDE), np.array([2]), np.array([2]), np.array([2]), Fraction(0)
    )

    assert (asked.can_cross.tolist(), asked.max_up.tolist()) == ([0.0], [0.0])


def test_a_plan_that_overspends_is_asked_for_again_with_more_than_that_taken_off(answers: Answers):
    asked = answers((0.0, 1.00009), (-1.0, 2.5))

    plan = solve_by_program(problem(599, WIDE), TimeBudget(1.0))

    # Two lots are 0.01 too much: four times that and a millionth come off.
    first, second = (problem.limit for problem in asked)
    assert first - second == pytest.approx(0.040001, abs=1e-12)
    assert plan.lots.tolist() == [1]
    # The bound is that of the first question: 1.00 of drift at two lots and 1.00009 more; drifts
    # differ by 1.00.
    assert plan.certificate.lower_bound == 3
    assert plan.certificate.proof is Proof.OPTIMAL_WITHIN_GAP
    assert plan.certificate.seconds == 0.5


def test_the_lower_bound_is_at_least_the_separable_one_and_at_most_the_objective(answers: Answers):
    answers((-1.0, -5.0))
    assert solve_by_program(problem(599, WIDE), TimeBudget(1.0)).certificate.lower_bound == 1
    answers((-1.0, 7.0))
    plan = solve_by_program(problem(599, WIDE), TimeBudget(1.0))
    assert plan.certificate.lower_bound == plan.certificate.objective == 4
    assert plan.certificate.proof is Proof.OPTIMAL


def test_a_plan_at_the_time_limit_is_feasible_whatever_its_bound(answers: Answers):
    answers((-1.0, 7.0), proven=False)

    assert (
        solve_by_program(problem(599, WIDE), TimeBudget(1.0)).certificate.proof
        is Proof.FEASIBLE_TIME_LIMIT
    )


@pytest.mark.parametrize(
    ("bound", "granularity", "lower"),
    [
        (Fraction(10), Fraction(1), Fraction(10)),
        (Fraction(99, 10), Fraction(1), Fraction(10)),  # nothing lies between 9 and 10
        (Fraction(9), Fraction(1), Fraction(9)),
        (Fraction(89, 10), Fraction(1), Fraction(9)),
        (Fraction(11), Fraction(1), Fraction(10)),  # no plan is below its own bound
        (Fraction(1), Fraction(4), Fraction(2)),  # 10, 6 or 2
        (Fraction(1), Fraction(0), Fraction(10)),  # all are the same
        (Fraction(9_123_456, 10**6), Fraction(1, 10**6), Fraction(91_234, 10**4)),
        (Fraction(9_123_499_999, 10**9), Fraction(1, 10**6), Fraction(91_235, 10**4)),  # floats
        (Fraction(11), Fraction(1, 10**6), Fraction(10)),
    ],
)
def test_a_bound_is_rounded_up_to_what_an_objective_can_be(
    bound: Fraction, granularity: Fraction, lower: Fraction
):
    assert lower_bound(Fraction(10), bound, granularity) == lower


def test_drifts_differ_by_whole_multiples_of_one_amount(answers: Answers):
    asked = answers((-1.0, 0.0))

    solve_by_program(problem(599, WIDE), TimeBudget(1.0))

    assert asked[0].granularity == 1.0  # lots of 3.00; two of them miss by 1.00, three by 2.00


def test_the_gap_is_half_of_what_objectives_differ_by_or_a_cent_where_floats_cannot_tell():
    assert formulations.choose_gap(2.5) == 1.25
    assert formulations.choose_gap(1e-5) == 5e-6
    assert formulations.choose_gap(9e-6) == formulations.choose_gap(0.0) == 0.01


@pytest.mark.parametrize("said", [[(None, 0.0)], [(0.0, 0.0), (None, 0.0)]])
def test_without_a_plan_in_time_there_is_no_answer(
    answers: Answers, said: list[tuple[float | None, float]]
):
    answers(*said)

    with pytest.raises(NoSolutionInTimeError) as caught:
        solve_by_program(problem(599, WIDE), TimeBudget(1.0))

    assert caught.value.time_limit_s == 1.0


@pytest.mark.parametrize(
    "said", [((0.0, 0.0), (None, 0.0)), ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (-1.0, 0.0))]
)
def test_a_plan_that_overspends_three_times_or_cannot_be_repaired_is_not_returned(
    answers: Answers, said: tuple[tuple[float | None, float], ...]
):
    asked = answers(*said, infeasible=True)

    with pytest.raises(CertificationError):
        solve_by_program(problem(599, WIDE), TimeBudget(1.0))
    assert len(asked) == min(len(said), 3)


def test_margins_are_four_times_the_excess_and_a_millionth_of_currency():
    made = problem(599, WIDE).block

    assert compute_margin(Fraction(3), made) == 12 + Fraction(1, 10_000)
    assert compute_margin(Fraction(-3), made) == Fraction(1, 10_000)


@pytest.mark.parametrize(("target", "base"), [(700, 2), (100, 1), (999, 3)])
def test_the_program_counts_from_inside_the_band(answers: Answers, target: int, base: int):
    asked = answers((0.0, 0.0))
    tight = problem(5000, (300, target, target - 300, max(1000 - target, 0), 0))

    plan = solve_by_program(tight, TimeBudget(1.0))

    assert plan.lots.tolist() == [base]
    assert asked[0].max_down.tolist() == [base - 1.0]
