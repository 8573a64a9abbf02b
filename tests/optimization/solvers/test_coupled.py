"""Plans under coupling options from scripted answers of the program, by hand."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from optimization.domain.certificate import Binding, Method, Proof
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.evaluation import Limit
from optimization.milp import formulations
from optimization.milp.data import CoupledMilpData, SolverAnswer
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.coupled import minimize_trades, solve_coupled
from optimization.solvers.coupled_data import coupled_milp_data
from optimization.solvers.coupled_limits import UNBOUNDED
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.elastic import find_conflict, find_nearest_plan
from optimization.time_budget import TimeBudget
from tests.optimization.support.coupled_problems import NONE, TWO, WIDE, coupled

FLOOR = Fraction(401)  # of 1000: one lot too few is left by two, 0.01 of it


Said = tuple[list[float] | None, float]
Answers = Callable[..., list[CoupledMilpData]]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Script the answers of the solver: (lots above base or None, its bound), in order."""

    def given(*said: Said, proven: bool = True, infeasible: bool = False) -> list[CoupledMilpData]:
        asked: list[CoupledMilpData] = []

        def solved(problem: CoupledMilpData, _time_limit_s: float):
            change, bound = said[len(asked)]
            asked.append(problem)
            none = infeasible and change is None
            answer = SolverAnswer({}, bound, proven=proven, infeasible=none, seconds=0.5)
            return answer, None if change is None else np.array(change)

        monkeypatch.setattr(formulations, "solve_coupled", solved)
        monkeypatch.setattr(formulations, "solve_fewest_trades", solved)
        return asked

    return given


def find_plan(problem: CoupledProblem) -> Plan:
    plan = solve_coupled(problem, TimeBudget(1.0), fewest_trades=False)
    assert plan is not None
    return plan


def test_the_separable_optimum_that_keeps_every_limit_needs_no_program(answers: Answers):
    asked = answers()

    plan = find_plan(coupled(WIDE, cash_least=Fraction(390), per_trade=Fraction(10)))

    assert (plan.lots.tolist(), plan.cost, asked) == ([2], Decimal("0.10"), [])
    assert plan.certificate.objective == plan.certificate.lower_bound == 1
    assert plan.certificate.method is Method.SEPARABLE
    assert plan.certificate.proof is Proof.OPTIMAL


@pytest.mark.parametrize(
    "given",
    [
        {"cash_least": FLOOR},
        {"costs_in_objective": True},
        {"soft_price": Fraction(3)},
    ],
)
def test_limits_costs_in_the_objective_and_soft_bands_need_the_program(
    answers: Answers, given: dict[str, Any]
):
    asked = answers(([-1.0], 0.0))

    assert find_plan(coupled(WIDE, **given)).lots.tolist() == [1]
    assert len(asked) == 1


def test_a_limit_that_is_broken_is_asked_for_again_with_more_than_that_taken_off(answers: Answers):
    asked = answers(([0.0], 1.00009), ([0.0], 9.0), ([-1.0], 9.0))

    plan = find_plan(coupled(WIDE, cash_least=FLOOR))

    limits = [problem.limit for problem in asked]
    assert limits[0] - limits[1] == pytest.approx(0.040001, abs=1e-12)
    assert limits[0] - limits[2] == pytest.approx(0.080002, abs=1e-12)
    assert plan.lots.tolist() == [1]
    # Of the first question: 1.00 of drift at two lots and 1.00009 more; objectives differ by 1.00.
    assert (plan.certificate.objective, plan.certificate.lower_bound) == (4, 3)
    assert plan.certificate.proof is Proof.OPTIMAL_WITHIN_GAP
    assert plan.certificate.method is Method.MILP
    assert plan.certificate.seconds == 0.5


def test_only_what_was_broken_is_tightened(answers: Answers):
    asked = answers(([0.0], 0.0), ([-1.0], 0.0))

    find_plan(coupled(WIDE, cash_least=FLOOR, turnover=Fraction(900)))

    assert asked[0].turnover == asked[1].turnover
    assert asked[0].limit > asked[1].limit


def test_a_margin_stays_when_another_limit_is_broken_next(answers: Answers):
    asked = answers(([0.0], 0.0), ([-1.0], 0.0), ([0.0], 0.0))

    with pytest.raises(CertificationError):  # 4.00 are too little, 7.00 too much
        find_plan(coupled(WIDE, cash_least=FLOOR, cash_most=Fraction(699)))

    assert asked[2].limit == asked[1].limit < asked[0].limit
    assert asked[2].limit_low - asked[1].limit_low == pytest.approx(0.040001, abs=1e-12)


def test_the_lower_bound_is_at_least_the_separable_one_and_at_most_the_objective(answers: Answers):
    answers(([-1.0], -5.0))
    assert find_plan(coupled(WIDE, cash_least=FLOOR)).certificate.lower_bound == 1
    answers(([-1.0], 7.0))
    certificate = find_plan(coupled(WIDE, cash_least=FLOOR)).certificate
    assert certificate.lower_bound == certificate.objective == 4
    assert certificate.proof is Proof.OPTIMAL
    answers(([-1.0], 7.0), proven=False)
    certificate = find_plan(coupled(WIDE, cash_least=FLOOR)).certificate
    assert certificate.proof is Proof.FEASIBLE_TIME_LIMIT


def test_under_soft_bands_no_plan_has_less_drift_than_the_nearest_lots(answers: Answers):
    # Four lots at least by the band, 5.00 above the target; without it two are nearest.
    above = (300, 700, -450, 600, 0)
    answers(([0.0], -99.0))

    plan = find_plan(
        coupled(above, soft_price=Fraction(1, 2), edges=((Fraction(1150), Fraction(1300)),))
    )

    assert plan.lots.tolist() == [2]
    assert plan.certificate.lower_bound == 1
    assert plan.certificate.objective == 1 + Decimal("2.75")  # half of 5.50 below the band


def test_an_infeasible_program_has_no_plan_and_one_out_of_time_no_answer(answers: Answers):
    answers((None, 0.0), infeasible=True)
    assert (
        solve_coupled(coupled(WIDE, cash_least=FLOOR), TimeBudget(1.0), fewest_trades=False) is None
    )
    for said in ([(None, 0.0)], [([0.0], 0.0), (None, 0.0)]):
        answers(*said)
        with pytest.raises(NoSolutionInTimeError) as caught:
            find_plan(coupled(WIDE, cash_least=FLOOR))
        assert caught.value.time_limit_s == 1.0


def test_a_band_without_a_lot_is_not_asked_for(answers: Answers):
    asked = answers()

    none = coupled((300, 700, 50, 50, 0), cash_least=FLOOR)

    assert solve_coupled(none, TimeBudget(1.0), fewest_trades=False) is None
    assert asked == []


@pytest.mark.parametrize(
    ("said", "broken"),
    [
        ([([0.0], 0.0), (None, 0.0)], ("cash_floor",)),
        ([([0.0], 0.0), ([0.0], 0.0), ([0.0], 0.0), ([-1.0], 0.0)], ("cash_floor",)),
        ([([-2.0], 0.0)], ("a band",)),
    ],
)
def test_a_plan_that_cannot_be_repaired_is_not_returned(
    answers: Answers, said: list[Said], broken: tuple[str, ...]
):
    asked = answers(*said, infeasible=True)

    with pytest.raises(CertificationError) as caught:
        find_plan(coupled(WIDE, cash_least=FLOOR))

    assert caught.value.violations == broken
    assert len(asked) == min(len(said), 3)


def test_a_limit_that_one_more_lot_could_violate_is_binding(answers: Answers):
    answers(([-1.0], 0.0))
    given = {"cash_least": FLOOR, "trades": 1, "turnover": Fraction(599)}
    binding = find_plan(coupled(WIDE, **given)).certificate.binding
    assert binding == (
        Binding("cash_floor", Decimal("2.99")),
        Binding("turnover_cap", Decimal("2.99")),
        Binding("maximum_trades", Decimal(0)),
    )

    answers(([-1.0], 0.0))
    given = {"cash_least": FLOOR, "trades": 2, "turnover": Fraction(600)}
    binding = find_plan(coupled(WIDE, **given)).certificate.binding
    assert [limit.constraint for limit in binding] == ["cash_floor"]


def two(**given: Any) -> tuple[CoupledProblem, Plan]:
    """Build a plan that trades one lot for one: 4.00 and 1.00 of drift, the drift of no trade."""
    problem = coupled(*TWO, worth=2000, **given)
    lots = np.array([1, 2])
    plan = Plan(lots, find_plan(replace(problem, constraints=NONE)).certificate, Decimal("0.04"))
    return problem, plan


def test_a_plan_of_the_same_objective_with_fewer_trades_is_taken(answers: Answers):
    problem, plan = two()
    asked = answers(([0.0, -1.0], 0.0))

    fewer = minimize_trades(problem, plan, TimeBudget(1.0))

    # 5.00 of drift, 2.00 at two lots of each: what is above that, and a millionth.
    assert asked[0].objective_most == pytest.approx(3.000001, abs=1e-12)
    assert (fewer.lots.tolist(), fewer.cost) == ([2, 1], 0)
    assert fewer.certificate.objective == 5


@pytest.mark.parametrize(("fewest_trades", "lots"), [(False, [1, 2]), (True, [2, 1])])
def test_fewer_trades_are_looked_for_where_they_are_asked_for(
    answers: Answers, fewest_trades: bool, lots: list[int]
):
    asked = answers(([-1.0, 0.0], 0.0), ([0.0, -1.0], 0.0))
    problem = coupled(*TWO, worth=2000, cash_least=Fraction(801))

    plan = solve_coupled(problem, TimeBudget(1.0), fewest_trades=fewest_trades)

    assert plan is not None
    assert plan.lots.tolist() == lots
    assert len(asked) == 1 + fewest_trades


def test_the_solver_is_asked_for_fewest_trades_below_an_objective():
    problem, base = coupled_milp_data(coupled(*TWO, worth=2000))
    for most, lots in ((3.000001, [2, 1]), (2.999999, [2, 2])):  # 5.00 of drift, or less
        _, change = formulations.solve_fewest_trades(
            replace(problem, objective_most=most), TimeBudget(10.0)
        )
        assert change is not None
        assert (base + change.round()).tolist() == lots


@pytest.mark.parametrize(
    ("change", "given"),
    [
        (None, {}),  # none in time
        ([-1.0, 0.0], {}),  # as many trades
        ([-1.0, -1.0], {}),  # 8.00 of drift
        ([0.0, 2.0], {}),  # above the band
        ([0.0, 0.0], {"cash_least": Fraction(801)}),  # 8.00 are left
    ],
)
def test_a_plan_with_fewer_trades_that_is_worse_or_breaks_something_is_not_taken(
    answers: Answers, change: list[float] | None, given: dict[str, Any]
):
    problem, plan = two(**given)
    answers((change, 0.0))

    assert minimize_trades(problem, plan, TimeBudget(1.0)) is plan


def slacks(problem: formulations.CoupledMilpData) -> tuple[float, float, float]:
    """Extract the bounds of the slacks of the cash floor, other limits and restrictions."""
    return problem.max_slack_floor, problem.max_slack_limits, problem.max_slack_restrictions


def test_limits_in_conflict_are_those_that_give(answers: Answers):
    asked = answers(([0.0], 0.0))

    given = find_conflict(coupled(WIDE, cash_least=FLOOR, trades=0), TimeBudget(1.0))

    assert given == (Limit("cash_floor", Fraction(-1)), Limit("maximum_trades", Fraction(-1)))
    assert slacks(asked[0]) == (UNBOUNDED,) * 3


def test_the_nearest_plan_leaves_bands_before_it_leaves_limits(answers: Answers):
    asked = answers(([0.0], 0.0), ([-2.0], 0.0))

    lots, given = find_nearest_plan(
        coupled(WIDE, cash_least=FLOOR, least_trade=(2,)), TimeBudget(1.0)
    )

    assert lots is not None
    assert given == ()
    assert lots.tolist() == [0]
    assert [slacks(data) for data in asked] == [(0.0, 0.0, 0.0)] * 2
    assert asked[0].limit - asked[1].limit == pytest.approx(0.040001, abs=1e-12)
    assert asked[0].soft_price == 1000.0
    assert asked[0].least_trade.tolist() == [2.0]


def test_limits_give_where_no_nearest_plan_keeps_them_the_floor_down_to_nothing(answers: Answers):
    asked = answers((None, 0.0), ([0.0], 0.0))

    lots, given = find_nearest_plan(
        coupled(WIDE, cash_least=FLOOR, soft_price=Fraction(3)), TimeBudget(1.0)
    )

    assert lots is not None
    assert given == (Limit("cash_floor", Fraction(-1)),)
    assert lots.tolist() == [2]
    assert slacks(asked[1]) == (4.01, UNBOUNDED, 0.0)
    assert asked[0].soft_price == 3.0


@pytest.mark.parametrize("floor", [0, -5])
def test_without_a_floor_there_is_none_to_give(answers: Answers, floor: int):
    asked = answers((None, 0.0), ([0.0], 0.0))

    find_nearest_plan(coupled(WIDE, cash_least=Fraction(floor), trades=3), TimeBudget(1.0))

    assert asked[1].max_slack_floor == 0.0


def test_without_a_plan_that_is_not_overdrawn_there_is_no_nearest_one(answers: Answers):
    answers((None, 0.0), (None, 0.0))
    assert find_nearest_plan(coupled(WIDE, cash_least=FLOOR), TimeBudget(1.0)) == (None, ())
    answers(*[([0.0], 0.0)] * 3, (None, 0.0))
    assert find_nearest_plan(coupled(WIDE, cash_least=FLOOR), TimeBudget(1.0)) == (None, ())
