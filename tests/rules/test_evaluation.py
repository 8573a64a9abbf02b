"""Rules on a plan, exactly: value, limit and what is left."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from optimization.domain.drift_band import DriftBand
from optimization.domain.outcome import PortfolioOutcome, Refusal, Status
from optimization.domain.portfolio import PricedTarget
from optimization.errors import RuleError
from serve_app.rules.evaluation import RuleOutcome, evaluate_rules
from storage.rules.rule import RestrictedSide, Rule, RuleKind, Severity

BAND = DriftBand(Decimal("0.05"), Decimal("0.05"))
X = PricedTarget("X", Decimal("10.00"), Decimal("0.1"), BAND)
Y = PricedTarget("Y", Decimal("30.00"), Decimal("0.6"), BAND)


VOLUMES = {"X": Decimal(50), "Y": Decimal(1000)}


def plan(x: Any = 10, y: Any = 20) -> PortfolioOutcome:
    """A portfolio of 1,000 that had 5 X and 25 Y, and has these shares after its trades."""
    cash = Decimal(1000) - x * X.price - y * Y.price
    value, shares = Decimal(1000), ((5, 25), (x, y))
    before = Decimal(200)
    return PortfolioOutcome("P", Status.REBALANCED, value, before, cash, (X, Y), (), *shares)


def rule(kind: RuleKind, severity: Severity = Severity.BLOCK, **members: Any) -> Rule:
    ids = frozenset(members.pop("security_ids", ()))
    return Rule("limit", kind, severity, security_ids=ids, **members)


def evaluate(one: Rule, outcome: PortfolioOutcome) -> tuple[str, str, str, str]:
    (result,) = evaluate_rules([one], outcome, VOLUMES)
    return (
        result.outcome,
        *(f"{number:f}" for number in (result.value, result.limit, result.left)),
    )


TENTH = {"security_ids": ["X"], "part": Decimal("0.10")}


def test_a_weight_at_its_limit_passes_and_one_share_above_blocks() -> None:
    most = rule(RuleKind.WEIGHT_MOST, **TENTH)

    assert evaluate(most, plan(10)) == ("PASS", "0.1", "0.1", "0")
    assert evaluate(most, plan(11)) == ("BLOCK", "0.11", "0.1", "-0.01")


def test_a_warning_does_not_block() -> None:
    most = rule(RuleKind.WEIGHT_MOST, Severity.WARN, **TENTH)

    assert evaluate(most, plan(11))[0] is RuleOutcome.WARN


def test_the_least_excess_shows_below_zero_although_the_value_rounds_to_the_limit() -> None:
    most = rule(RuleKind.WEIGHT_MOST, **TENTH)
    above = plan(Decimal("10." + "0" * 20 + "1"))

    assert evaluate(most, above) == ("BLOCK", "0.1", "0.1", "-0.000000000001")


@pytest.mark.parametrize(
    ("members", "passes", "breaks"),
    [
        # What is bought of X is limited, what is held is not.
        (
            {"kind": RuleKind.RESTRICTED, "side": RestrictedSide.BUY, "security_ids": ["X"]},
            (plan(5), "0", "0", "0"),
            (plan(6), "10", "0", "-10"),
        ),
        (
            {"kind": RuleKind.RESTRICTED, "side": RestrictedSide.HOLD, "security_ids": ["X"]},
            (plan(0), "0", "0", "0"),
            (plan(1), "10", "0", "-10"),
        ),
        (
            {"kind": RuleKind.WEIGHT_LEAST, "security_ids": ["X", "Y"], "part": Decimal("0.7")},
            (plan(10, 20), "0.7", "0.7", "0"),
            (plan(10, 19), "0.67", "0.7", "-0.03"),
        ),
        (
            {"kind": RuleKind.TRADE_MOST, "amount": Decimal(150)},
            (plan(10, 20), "150", "150", "0"),
            (plan(10, 19), "180", "150", "-30"),
        ),
        (
            {"kind": RuleKind.TURNOVER_MOST, "part": Decimal("0.2")},
            (plan(10, 20), "200", "200", "0"),
            (plan(11, 20), "210", "200", "-10"),
        ),
        (
            {"kind": RuleKind.CASH_LEAST, "amount": Decimal(300)},
            (plan(10, 20), "300", "300", "0"),
            (plan(11, 20), "290", "300", "-10"),
        ),
        # Five of fifty X are bought; Y is sold by a far smaller part.
        (
            {"kind": RuleKind.ORDER_SHARE_MOST, "part": Decimal("0.1")},
            (plan(10, 20), "0.1", "0.1", "0"),
            (plan(11, 20), "0.12", "0.1", "-0.02"),
        ),
    ],
    ids=lambda value: value["kind"].value if isinstance(value, dict) else "",
)
def test_each_kind_passes_at_its_limit_and_breaks_beyond(
    members: dict[str, Any], passes: Any, breaks: Any
) -> None:
    one = rule(**members)

    assert evaluate(one, passes[0]) == ("PASS", *passes[1:])
    assert evaluate(one, breaks[0]) == ("BLOCK", *breaks[1:])


@pytest.mark.parametrize("volumes", [{}, {"X": Decimal(50)}, {"X": Decimal(50), "Y": Decimal(0)}])
def test_a_trade_without_a_volume_breaks_the_rule_by_nobody_knows_how_much(
    volumes: dict[str, Decimal],
) -> None:
    warning = rule(RuleKind.ORDER_SHARE_MOST, Severity.WARN, part=Decimal("0.1"))

    (untraded,) = evaluate_rules([warning], plan(5, 25), volumes)
    (result,) = evaluate_rules([warning], plan(5, 20), volumes)

    assert (untraded.outcome, untraded.left) == (RuleOutcome.PASS, Decimal("0.1"))
    assert (result.outcome, result.without_volume) == (RuleOutcome.WARN, ("Y",))
    assert (result.value, result.limit, result.left) == (None, Decimal("0.1"), None)


@pytest.mark.parametrize(
    ("kind", "part", "limit"),
    [(RuleKind.TURNOVER_MOST, "0.2", "200"), (RuleKind.TRADE_MOST, "0.15", "150")],
)
def test_trades_are_parts_of_market_value_before_costs_as_in_their_options(
    kind: RuleKind, part: str, limit: str
) -> None:
    costly = replace(plan(10, 20), cost=Decimal(5))

    assert evaluate(rule(kind, part=Decimal(part)), costly) == ("PASS", limit, limit, "0")


def test_a_portfolio_without_a_plan_has_no_results() -> None:
    refusal = Refusal("infeasible", "It is no use.", {})
    refused = replace(plan(), status=Status.INFEASIBLE, refusal=refusal)

    assert evaluate_rules([rule(RuleKind.WEIGHT_MOST, **TENTH)], refused) == []


def test_a_rule_for_other_portfolios_is_not_evaluated() -> None:
    other = rule(RuleKind.WEIGHT_MOST, portfolios=frozenset({"Q"}), **TENTH)

    assert evaluate_rules([other], plan()) == []


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"kind": RuleKind.RESTRICTED, "security_ids": ["X"]}, "side"),
        ({"kind": RuleKind.RESTRICTED, "side": RestrictedSide.BUY}, "security_ids"),
        ({"kind": RuleKind.WEIGHT_MOST, "security_ids": ["X"]}, "part"),
        ({"kind": RuleKind.TURNOVER_MOST}, "amount"),
        ({"kind": RuleKind.CASH_LEAST, "part": Decimal("0.1"), "amount": Decimal(1)}, "amount"),
        ({"kind": RuleKind.ORDER_SHARE_MOST}, "part"),
        (
            {"kind": RuleKind.CASH_LEAST, "amount": Decimal(1), "security_ids": ["X"]},
            "security_ids",
        ),
    ],
)
def test_a_member_that_does_not_belong_to_the_kind_is_refused_by_name(
    members: dict[str, Any], field: str
) -> None:
    with pytest.raises(RuleError) as caught:
        rule(**members)

    assert caught.value.field == (field,)
