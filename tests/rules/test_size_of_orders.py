"""Rules on the size of an order, as options: a plan made under them passes them, to the share."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from optimization.domain.model import Model
from optimization.domain.option_values import BandRule
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance
from serve_app.rules.evaluation import RuleOutcome, RuleResult, evaluate_rules
from serve_app.rules.options import depends_on_value, narrow_by_value, narrow_options
from serve_app.rules.refusals import name_rules
from storage.rules.rule import Rule, RuleKind, Severity
from tests.optimization.support.generated_problems import with_options

PRICES = {"X": Decimal(10), "Y": Decimal(30)}
MODEL = Model({"X": 0.5, "Y": 0.3}, band=0.3)
START = Portfolio("P", 1000, {}, PRICES)
VOLUMES = {"X": Decimal(500), "Y": Decimal(100)}


def rule(kind: RuleKind, name: str = "limit", **members: Any) -> Rule:
    return Rule(name, kind, Severity.BLOCK, as_option=True, **members)


def plan_under(
    rules: list[Rule], model: Model, portfolio: Portfolio, options: RebalanceOptions
) -> PortfolioOutcome:
    narrowed = narrow_options(options, rules)
    if depends_on_value(narrowed, rules):
        narrowed = narrow_by_value(rules, narrowed, portfolio)
    (outcome,) = name_rules(rules, [rebalance(model, portfolio, narrowed)])
    return outcome


def bought(outcome: PortfolioOutcome) -> Mapping[str, int | Decimal]:
    return {transaction.security_id: transaction.quantity for transaction in outcome.transactions}


@pytest.mark.parametrize(
    ("one", "orders", "left"),
    [
        # Free, 50 of X are bought for 500, a tenth of its volume, and 10 of Y.
        (rule(RuleKind.TRADE_MOST, amount=Decimal(500)), {"X": 50, "Y": 10}, "0"),
        (rule(RuleKind.TRADE_MOST, amount=Decimal("499.99")), {"X": 49, "Y": 10}, "9.99"),
        (rule(RuleKind.TRADE_MOST, part=Decimal("0.5")), {"X": 50, "Y": 10}, "0"),
        (rule(RuleKind.TRADE_MOST, part=Decimal("0.4999")), {"X": 49, "Y": 10}, "9.9"),
        (rule(RuleKind.ORDER_SHARE_MOST, part=Decimal("0.1")), {"X": 50, "Y": 10}, "0"),
        (rule(RuleKind.ORDER_SHARE_MOST, part=Decimal("0.099")), {"X": 49, "Y": 9}, "0.001"),
    ],
)
def test_an_order_at_the_limit_is_made_and_one_share_above_it_is_prevented(
    one: Rule, orders: Mapping[str, int], left: str
) -> None:
    outcome = plan_under([one], MODEL, START, RebalanceOptions(volumes=VOLUMES))

    (result,) = evaluate_rules([one], outcome, VOLUMES)
    assert bought(outcome) == orders
    assert (result.outcome, f"{result.left}") == (RuleOutcome.PASS, left)


def test_a_security_without_a_volume_is_not_traded_and_the_rule_is_kept() -> None:
    one = rule(RuleKind.ORDER_SHARE_MOST, part=Decimal("0.1"))
    volumes = {"X": Decimal(500)}

    outcome = plan_under([one], MODEL, START, RebalanceOptions(volumes=volumes))

    (result,) = evaluate_rules([one], outcome, volumes)
    assert bought(outcome) == {"X": 50}
    assert (result.outcome, result.without_volume) == (RuleOutcome.PASS, ())


@pytest.mark.parametrize(
    "rules",
    [
        [rule(RuleKind.TRADE_MOST, amount=Decimal(100))],
        [rule(RuleKind.ORDER_SHARE_MOST, part=Decimal("0.01"))],
        # Neither without the other leaves a plan, so no option alone admits one.
        [
            rule(RuleKind.TRADE_MOST, "value", amount=Decimal(100)),
            rule(RuleKind.ORDER_SHARE_MOST, "share", part=Decimal("0.01")),
        ],
    ],
)
def test_a_refusal_names_the_rules_that_exclude_every_plan(rules: list[Rule]) -> None:
    narrow = Model({"X": 0.5, "Y": 0.3}, band=0.1)
    options = RebalanceOptions(volumes=VOLUMES, bands=BandRule.HARD)

    outcome = plan_under(rules, narrow, START, options)

    assert outcome.refusal is not None
    named = {rule["name"] for rule in outcome.refusal.members["rules"]}
    assert named <= {rule.name for rule in rules}
    assert named


def test_under_any_other_options_a_plan_passes_the_rules_that_narrowed_them() -> None:
    results: list[RuleResult] = []
    for number in range(120):
        rng = np.random.default_rng([3, number])
        given = with_options(rng)
        part = Decimal(int(rng.integers(1, 60))) / 100
        value: dict[str, Decimal] = {"part": part} if rng.random() < 0.5 else {"amount": part * 300}
        rules = [rule(RuleKind.TRADE_MOST, **value), rule(RuleKind.ORDER_SHARE_MOST, part=part)]
        rules = rules[: int(rng.integers(1, 3))]
        volumes = {s: Decimal(int(rng.integers(0, 60))) for s in given.portfolio.prices}
        more: dict[str, Any] = {"volumes": volumes, "minimum_value": 0, "minimum_shares": 0}
        asked = RebalanceOptions(**{**given_options(given.options), **more})
        outcome = plan_under(rules, given.model, given.portfolio, asked)
        results += evaluate_rules(rules, outcome, volumes)

    assert {result.outcome for result in results} == {RuleOutcome.PASS}
    assert len([result for result in results if result.value]) > 40


def given_options(options: RebalanceOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__dataclass_fields__}
