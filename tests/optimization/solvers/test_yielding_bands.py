"""Bands that yield to restrictions: least violation, then least drift, and what holds each."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any

import numpy as np
import pytest

from optimization import search
from optimization.domain.certificate import Method, Proof
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Percent
from optimization.domain.option_values import BandRule, Direction, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import Edge, OutsideBand, PortfolioOutcome, Status
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance
from optimization.errors import (
    CertificationError,
    NoSolutionInTimeError,
    OptionsConflictError,
)
from optimization.milp import formulations
from optimization.milp.data import SolverAnswer
from tests.optimization.support.plans import PORTFOLIO, A, B, C, asked, changes, outside, proven
from tests.optimization.support.yielding_oracle import TooManyPlansError, answer
from tests.optimization.support.yielding_problems import Drawn, drawn

PROBLEMS = 700
CENT = Fraction(1, 100)


@pytest.mark.parametrize("seed", range(4))
def test_random_problems_have_the_least_violation_and_then_the_least_drift_of_all_plans(seed: int):
    seen: Counter[str] = Counter()
    for number in range(PROBLEMS // 4):
        problem = drawn(np.random.default_rng([seed, number]))
        try:
            best = answer(*problem)
        except TooManyPlansError:
            continue
        found = rebalance(*problem)
        assert (best is None) == (found.certificate is None), problem
        if best is None:
            seen["refused"] += 1
            continue
        said = proven(found)
        violation, objective = Fraction(said.violation), Fraction(said.objective)
        allowed = Fraction(0) if said.proof is Proof.OPTIMAL else CENT
        assert 0 <= violation - best.violation <= allowed, problem
        assert violation > best.violation or 0 <= objective - best.objective <= allowed, problem
        assert Fraction(said.violation_lower_bound) <= best.violation, problem
        assert_reported(problem, found, best.violation)
        seen["yields" if best.violation else "inside"] += 1
    assert min(seen["yields"], seen["inside"], seen["refused"]) > PROBLEMS / 4 / 8


def assert_reported(problem: Drawn, found: PortfolioOutcome, violation: Fraction) -> None:
    """The list of securities outside adds up to the violation, and the status says what it says."""
    said = proven(found)
    outside = found.outside_band
    assert sum(security.outside for security in outside) == said.violation, problem
    assert all(security.held_by and security.outside > 0 for security in outside), problem
    untouched = found.after == found.before
    expected = Status.NO_TRADE if violation else Status.IN_BAND
    assert found.status is (expected if untouched else Status.REBALANCED), problem


def test_the_lots_nearest_to_a_target_may_be_farther_from_the_band_than_others():
    # One lot is worth 400; the band is 100 to 350, the target 190. None violates by 100, one by 50.
    model, prices = {A: ("0.19", "0.09")}, {A: "400"}
    band = DriftBand(Decimal("0.09"), Decimal("0.16"))
    portfolio = Portfolio(PORTFOLIO, Decimal(1000), {}, {A: Decimal(400)})
    wide = Model("Model", (Target(A, Decimal("0.19"), band),), (PORTFOLIO,))

    found = rebalance(wide, portfolio, RebalanceOptions(bands=BandRule.YIELD))

    assert changes(found) == {A: 1}
    assert found.outside_band == (OutsideBand(A, Edge.ABOVE, Decimal("50.00"), ("whole_lots",)),)
    assert proven(found).method is Method.SEPARABLE
    assert asked(model, "1000", {}, prices).status is Status.INFEASIBLE


DEPOSIT: dict[str, Any] = {
    "targets": {A: ("0.4", "0.05"), B: ("0.3", "0.05"), C: ("0.2", "0.05")},
    "prices": {A: "10", B: "10", C: "10"},
    "direction": Direction.BUY_ONLY,
}


def test_a_deposit_that_cures_no_overweight_is_spent_by_the_cover():
    # Of 1,000: A is at 60 where 45 is the most; B lacks 5 of its target and C 10, for which there
    # are 10.
    found = asked(cash="100", held={A: "60", B: "20", C: "10"}, **DEPOSIT)

    assert found.status is Status.REBALANCED
    assert sum(changes(found).values()) == 10
    assert changes(found).keys() == {B, C}
    assert proven(found).method is Method.COVER
    assert outside(found) == {A: ("150.00", ("direction",))}
    assert proven(found).violation == proven(found).violation_lower_bound == 150


def test_money_that_is_too_little_for_the_bands_goes_where_it_cures_most_and_cash_is_named():
    found = asked(cash="20", held={A: "88", B: "0", C: "10"}, **DEPOSIT)

    assert sum(changes(found).values()) == 2
    amounts = outside(found)
    assert amounts[A] == ("430.00", ("direction",))
    assert all(held_by == ("direction", "cash_floor") for _, held_by in (amounts[B], amounts[C]))
    assert proven(found).violation == 430 + 250 + 50 - 20


def test_nothing_to_buy_with_is_no_trade_and_not_in_band():
    found = asked(cash="0", held={A: "60", B: "25", C: "15"}, **DEPOSIT)

    assert (found.status, found.transactions) == (Status.NO_TRADE, ())
    assert outside(found) == {A: ("150.00", ("direction",))}


def test_bands_that_are_said_to_hold_refuse_and_say_that_they_could_yield():
    found = asked(cash="100", held={A: "60", B: "20", C: "10"}, bands=BandRule.HARD, **DEPOSIT)

    assert found.refusal is not None
    assert {"option": "bands", "value": "YIELD"} in found.refusal.members["admits"]
    assert {"option": "direction"} in found.refusal.members["admits"]
    assert "with bands YIELD" in found.refusal.detail


def test_bands_yield_unsaid_only_where_a_plan_inside_all_exists_without_the_restrictions():
    # No whole lot of 400 is between 500 and 600, whoever may sell.
    target = {A: ("0.55", "0.05")}
    options = {"do_not_sell": frozenset({A})}

    refused = asked(target, "1000", {}, {A: "400"}, **options)
    said = asked(target, "1000", {}, {A: "400"}, bands=BandRule.YIELD, **options)

    assert refused.status is Status.INFEASIBLE
    assert changes(said) == {A: 1}
    assert outside(said) == {A: ("100.00", ("whole_lots",))}


def test_two_restrictions_on_one_security_hold_it_together():
    model = {A: ("0.4", "0.05"), B: ("0.4", "0.05")}
    found = asked(
        model,
        "100",
        {A: "50", B: "40"},
        {A: "10", B: "10"},
        frozen=frozenset({A}),
        do_not_sell=frozenset({A}),
    )

    assert outside(found) == {A: ("50.00", ("do_not_sell", "frozen"))}


def test_round_lots_hold_what_single_shares_would_bring_inside():
    found = asked({A: ("0.5", "0.05")}, "1000", {}, {A: "10"}, lots={A: Decimal(100)})

    assert outside(found) == {A: ("450.00", ("lots",))}
    assert found.status is Status.NO_TRADE


@pytest.mark.parametrize(
    ("option", "value"),
    [("maximum_trades", 1), ("turnover_cap", Decimal(400)), ("turnover_cap", Percent(Decimal(40)))],
)
def test_caps_on_trades_are_named_where_they_hold_securities(option: str, value: object):
    model, prices = {A: ("0.4", "0.05"), B: ("0.4", "0.05")}, {A: "10", B: "10"}

    found = asked(model, "1000", {}, prices, **{option: value})

    assert proven(found).violation in {350, 300}
    assert {held_by for _, held_by in outside(found).values()} == {(option,)}


def test_to_the_edge_of_its_band_a_security_moves_as_far_as_the_least_trade():
    # 6.00 above an edge of 550.00; the least trade is of 50.00.
    found = asked(
        {A: ("0.5", "0.05")},
        "444",
        {A: "556"},
        {A: "1"},
        scope=Scope.DRIFTED_TO_EDGE,
        minimum_value=Decimal(50),
    )

    assert changes(found) == {A: -50}


def test_a_position_that_moves_to_the_edge_may_stop_before_it_if_bands_yield():
    found = asked(
        {A: ("0.5", "0.05"), B: ("0.4", "0.05")},
        "0",
        {A: "800", B: "200"},
        {A: "1", B: "1"},
        scope=Scope.DRIFTED_TO_EDGE,
        turnover_cap=Decimal(100),
    )

    assert changes(found) == {A: -100} or sum(abs(k) for k in changes(found).values()) == 100
    assert proven(found).violation == 250 + 150 - 100


def test_bands_cannot_be_said_to_hold_or_yield_and_have_a_price():
    with pytest.raises(OptionsConflictError) as caught:
        RebalanceOptions(bands=BandRule.HARD, soft_band_price=Decimal(3))

    assert caught.value.options == ("bands", "soft_band_price")


def test_a_position_outside_a_soft_band_is_listed_with_the_price_as_the_reason():
    found = asked({A: ("0.5", "0.05")}, "1000", {}, {A: "400"}, soft_band_price=Decimal("0.1"))

    assert outside(found) == {A: ("50.00", ("soft_band_price",))}
    assert proven(found).violation == 50


def test_groups_and_cash_limits_never_yield():
    found = asked(
        {A: ("0.5", "0.05")},
        "500",
        {A: "50"},
        {A: "10"},
        frozen=frozenset({A}),
        cash_ceiling=Decimal(100),
        bands=BandRule.YIELD,
    )

    assert found.refusal is not None
    assert found.refusal.members["nearest_plan"]["gives"] == [
        {"option": "cash_ceiling", "by": "400.00"}
    ]
    assert not any(
        alternative["option"] == "bands" for alternative in found.refusal.members["admits"]
    )


def test_the_nearest_plan_keeps_the_least_trade():
    # The band asks for two shares of 10.00 more, the least trade is of 30.00; three are too many.
    found = asked(
        {A: ("0.5", "0.005")},
        "520",
        {A: "48"},
        {A: "10"},
        minimum_value=Decimal(30),
        bands=BandRule.HARD,
    )

    assert found.refusal is not None
    assert found.refusal.members["nearest_plan"]["transactions"] in (
        [],
        [{"transaction_type": "BUY", "security_id": A, "quantity": "3"}],
    )
    assert "minimum_value" in found.refusal.detail


def test_a_scope_without_money_is_named_and_the_cash_floor_is_not():
    found = asked(
        {A: ("0.4", "0.05"), B: ("0.3", "0.05"), C: ("0.25", "0.05")},
        "210",
        {A: "330", B: "349", C: "300"},
        {A: "10", B: "10", C: "10"},
        scope=Scope.DRIFTED_TO_TARGET,
        cash_floor=Percent(Decimal(2)),
    )

    assert found.refusal is not None
    assert "scope DRIFTED_TO_TARGET" in found.refusal.detail
    assert "cash_floor" not in str(found.refusal)
    assert found.refusal.members["admits"][0] == {"option": "scope", "value": "ALL"}


def test_the_plan_of_least_violation_is_kept_where_no_time_is_left_for_less_drift(
    monkeypatch: pytest.MonkeyPatch,
):
    solve = formulations.solve_coupled

    def first_alone(problem: formulations.CoupledMilpData, budget: object) -> Any:
        if problem.violation_most is None:
            return solve(problem, budget)
        nothing = SolverAnswer(None, 0.0, proven=False, infeasible=False, seconds=0.0)
        return nothing, None

    monkeypatch.setattr(formulations, "solve_coupled", first_alone)
    model, prices = {A: ("0.4", "0.05"), B: ("0.4", "0.05")}, {A: "10", B: "10"}

    found = asked(model, "1000", {}, prices, maximum_trades=1)

    assert proven(found).proof is Proof.FEASIBLE_TIME_LIMIT
    assert proven(found).violation == proven(found).violation_lower_bound == 350
    assert proven(found).gap >= 0


@pytest.mark.parametrize("answered", range(9))
def test_a_plan_is_kept_whenever_time_runs_out_on_the_way_to_the_base_that_its_costs_leave(
    monkeypatch: pytest.MonkeyPatch, answered: int
):
    solve, calls = formulations.solve_coupled, count()

    def until_late(problem: Any, budget: Any) -> Any:
        if next(calls) < answered:
            return solve(problem, budget)
        return SolverAnswer(None, 0.0, proven=False, infeasible=False, seconds=0.0), None

    monkeypatch.setattr(formulations, "solve_coupled", until_late)
    model, prices = {A: ("0.4", "0.05"), B: ("0.4", "0.05")}, {A: "10", B: "10"}
    given: dict[str, Any] = {"maximum_trades": 1, "cost_per_trade": Decimal(7)}

    try:
        found = asked(model, "1000", {}, prices, bands=BandRule.YIELD, **given)
    except NoSolutionInTimeError:
        assert answered < 3  # none inside the bands, the least violation, the least drift at it
        return

    assert proven(found).violation == sum(security.outside for security in found.outside_band)
    assert proven(found).violation >= proven(found).violation_lower_bound


@pytest.mark.parametrize("violation", ["349.99", "350.01"])
def test_a_plan_that_states_another_violation_than_it_has_is_never_returned(
    monkeypatch: pytest.MonkeyPatch, violation: str
):
    solve = search.solve_yielding

    def wrong(*given: Any, **named: Any) -> Any:
        plan = solve(*given, **named)
        assert plan is not None
        said = replace(plan.certificate, violation=Decimal(violation))
        return replace(plan, certificate=said)

    monkeypatch.setattr(search, "solve_yielding", wrong)
    model, prices = {A: ("0.4", "0.05"), B: ("0.4", "0.05")}, {A: "10", B: "10"}

    with pytest.raises(CertificationError):
        asked(model, "1000", {}, prices, maximum_trades=1)


def test_a_band_may_be_left_for_nothing():
    found = asked(
        {A: ("0.5", "0.01")},
        "1000",
        {},
        {A: "300"},
        soft_band_price=Decimal(0),
        turnover_cap=Decimal(1),
    )
    assert found.status is Status.NO_TRADE
