"""Effect of each option, combinations of options, and refusal of contradictions."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings

from optimization.domain.certificate import Method, Proof
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Percent
from optimization.domain.option_values import BandRule, Direction, GroupBand, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome, Side, Status
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance
from optimization.errors import OptionsConflictError, RuleError
from tests.optimization.support.consistency import TooManyPlansError, right_plans
from tests.optimization.support.options_oracle import TooManyError, best_with_options
from tests.optimization.support.random_problems import problems_with_options

A, B, C, X = (letter * 24 for letter in "ABCX")
PORTFOLIO = "P" * 24
PRICES = {A: Decimal(10), B: Decimal(20), C: Decimal(5), X: Decimal(4)}


def model(drift: str = "0.2") -> Model:
    band = DriftBand(Decimal(drift), Decimal(drift))
    weights = {A: "0.4", B: "0.3", C: "0.2"}
    targets = tuple(Target(name, Decimal(weight), band) for name, weight in weights.items())
    return Model("Model", targets, (PORTFOLIO,))


def make_portfolio(cash: str = "0", **shares: str) -> Portfolio:
    holdings = {name * 24: Decimal(count) for name, count in shares.items()}
    return Portfolio(PORTFOLIO, Decimal(cash), holdings, PRICES)


def answer(portfolio: Portfolio, drift: str = "0.2", **options: Any) -> PortfolioOutcome:
    return rebalance(model(drift), portfolio, RebalanceOptions(**options))


def trades_of(result: PortfolioOutcome) -> dict[str, int | Decimal]:
    sign = {Side.BUY: 1, Side.SELL: -1}
    return {t.security_id[0]: sign[t.side] * t.quantity for t in result.transactions}


def limits(result: PortfolioOutcome) -> dict[str, str]:
    assert result.refusal is not None
    return {limit["option"]: limit["short_by"] for limit in result.refusal.members["limits"]}


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems_with_options())
def test_any_options_together_have_the_objective_of_exhaustive_enumeration(
    problem: tuple[Model, Portfolio, RebalanceOptions],
):
    model, portfolio, options = problem
    if options.soft_band_price is None:
        options = replace(options, bands=BandRule.HARD)
    problem = model, portfolio, options
    result = rebalance(*problem)
    try:
        best = best_with_options(*problem, Fraction(result.cost))
        right = [*right_plans(*problem)] if problem[2].has_costs else None
    except (TooManyError, TooManyPlansError):
        reject()

    if result.status is Status.INFEASIBLE:
        assert not (right if problem[2].has_costs else best is not None)
        return
    assert result.certificate is not None
    assert best is not None
    gap = Fraction(result.certificate.objective) - best
    if result.certificate.proof is Proof.FIXED_POINT_CYCLE:
        assert 0 <= gap <= Fraction(result.certificate.gap)
        return
    assert 0 <= gap <= Fraction(1, 100)
    assert gap == 0 or result.certificate.method is Method.MILP
    assert Fraction(result.certificate.lower_bound) <= best


def test_a_cash_floor_in_percent_is_of_market_value():
    result = answer(make_portfolio("1000"), cash_floor=Percent(Decimal(25)))

    assert result.cash_after is not None
    assert result.cash_after >= 250


def test_a_cash_ceiling_invests_what_is_above_it():
    result = answer(make_portfolio("1000"), cash_ceiling=Decimal(40))

    assert result.cash_after is not None
    assert 0 <= result.cash_after <= 40


def test_a_cash_flow_is_in_market_value_and_cash_before_anything_else():
    result = answer(make_portfolio("900"), cash_flow=Decimal(100))

    assert (result.market_value, result.cash_before) == (1000, 1000)
    assert trades_of(result) == {"A": 40, "B": 15, "C": 40}


def test_a_withdrawal_is_raised_by_selling():
    result = answer(make_portfolio("100", A="40", B="15", C="40"), cash_flow=Decimal(-200))

    assert result.market_value == 800
    assert result.cash_after is not None
    assert result.cash_after >= 0
    assert all(t.side is Side.SELL for t in result.transactions)


def test_buy_only_and_sell_only_do_as_they_say():
    mixed = make_portfolio("300", A="50", B="10")

    assert trades_of(answer(mixed, direction=Direction.BUY_ONLY)) == {"B": 5, "C": 40}
    assert trades_of(answer(mixed, direction=Direction.SELL_ONLY, drift="0.3")) == {"A": -10}


def test_securities_may_be_kept_from_buying_selling_or_any_trade():
    mixed = make_portfolio("300", A="50", B="10")

    assert "B" not in trades_of(answer(mixed, do_not_buy=frozenset({B})))
    assert "A" not in trades_of(answer(mixed, do_not_sell=frozenset({A})))
    assert trades_of(answer(mixed, frozen=frozenset({A, B}))) == {"C": 40}


def test_a_holding_outside_the_model_that_may_not_be_sold_is_kept():
    result = answer(make_portfolio("1000", X="7"), do_not_sell=frozenset({X}))

    assert "X" not in trades_of(result)
    assert result.after[-1] == 7


def test_a_restriction_that_keeps_a_security_out_of_its_band_is_named_with_the_band_it_needs():
    kept = frozenset({A})
    result = answer(
        make_portfolio("200", A="80"), drift="0.05", do_not_sell=kept, bands=BandRule.HARD
    )

    assert result.refusal is not None
    [entry] = result.refusal.members["securities"]
    assert (entry["security_id"], entry["option"]) == (A, "do_not_sell")
    assert entry["smallest_band"] == {"low_drift": "0.05", "high_drift": "0.4", "lots": "80"}


def test_only_what_is_out_of_its_band_is_traded_back_to_target_or_to_the_edge():
    drifted = make_portfolio(
        "100", A="52", B="10", C="36"
    )  # of 1000: 52 %, 20 %, 18 % of 40, 30, 20

    to_target = answer(drifted, drift="0.05", scope=Scope.DRIFTED_TO_TARGET)
    to_edge = answer(drifted, drift="0.05", scope=Scope.DRIFTED_TO_EDGE)

    assert trades_of(to_target) == {"A": -12, "B": 5}
    assert trades_of(to_edge) == {"A": -7, "B": 3}


def test_round_lots_and_fractional_lots_are_traded_whole():
    result = answer(make_portfolio("1000"), lots={A: Decimal(25), C: Decimal("0.5")})

    assert trades_of(result) == {"A": 50, "B": 15, "C": 40} or trades_of(result)["A"] == 25
    assert result.after[0] in {25, 50}


def test_a_fractional_lot_comes_closer_than_a_share():
    portfolio = Portfolio(PORTFOLIO, Decimal(1001), {}, PRICES)

    whole = rebalance(model(), portfolio)
    parts = rebalance(model(), portfolio, RebalanceOptions(lots={A: Decimal("0.01")}))

    assert parts.after[0] == Decimal("40.04")
    assert whole.certificate is not None
    assert parts.certificate is not None
    assert parts.certificate.objective < whole.certificate.objective


def test_a_trade_below_the_minimum_does_not_happen():
    near = make_portfolio("101", A="39", B="16", C="38")

    # A lacks one share: two are nearer to its target than none. B has one too many: it stays.
    assert trades_of(answer(near, minimum_shares=Decimal(2))) == {"A": 2, "C": 2}
    assert trades_of(answer(near, minimum_value=Decimal(15))) == {"A": 2, "B": -1, "C": 3}


def test_the_number_of_trades_is_bounded_and_the_best_ones_are_taken():
    result = answer(make_portfolio("1000"), drift="0.4", maximum_trades=2)

    assert trades_of(result) == {"A": 40, "B": 15}
    assert result.certificate is not None
    assert "maximum_trades" in [binding.constraint for binding in result.certificate.binding]


def test_turnover_is_capped():
    result = answer(make_portfolio("1000"), drift="0.4", turnover_cap=Percent(Decimal(50)))

    assert result.turnover <= 500


def test_costs_are_paid_from_cash():
    result = answer(
        make_portfolio("1000"),
        cost_rate=Decimal("0.01"),
        cost_per_trade=Decimal(2),
        cash_floor=Decimal(85),
    )

    spent = sum((PRICES[t.security_id] * t.quantity for t in result.transactions), Decimal(0))
    assert result.cost == spent / 100 + 2 * len(result.transactions)
    assert result.cash_after == 1000 - spent - result.cost
    assert result.cash_after >= 85


def test_costs_in_the_objective_leave_trades_undone_that_cost_more_than_they_bring():
    near = make_portfolio("101", A="39", B="16", C="38")

    result = answer(near, cost_per_trade=Decimal(15), costs_in_objective=True)

    assert trades_of(result) == {"B": -1} or "A" not in trades_of(result)
    assert result.certificate is not None


def test_a_group_stays_inside_its_bounds():
    group = GroupBand("tech", frozenset({A, B}), Decimal("0.2"), Decimal("0.5"))

    result = answer(make_portfolio("1000"), groups=(group,))

    assert result.after[0] * 10 + result.after[1] * 20 <= 500


def test_soft_bands_make_an_answer_of_what_would_be_infeasible():
    narrow = make_portfolio("200", A="80")

    hard = answer(narrow, drift="0.05", do_not_sell=frozenset({A}), bands=BandRule.HARD)
    soft = answer(narrow, drift="0.05", do_not_sell=frozenset({A}), soft_band_price=Decimal(10))

    assert hard.status is Status.INFEASIBLE
    assert soft.status is Status.REBALANCED
    assert soft.after[0] == 80


def test_fewest_trades_breaks_ties_of_drift():
    # Freeing 10 costs 10 whether one lot of A or two of C go down.
    tight = make_portfolio("0", A="41", B="15", C="42")
    options = {"cash_floor": Decimal(110), "turnover_cap": Decimal(1000)}

    result = answer(tight, fewest_trades=True, **options)
    plain = answer(tight, **options)

    assert result.certificate is not None
    assert plain.certificate is not None
    assert result.certificate.objective == plain.certificate.objective
    assert len(result.transactions) <= len(plain.transactions)


def test_limits_that_exclude_each_other_are_named_with_their_amounts_and_a_nearest_plan():
    result = answer(make_portfolio("1000"), drift="0.05", maximum_trades=2, bands=BandRule.HARD)

    assert limits(result) == {"maximum_trades": "1"}
    assert result.refusal is not None
    assert len(result.refusal.members["nearest_plan"]["transactions"]) <= 2


def test_a_turnover_cap_too_low_for_the_bands_says_by_how_much():
    result = answer(
        make_portfolio("1000"), drift="0.05", turnover_cap=Decimal(700), bands=BandRule.HARD
    )

    assert limits(result) == {"turnover_cap": "60.00"}


@pytest.mark.parametrize(
    "options",
    [
        {"cash_floor": Decimal(10), "cash_ceiling": Decimal(5)},
        {"cash_floor": Percent(Decimal(10)), "cash_ceiling": Percent(Decimal(5))},
        {"costs_in_objective": True},
        {"turnover_cap": Decimal(5), "minimum_value": Decimal(10)},
    ],
)
def test_contradictory_options_are_refused_before_anything_is_solved(options: dict[str, Any]):
    with pytest.raises(OptionsConflictError):
        RebalanceOptions(**options)


def test_two_groups_of_one_name_are_refused():
    group = GroupBand("tech", frozenset({A}))
    with pytest.raises(OptionsConflictError, match="same name"):
        RebalanceOptions(groups=(group, group))


def group(name: str, *ids: str, low: str = "0", high: str = "1") -> GroupBand:
    return GroupBand(name, frozenset(ids), Decimal(low), Decimal(high))


def test_a_group_that_asks_for_more_than_a_group_around_it_allows_is_refused():
    chips, tech = group("chips", A, low="0.3"), group("tech", A, B, high="0.2")

    for groups in ((chips, tech), (tech, chips)):
        with pytest.raises(OptionsConflictError) as caught:
            RebalanceOptions(groups=groups)
        assert str(caught.value) == (
            "group chips is at least 0.3, but group tech, "
            "which contains all its securities, is at most 0.2"
        )
        assert caught.value.options == ("groups",)
    RebalanceOptions(groups=(chips, group("tech", A, B, high="0.3")))
    RebalanceOptions(groups=(chips, group("banks", B, C, high="0.2")))
    RebalanceOptions(groups=(group("chips", A, B, low="0.3"), group("tech", A, high="0.2")))


def test_separate_groups_that_ask_for_more_than_there_is_are_refused():
    low, high = group("bonds", A, low="0.6"), group("shares", B, C, low="0.35", high="0.9")

    with pytest.raises(OptionsConflictError) as caught:
        RebalanceOptions(groups=(low, high), cash_floor=Percent(Decimal("5.5")))

    assert str(caught.value) == (
        "bonds and shares and the cash floor together take at least 1.005 of market value"
    )
    RebalanceOptions(groups=(low, high), cash_floor=Percent(Decimal(5)))
    RebalanceOptions(groups=(low, high), cash_floor=Decimal(1_000_000))
    more = group("more", B, low="0.45")
    RebalanceOptions(groups=(low, high, more))  # may be of the shares
    with pytest.raises(OptionsConflictError, match=r"^bonds and more together take"):
        RebalanceOptions(groups=(low, more, group("any", A, B, C)))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"cash_floor": Decimal(-1)}, "cash_floor"),
        ({"cash_ceiling": Percent(Decimal(101))}, "cash_ceiling"),
        ({"cash_flow": Decimal("NaN")}, "cash_flow"),
        ({"minimum_shares": Decimal(-1)}, "minimum_shares"),
        ({"maximum_trades": -1}, "maximum_trades"),
        ({"cost_rate": Decimal("0.6")}, "cost_rate"),
        ({"lots": {A: Decimal(0)}}, "lots"),
        ({"volumes": {A: Decimal(-1)}}, "volumes"),
        ({"volumes": {A: Decimal("NaN")}}, "volumes"),
        ({"volumes": {" blank": Decimal(1)}}, "volumes"),
        ({"frozen": frozenset({" blank"})}, "frozen"),
        ({"soft_band_price": Decimal(-1)}, "soft_band_price"),
        ({"time_limit_s": 0.0}, "time_limit_s"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], field: str):
    with pytest.raises(RuleError) as caught:
        RebalanceOptions(**options)

    assert caught.value.field[0] == field


def test_only_trades_that_happen_cost_anything():
    # Selling two of A leaves 68.50. What is above 66 may be spent on one of C, not on costs alone.
    band = DriftBand(Decimal("0.1"), Decimal("0.1"))
    weights = {A: "0.1", B: "0.2", C: "0.005"}
    targets = tuple(Target(name, Decimal(weight), band) for name, weight in weights.items())
    options = RebalanceOptions(cash_ceiling=Decimal(66), cost_per_trade=Decimal("1.5"))

    result = rebalance(
        Model("Model", targets, (PORTFOLIO,)), make_portfolio("50", A="3", B="1"), options
    )

    assert trades_of(result) == {"A": -2, "C": 1}
    assert result.cash_after == 62


def test_a_portfolio_without_any_security_has_only_its_cash():
    empty = Model("Model", (), (PORTFOLIO,))

    kept = rebalance(empty, make_portfolio("100"), RebalanceOptions(cash_ceiling=Decimal(100)))
    above = rebalance(empty, make_portfolio("100"), RebalanceOptions(cash_ceiling=Decimal(60)))

    assert (kept.status, kept.cash_after) == (Status.IN_BAND, 100)
    assert limits(above) == {"cash_ceiling": "40.00"}
    soft = rebalance(empty, make_portfolio("100"), RebalanceOptions(soft_band_price=Decimal(1)))
    assert (soft.status, soft.cash_after) == (Status.IN_BAND, 100)
