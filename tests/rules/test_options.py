"""Rules as options: the narrower of both holds."""

from decimal import Decimal
from typing import Any

import pytest

from optimization.domain.numbers import Percent
from optimization.domain.option_values import GroupBand
from optimization.domain.options import OptionOverrides, RebalanceOptions
from serve_app.rules.options import narrow_options, narrow_own_options
from storage.rule import RestrictedSide, Rule, RuleKind, Severity


def rule(kind: RuleKind, name: str = "limit", **members: Any) -> Rule:
    for ids in ("security_ids", "portfolios"):
        if ids in members:
            members[ids] = frozenset(members[ids])
    return Rule(name, kind, Severity.BLOCK, as_option=True, **members)


CASH = rule(RuleKind.CASH_LEAST, part=Decimal("0.02"))
TURNOVER = rule(RuleKind.TURNOVER_MOST, amount=Decimal(500))


@pytest.mark.parametrize(
    ("one", "given", "expected"),
    [
        (CASH, {}, {"cash_floor": Percent(Decimal("2.00"))}),
        (CASH, {"cash_floor": "3%"}, {"cash_floor": "3%"}),
        (CASH, {"cash_floor": "1%"}, {"cash_floor": Percent(Decimal("2.00"))}),
        # An amount and a percentage have no order: the caller's stays, the plan is checked.
        (CASH, {"cash_floor": 100}, {"cash_floor": 100}),
        (TURNOVER, {}, {"turnover_cap": 500}),
        (TURNOVER, {"turnover_cap": 400}, {"turnover_cap": 400}),
        (TURNOVER, {"turnover_cap": 600}, {"turnover_cap": 500}),
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
    assert narrow_options(RebalanceOptions(**given), [one]) == RebalanceOptions(**expected)


def test_a_rule_that_is_no_option_changes_none() -> None:
    checked = Rule("limit", RuleKind.CASH_LEAST, Severity.BLOCK, amount=Decimal(1))

    assert narrow_options(RebalanceOptions(), [checked]) == RebalanceOptions()


def test_options_of_a_portfolio_are_narrowed_by_the_rules_of_all_and_by_its_own() -> None:
    general = rule(RuleKind.TURNOVER_MOST, "all", amount=Decimal(500))
    of_p = rule(RuleKind.CASH_LEAST, "of p", amount=Decimal(50), portfolios=["P", "R"])
    options = narrow_options(RebalanceOptions(), [general])
    own = {"Q": OptionOverrides({"turnover_cap": Decimal(900), "fewest_trades": True})}

    narrowed = narrow_own_options(options, own, [general, of_p], ["P", "Q"])

    applied = {each: overrides.apply_to(options) for each, overrides in narrowed.items()}
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
