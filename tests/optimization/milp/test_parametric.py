"""A CVXPY problem compiled once answers as CVXPY does, or is refused when it is compiled."""

from typing import ClassVar

import cvxpy as cp
import highspy
import numpy as np
import pytest

from optimization.milp.formulations import COUNT_GRANULARITY, choose_gap
from optimization.milp.parametric import ParametricMilp
from optimization.time_budget import TimeBudget


def knapsack(*more: cp.Constraint, x: cp.Variable | None = None) -> cp.Problem:
    """State a knapsack: the most value of whole items, 0 to ``most`` of each, within ``limit``."""
    x = x or cp.Variable(3, integer=True, name="x")
    value, most = cp.Parameter(3, name="value"), cp.Parameter(3, name="most")
    rows = [x >= 0, x <= most, np.array([3, 4, 5]) @ x <= cp.Parameter(name="limit"), *more]
    return cp.Problem(cp.Minimize(-value @ x), rows)


def test_one_structure_answers_for_one_parameter_value_after_the_other():
    program = ParametricMilp(knapsack())

    for limit, best in ((8, [1, 0, 1]), (11, [2, 0, 1]), (2, [0, 0, 0])):
        answer = program.solve(
            {"value": np.array([4.0, 5.0, 7.0]), "most": np.full(3, 2.0), "limit": limit},
            TimeBudget(10.0),
            0.01,
        )
        assert answer.values is not None
        assert answer.values["x"].round().tolist() == best
        assert answer.proven
        objective = -np.array([4.0, 5.0, 7.0]) @ best
        assert objective - 0.011 < answer.bound < objective


def test_a_bound_is_valid_for_the_plans_given_up_within_the_gap():
    program = ParametricMilp(knapsack())
    values = {"value": np.array([4.0, 5.0, 7.0]), "most": np.full(3, 2.0), "limit": 11.0}

    for gap in (0.01, 3.0, 8.0):
        answer = program.solve(values, TimeBudget(10.0), gap)
        assert answer.proven
        assert -15 - 2 * gap < answer.bound <= -15  # 2 4 + 7


def test_an_array_shorter_than_its_parameter_leaves_the_other_places_zero():
    program = ParametricMilp(knapsack())

    long = {"value": np.array([1.0, 1.0, 9.0]), "most": np.full(3, 5.0), "limit": 20.0}
    short = {"value": np.array([1.0]), "most": np.array([5.0]), "limit": 20.0}
    program.solve(long, TimeBudget(10.0), 0.01)
    answer = program.solve(short, TimeBudget(10.0), 0.01)

    assert answer.values is not None
    assert answer.values["x"].round().tolist() == [5, 0, 0]


def test_a_boolean_is_at_most_one_whatever_its_rows_say():
    x = cp.Variable(boolean=True, name="x")
    worth = cp.Parameter(name="worth")
    program = ParametricMilp(cp.Problem(cp.Minimize(-worth * x), [x <= cp.Parameter(name="most")]))

    for most, best in ((5.0, 1), (0.5, 0), (1.0, 1)):
        answer = program.solve({"worth": 3.0, "most": most}, TimeBudget(10.0), 0.01)
        assert answer.values is not None
        assert answer.values["x"].tolist() == [best]


def test_a_row_of_one_variable_is_a_bound_divided_by_its_coefficient():
    x = cp.Variable(2, integer=True, name="x")
    most, least = cp.Parameter(name="most"), cp.Parameter(name="least")
    rows = [2 * x[0] <= most, -0.5 * x[1] <= least, x[0] >= -9, x[1] <= 9]
    program = ParametricMilp(cp.Problem(cp.Minimize(x[1] - x[0]), rows))

    for values, best in (((7.0, 2.0), [3, -4]), ((-8.0, -1.0), [-4, 2])):
        answer = program.solve({"most": values[0], "least": values[1]}, TimeBudget(10.0), 0.01)
        assert answer.values is not None
        assert answer.values["x"].tolist() == best


def test_rows_that_are_equations_are_kept_on_both_sides():
    x = cp.Variable(4, integer=True, name="x")
    total = cp.Parameter(2, name="total")
    rows = [x >= 0, x[0] + x[1] == total[0], x[2] + x[3] == total[1], x[0] + x[2] <= 5, x <= 9]
    cost = cp.Parameter(4, name="cost")
    program = ParametricMilp(cp.Problem(cp.Minimize(cost @ x), rows))

    for costs, best in (([1.0, 2, 1, 3], [0, 7, 5, 3]), ([-1.0, -1, -1, -2], [5, 2, 0, 8])):
        answer = program.solve(
            {"total": np.array([7.0, 8.0]), "cost": np.array(costs)}, TimeBudget(10.0), 0.01
        )
        assert answer.values is not None
        found = answer.values["x"].round().tolist()
        assert (found[0] + found[1], found[2] + found[3]) == (7, 8)
        assert np.dot(costs, found) == np.dot(costs, best)


def test_places_beyond_the_count_are_not_there():
    x = cp.Variable(3, integer=True, name="x")
    spare = cp.Variable(name="spare")
    rows = [x <= cp.Parameter(3, name="most"), spare <= 1, cp.sum(x) + spare <= 7, x + spare >= 0]
    problem = cp.Problem(cp.Minimize(-cp.sum(x) - spare), rows)
    program = ParametricMilp(problem, placed=[x])

    for count, best in ((1, 4.0), (3, 7.0), (2, 7.0)):
        answer = program.solve({"most": np.full(count, 3.0)}, TimeBudget(10.0), 0.01, count)
        assert answer.values is not None
        assert len(answer.values["x"]) == count
        assert answer.values["spare"].shape == (1,)
        assert answer.values["x"].sum() + answer.values["spare"][0] == pytest.approx(best)


def test_a_solve_ends_at_its_time_limit_each_time_anew():
    # Weights that fill several sacks at once, exactly: far beyond a hundredth of a second.
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 100, (5, 40))
    x, over = cp.Variable(40, boolean=True, name="x"), cp.Variable(5, name="over")
    rows = [over >= 0, weights @ x - over <= cp.Parameter(5, name="half"), over <= 4_000]
    rows.append(weights @ x + over >= weights.sum(axis=1) // 2)
    program = ParametricMilp(cp.Problem(cp.Minimize(cp.sum(over)), rows))

    for _ in range(2):
        answer = program.solve({"half": weights.sum(axis=1) // 2 * 1.0}, TimeBudget(0.01), 0.01)
        assert not answer.proven
        assert not answer.infeasible


class WatchedHighs(highspy.Highs):
    """HiGHS that notes the time limit of each run."""

    limits_s: ClassVar[list[float]] = []

    def run(self) -> highspy.HighsStatus:
        self.limits_s.append(self.getOptionValue("time_limit")[1])
        return super().run()


def test_the_solver_gets_no_more_time_than_is_left_however_long_it_has_run_before(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(highspy, "Highs", WatchedHighs)
    program = ParametricMilp(knapsack())
    values = {"value": np.array([4.0, 5.0, 7.0]), "most": np.full(3, 2.0), "limit": 8}

    for seconds in (50.0, 50.0, 5.0):
        WatchedHighs.limits_s.clear()
        program.solve(values, TimeBudget(seconds), 0.01)
        # HiGHS counts the limit from the beginning of each run.
        assert 0 < max(WatchedHighs.limits_s) <= seconds


def test_without_any_time_the_solver_is_not_asked():
    program = ParametricMilp(knapsack())
    values = {"value": np.array([4.0, 5.0, 7.0]), "most": np.full(3, 2.0), "limit": 8}

    answer = program.solve(values, TimeBudget(0.0), 0.01)

    assert (answer.values, answer.bound, answer.seconds) == (None, -np.inf, 0.0)
    assert not answer.proven
    assert not answer.infeasible


def test_a_coefficient_of_two_parameters_is_refused():
    x = cp.Variable(3, integer=True, name="x")
    both = cp.Parameter(name="one") + cp.Parameter(name="other")

    with pytest.raises(ValueError, match="one parameter only"):
        ParametricMilp(knapsack(both * x[0] + x[1] <= 1, x=x))


def test_bounds_that_cross_are_infeasible_and_the_next_ones_are_not():
    program = ParametricMilp(knapsack())
    values = {"value": np.ones(3), "limit": 20.0}

    for most, infeasible in ((1.0, False), (-1.0, True), (1.0, False)):
        answer = program.solve(
            {**values, "most": np.array([1.0, most, 1.0])}, TimeBudget(10.0), 0.01
        )
        assert answer.infeasible == infeasible
        assert (answer.values is None) == infeasible


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(("side", "sign"), [("upper", 1), ("lower", -1)])
def test_a_second_bound_on_one_side_of_a_variable_is_refused_by_its_name(
    side: str, sign: int, place: int
):
    x = cp.Variable(3, integer=True, name="x")
    again = sign * x[place] <= cp.Parameter(name="again")

    with pytest.raises(ValueError, match=f"variable x has more than one {side} bound"):
        ParametricMilp(knapsack(again, x=x))


def test_a_bound_whose_coefficient_is_a_parameter_is_refused():
    x = cp.Variable(3, integer=True, name="x")

    with pytest.raises(ValueError, match="coefficient may not be a parameter"):
        ParametricMilp(knapsack(cp.Parameter(name="factor") * x[0] <= 1, x=x))


def test_a_number_of_trades_is_proven_to_less_than_one_trade():
    assert 0 < choose_gap(COUNT_GRANULARITY) < 1
