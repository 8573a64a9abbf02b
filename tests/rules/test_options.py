"""Rules as options: the narrower of both holds."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from optimization.domain.numbers import Percent
from optimization.domain.option_values import GroupBand
from optimization.domain.options import OptionOverrides, RebalanceOptions
from optimization.domain.portfolio import Portfolio
from serve_app.rules.options import (
    depends_on_value,
    narrow_by_value,
    narrow_options,
    narrow_own_options,
)
from storage.rules.rule import RestrictedSide, Rule, RuleKind, Severity


def rule(kind: RuleKind, name: str = "limit", **members: Any) -> Rule:
    for ids in ("security_ids", "portfolios"):
        if ids in members:
            members[ids] = frozenset(members[ids])
    return Rule(name, kind, Severity.BLOCK, as_option=True, **members)


CASH = rule(RuleKind.CASH_LEAST, part=Decimal("0.02"))
TURNOVER = rule(RuleKind.TURNOVER_MOST, amount=Decimal(500))
TRADE = rule(RuleKind.TRADE_MOST, amount=Decimal(500))
SHARE = rule(RuleKind.ORDER_SHARE_MOST, part=Decimal("0.1"))


@pytest.mark.parametrize(
    ("one", "given", "expected"),
    [
        (CASH, {}, {"cash_floor": Percent(Decimal("2.00"))}),
        (CASH, {"cash_floor": "3%"}, {"cash_floor": "3%"}),
        (CASH, {"cash_floor": "1%"}, {"cash_floor": Percent(Decimal("2.00"))}),
        # An amount and a percentage have no order yet: the caller's stays.
        (CASH, {"cash_floor": 100}, {"cash_floor": 100}),
        (TURNOVER, {}, {"turnover_cap": 500}),
        (TURNOVER, {"turnover_cap": 400}, {"turnover_cap": 400}),
        (TURNOVER, {"turnover_cap": 600}, {"turnover_cap": 500}),
        (TRADE, {"turnover_cap": 400}, {"turnover_cap": 400, "maximum_value": 500}),
        (TRADE, {"maximum_value": 400}, {"maximum_value": 400}),
        (TRADE, {"maximum_value": 600}, {"maximum_value": 500}),
        (SHARE, {}, {"volume_share": "0.1"}),
        (SHARE, {"volume_share": 0}, {"volume_share": 0}),
        (SHARE, {"volume_share": 1, "volumes": {"X": 9}}, {"volume_share": "0.1"}),
        (
            rule(RuleKind.RESTRICTED, side=RestrictedSide.BUY, security_ids=["X"]),
            {"do_not_buy": ["Y"]},
            {"do_not_buy": ["X", "Y"]},
        ),
        (
            rule(RuleKind.RESTRICTED, side=RestrictedSide.HOLD, security_ids=["X"]),
            {},
            {"groups": [GroupBand("rule limit", {"X"}, 0, 0)]},
        ),
        (
            rule(RuleKind.WEIGHT_LEAST, security_ids=["X"], part=Decimal("0.1")),
            {"groups": [GroupBand("own", {"X"}, 0, "0.3")]},
            {"groups": [GroupBand("own", {"X"}, 0, "0.3"), GroupBand("rule limit", {"X"}, "0.1")]},
        ),
    ],
)
def test_the_narrower_of_rule_and_option_holds(
    one: Rule, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = narrow_options(RebalanceOptions(**given), [one])

    assert replace(found, volumes={}) == RebalanceOptions(**expected)
    assert found.volumes == given.get("volumes", {})


def narrow(one: Rule, **given: Any) -> RebalanceOptions:
    """Narrow by a rule for a portfolio of 1,000 in cash."""
    options = narrow_options(RebalanceOptions(**given), [one])
    assert depends_on_value(options, [one])
    return narrow_by_value([one], options, Portfolio("P", 1000, {}, {}))


@pytest.mark.parametrize(
    ("one", "given", "expected"),
    [
        # 2 % of 1,000 are 20.
        (CASH, {"cash_floor": 19}, {"cash_floor": "2.00%"}),
        (CASH, {"cash_floor": 21}, {"cash_floor": 21}),
        # Of what costs leave 2 % may be less than 19.99, so it is held in currency.
        (CASH, {"cash_floor": "19.99", "cost_rate": "0.01"}, {"cash_floor": 20}),
        (CASH, {"cash_floor": 19, "cash_flow": -100}, {"cash_floor": 19}),
        (TURNOVER, {"turnover_cap": "51%"}, {"turnover_cap": 500}),
        (TURNOVER, {"turnover_cap": "49%"}, {"turnover_cap": "49%"}),
        (TURNOVER, {"turnover_cap": "51%", "cash_flow": -100}, {"turnover_cap": "51%"}),
        (TRADE, {"maximum_value": "51%"}, {"maximum_value": 500}),
        (TRADE, {"maximum_value": "49%"}, {"maximum_value": "49%"}),
    ],
)
def test_at_the_value_of_a_portfolio_the_narrower_of_an_amount_and_a_percentage_holds(
    one: Rule, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    others = {name: value for name, value in given.items() if name in {"cost_rate", "cash_flow"}}

    assert narrow(one, **given) == RebalanceOptions(**expected, **others)


def test_of_two_rules_in_different_units_the_narrower_holds_for_each_portfolio() -> None:
    part = rule(RuleKind.TURNOVER_MOST, "part", part=Decimal("0.4"))
    rules = [TURNOVER, part, rule(RuleKind.CASH_LEAST, "q", amount=Decimal(9), portfolios=["Q"])]
    options = narrow_options(RebalanceOptions(), rules[:2])

    small, large = (
        narrow_by_value(rules, options, Portfolio("P", cash, {}, {})) for cash in (10, 9999)
    )

    assert (small.turnover_cap, large.turnover_cap) == (Percent(Decimal("40.0")), Decimal(500))
    assert small.cash_floor == 0


def test_limits_of_one_unit_do_not_wait_for_the_value_of_a_portfolio() -> None:
    options = narrow_options(RebalanceOptions(cash_floor="1%", turnover_cap=600), [CASH, TURNOVER])

    assert not depends_on_value(options, [CASH, TURNOVER])


def test_a_rule_that_is_no_option_changes_none() -> None:
    checked = Rule("limit", RuleKind.CASH_LEAST, Severity.BLOCK, amount=Decimal(1))

    assert narrow_options(RebalanceOptions(), [checked]) == RebalanceOptions()


def test_options_of_a_portfolio_are_narrowed_by_the_rules_of_all_and_by_its_own() -> None:
    general = rule(RuleKind.TURNOVER_MOST, "all", amount=Decimal(500))
    of_p = rule(RuleKind.CASH_LEAST, "of p", amount=Decimal(50), portfolios=["P", "R"])
    options = narrow_options(RebalanceOptions(), [general])
    own = {"Q": OptionOverrides({"turnover_cap": Decimal(900), "fewest_trades": True})}

    narrowed = narrow_own_options(options, own, [general, of_p], ["P", "Q"])

    applied = {
        portfolio_id: overrides.apply_to(options) for portfolio_id, overrides in narrowed.items()
    }
    assert applied == {
        "P": RebalanceOptions(turnover_cap=500, cash_floor=50),
        "Q": RebalanceOptions(turnover_cap=500, fewest_trades=True),
    }


def test_a_group_that_all_have_is_not_given_to_a_portfolio_twice() -> None:
    most = rule(RuleKind.WEIGHT_MOST, security_ids=["X"], part=Decimal("0.1"))
    options = narrow_options(RebalanceOptions(), [most])
    own = {"P": OptionOverrides({"fewest_trades": True})}

    narrowed = narrow_own_options(options, own, [most], ["P"])

    assert len(narrowed["P"].apply_to(options).groups) == 1
