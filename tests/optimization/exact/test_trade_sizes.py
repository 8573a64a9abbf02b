"""The greatest size of a single trade: exact limits, what they leave, and how they are named."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from optimization.domain.certificate import Method
from optimization.domain.numbers import Percent
from optimization.domain.option_values import BandRule, Direction, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome, Status
from optimization.domain.portfolio import Portfolio, price_targets
from optimization.engine import rebalance_all
from optimization.errors import OptionsConflictError, RuleError
from tests.optimization.support import by_hand
from tests.optimization.support.plans import A, B, C, X, asked, changes, outside, proven

HALF = {A: ("0.5", "0.5")}
TEN = {A: "10", X: "10"}


@pytest.mark.parametrize(
    ("options", "bought"),
    [
        ({"maximum_value": Decimal(500)}, 50),
        ({"maximum_value": Decimal("499.99")}, 49),
        ({"maximum_value": Percent(Decimal(50))}, 50),
        ({"maximum_value": Percent(Decimal("49.999"))}, 49),
        ({"maximum_value": Decimal(0)}, 0),
        ({"volume_share": Decimal("0.1"), "volumes": {A: 500}}, 50),
        ({"volume_share": Decimal("0.1"), "volumes": {A: Decimal("499.999")}}, 49),
        ({"volume_share": Decimal("0.1"), "volumes": {A: 0}}, 0),
        ({"volume_share": Decimal("0.1"), "volumes": {B: 500}}, 0),
        ({"volume_share": 1, "volumes": {A: 20}, "maximum_value": Decimal(300)}, 20),
        ({"volume_share": 1, "volumes": {A: 90}, "maximum_value": Decimal(300)}, 30),
    ],
)
def test_a_trade_is_as_large_as_the_narrower_limit_and_no_share_larger(
    options: dict[str, Any], bought: int
):
    for targets, cash, held in (
        (HALF, "1000", {A: "0"}),
        ({A: ("0.5", "0.5"), B: ("0.1", "0.1")}, "1000", {A: "0"}),
    ):
        found = asked(targets, cash, held, TEN | {B: "1"}, **{**options, "frozen": {B}})
        assert changes(found).get(A, 0) == bought
        assert proven(found).method is Method.SEPARABLE
    sold = asked(HALF, "0", {A: "100"}, TEN, **options)
    assert changes(sold).get(A, 0) == -bought


def test_a_percentage_is_of_market_value_before_costs():
    # 10 % of 1,000 are ten shares; of the 700 that three fees leave they would be seven.
    found = asked(
        {A: ("0.3", "0.3"), B: ("0.3", "0.3"), C: ("0.3", "0.3")},
        "1000", {}, {A: "10", B: "10", C: "10"},
        maximum_value=Percent(Decimal(10)), cost_per_trade=Decimal(100),
    )  # fmt: skip

    assert found.cost == 300
    assert changes(found) == {A: 10, B: 10, C: 10}


def test_lots_beyond_the_maximum_of_a_trade_are_traded_by_the_next_requests():
    shares, held = [], Decimal(0)
    for _ in range(4):
        found = asked(
            {A: ("0.5", "0.05")},
            str(1000 - 10 * held),
            {A: str(held)},
            TEN,
            maximum_value=Decimal(200),
        )
        held = Decimal(found.after[0])
        shares.append(int(held))

    assert shares == [20, 40, 50, 50]


@pytest.mark.parametrize("bands", [None, *BandRule])
def test_a_holding_outside_the_model_is_sold_as_far_as_a_trade_may_go(bands: BandRule | None):
    found = asked(HALF, "500", {A: "50", X: "30"}, TEN, maximum_value=Decimal(199), bands=bands)

    assert changes(found)[X] == -19
    assert outside(found) == {X: ("110.00", ("maximum_value",))}


@pytest.mark.parametrize("bands", [None, *BandRule])
@pytest.mark.parametrize("security", [A, X])
def test_a_short_position_is_bought_back_as_far_as_a_trade_may_go(
    bands: BandRule | None, security: str
):
    options: dict[str, Any] = {"volume_share": "0.1", "volumes": {security: 40}, "bands": bands}

    found = asked({A: ("0", "0.5")}, "1000", {security: "-10"}, TEN, **options)

    assert changes(found) == {security: 4}
    assert outside(found) == {security: ("60.00", ("volume_share",))}


@pytest.mark.parametrize(
    ("most", "sold"), [("2500", -250), ("2499", -200), ("1999", -100), ("999", 0)]
)
def test_an_odd_remainder_is_sold_only_if_all_of_the_holding_is_one_trade(most: str, sold: int):
    found = asked({}, "0", {X: "250"}, TEN, lots={X: 100}, maximum_value=Decimal(most))

    assert changes(found).get(X, 0) == sold


@pytest.mark.parametrize(
    ("options", "traded"),
    [
        ({"minimum_shares": 20, "maximum_value": Decimal(200)}, {A: 20, X: -20}),
        ({"minimum_shares": 20, "maximum_value": Decimal(199)}, {}),
        ({"minimum_value": Percent(Decimal(15)), "maximum_value": Decimal(199)}, {A: 19, X: -19}),
        ({"minimum_value": Percent(Decimal(16)), "maximum_value": Decimal(199)}, {}),
    ],
)
def test_a_trade_too_large_for_one_limit_and_too_small_for_the_other_is_not_made(
    options: dict[str, Any], traded: dict[str, int]
):
    # Worth 1,250.
    found = asked({A: ("0.5", "0.05")}, "950", {X: "30"}, TEN, **options)

    assert found.status is (Status.REBALANCED if traded else Status.NO_TRADE)
    assert changes(found) == traded
    assert set(outside(found)) == {A, X}


def test_a_holding_outside_the_model_that_no_trade_fits_is_kept_where_bands_hold():
    limits: dict[str, Any] = {"minimum_shares": 20, "maximum_value": Decimal(199)}

    found = asked({}, "0", {X: "30"}, TEN, bands=BandRule.HARD, **limits)

    assert found.status is Status.NO_TRADE
    assert outside(found) == {X: ("300.00", ("minimum_shares", "maximum_value"))}


def test_fixed_limits_that_no_trade_can_keep_are_refused():
    with pytest.raises(OptionsConflictError, match="maximum value is below the minimum value"):
        RebalanceOptions(minimum_value=100, maximum_value=99)
    with pytest.raises(RuleError, match="volume_share"):
        RebalanceOptions(volume_share="1.01")
    with pytest.raises(RuleError, match="maximum_value"):
        RebalanceOptions(maximum_value=-1)
    with pytest.raises(RuleError, match="write '5%'"):
        RebalanceOptions(maximum_value=0.05)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"maximum_value": Decimal(100)}, "maximum_value"),
        ({"volume_share": "0.5", "volumes": {A: 10}}, "volume_share"),
        ({"volume_share": "0.5", "volumes": {A: 10}, "maximum_value": 1000}, "volume_share"),
        ({"volume_share": 1, "volumes": {A: 90}, "maximum_value": 100}, "maximum_value"),
        ({"maximum_value": Decimal(100), "direction": Direction.SELL_ONLY}, "direction"),
    ],
)
def test_the_limit_is_named_where_it_binds_and_where_it_leaves_no_plan(
    options: dict[str, Any], name: str
):
    bound = asked(HALF, "1000", {}, TEN, **options)
    refused = asked({A: ("0.5", "0.1")}, "1000", {}, TEN, bands=BandRule.HARD, **options)

    assert [binding.constraint for binding in proven(bound).binding] == [name]
    assert refused.refusal is not None
    (security,) = refused.refusal.members["securities"]
    assert security["option"] == name
    most = changes(bound).get(A, 0)
    assert security["smallest_band"]["lots"] == str(most)
    nearest = refused.refusal.members["nearest_plan"]
    quantities = [transaction["quantity"] for transaction in nearest["transactions"]]
    assert quantities == [str(most)] * (most > 0)
    if len(options.keys() - {"volumes"}) == 1:
        assert {"option": name} in refused.refusal.members["admits"]


def test_scopes_move_what_drifted_as_far_as_a_trade_may_go():
    for scope in (Scope.DRIFTED_TO_TARGET, Scope.DRIFTED_TO_EDGE):
        found = asked(
            {A: ("0.5", "0.05"), B: ("0.3", "0.05")}, "720", {B: "28", X: "-5"}, TEN | {B: "10"},
            scope=scope, maximum_value=Decimal(30),
        )  # fmt: skip
        assert changes(found) == {A: 3, X: 3}, scope


def test_every_portfolio_of_many_has_the_limit_of_its_own_market_value():
    prices = {A: Decimal(10), X: Decimal(7)}
    model = by_hand.model("0.9", A="0.9")
    accounts = [
        Portfolio(f"{n:024d}", Decimal(100 * n), {X: Decimal(40)} if n % 2 else {}, prices)
        for n in range(1, 41)
    ]
    options = RebalanceOptions(maximum_value="10%")

    found = rebalance_all(price_targets(model, prices), accounts, options)

    for account, outcome in zip(accounts, found, strict=True):
        assert isinstance(outcome, PortfolioOutcome)
        most = account.market_value / 10
        assert outcome.after[0] == most // 10
        sold = min(account.holdings.get(X, 0), most // 7)
        assert changes(outcome).get(X, 0) == -sold
        alone = rebalance_all(price_targets(model, prices), [account], options)
        assert alone == [outcome]


def test_limits_beyond_any_number_of_machines_limit_nothing():
    free = asked(HALF, "1000", {}, TEN)
    for most in (Decimal(10) ** 30, Percent(Decimal(10) ** 25)):
        assert asked(HALF, "1000", {}, TEN, maximum_value=most).after == free.after
    huge = {"volume_share": 1, "volumes": {A: Decimal(10) ** 30}}
    assert asked(HALF, "1000", {}, TEN, **huge).after == free.after


def test_lifted_limits_are_the_defaults_again():
    options = RebalanceOptions(maximum_value="5%", volume_share="0.1", volumes={A: 10})

    assert options.restrictions == ("maximum_value", "volume_share")
    assert options.renews
    assert options.restricts
    assert not options.couples
    assert options.lift(options.restrictions) == replace(RebalanceOptions(), volumes={A: 10})
