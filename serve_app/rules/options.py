"""Rules as options: the narrower of a rule and the option of a rebalance holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, TypeAlias

from optimization import (
    EXACT,
    GroupBand,
    OptionOverrides,
    OverridesByPortfolio,
    Percent,
    Portfolio,
    RebalanceOptions,
)
from storage.rules.rule import RestrictedSide, Rule, RuleKind

LIMITED: Final = {
    RuleKind.TRADE_MOST: "maximum_value",
    RuleKind.TURNOVER_MOST: "turnover_cap",
    RuleKind.CASH_LEAST: "cash_floor",
}
"""Option of each kind that limits an amount."""
OPTIONS: Final = {**LIMITED, RuleKind.ORDER_SHARE_MOST: "volume_share"}
"""Option of each kind that has one of its own."""
NARROWED: Final = ("do_not_buy", "groups", *OPTIONS.values())
Amount: TypeAlias = Decimal | Percent
NO_FLOOR: Final = Decimal(0)


def group_name(rule: Rule) -> str:
    """Return the name of the group of a rule, which refusals quote."""
    return f"rule {rule.name}"


def narrow_options(options: RebalanceOptions, rules: Iterable[Rule]) -> RebalanceOptions:
    """Narrow options by the rules that are options.

    An amount and a percentage have no order before the market value of a portfolio is known: the
    option of the rebalance then stays until ``narrow_at``. Raises OptionsConflictError for rules
    and options that exclude each other.
    """
    changes: dict[str, Any] = {}
    for rule in rules:
        if rule.as_option:
            name = _option_of(rule)
            changes[name] = _narrow(rule, changes.get(name, getattr(options, name)))
    return replace(options, **changes) if changes else options


def _option_of(rule: Rule) -> str:
    if rule.kind is RuleKind.RESTRICTED and rule.side is RestrictedSide.BUY:
        return "do_not_buy"
    return OPTIONS.get(rule.kind, "groups")


def _narrow(rule: Rule, present: Any) -> Any:
    """Return the narrower of a rule and the present value of its option."""
    match rule.kind:
        case RuleKind.RESTRICTED if rule.side is RestrictedSide.BUY:
            return present | rule.security_ids
        case RuleKind.TURNOVER_MOST | RuleKind.TRADE_MOST:
            return _lower(present, _amount_of(rule))
        case RuleKind.CASH_LEAST:
            return _higher(present, _amount_of(rule))
        case RuleKind.ORDER_SHARE_MOST:
            assert rule.part is not None
            return rule.part if present is None else min(present, rule.part)
        case _:
            return (*present, _group_of(rule))


def depends_on_value(options: RebalanceOptions, rules: Iterable[Rule]) -> bool:
    """Whether the market value decides which of an option and the rules is narrowest.

    That is so if one limit is an amount and the other a percentage.
    """
    return any(
        type(present) is not type(_amount_of(each))
        for each in _of_amounts(rules)
        if (present := getattr(options, LIMITED[each.kind])) not in {None, NO_FLOOR}
    )


def narrow_at(
    rules: Iterable[Rule], options: RebalanceOptions, portfolio: Portfolio
) -> RebalanceOptions:
    """Narrow options by rules whose limits have another unit, at the value of a portfolio.

    Raises OptionsConflictError for rules and options that exclude each other there.
    """
    value = EXACT.add(portfolio.market_value, options.cash_flow)
    changes: dict[str, Any] = {}
    for rule in _of_amounts(rules):
        if not rule.concerns(portfolio.portfolio_id):
            continue
        name, limit = LIMITED[rule.kind], _amount_of(rule)
        present = changes.get(name, getattr(options, name))
        if rule.kind is RuleKind.CASH_LEAST:
            changes[name] = _higher_at(present, limit, value, has_costs=options.has_costs)
        else:
            changes[name] = _lower_at(present, limit, value)
    return replace(options, **changes)


def _of_amounts(rules: Iterable[Rule]) -> Iterator[Rule]:
    return (each for each in rules if each.as_option and each.kind in LIMITED)


def _lower_at(present: Amount | None, limit: Amount, value: Decimal) -> Amount:
    return limit if present is None else min(present, limit, key=lambda one: _at(one, value))


def _higher_at(present: Amount, limit: Amount, value: Decimal, *, has_costs: bool) -> Amount:
    higher = max(present, limit, key=lambda one: _at(one, value))
    if has_costs and type(present) is not type(limit):
        # An amount, because a percentage of what costs leave may be below the other limit.
        return max(_at(higher, value), NO_FLOOR)
    return higher


def _at(amount: Amount, value: Decimal) -> Decimal:
    return amount.to_currency(value) if isinstance(amount, Percent) else amount


def general_rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the rules that concern all portfolios of a rebalance."""
    return tuple(each for each in rules if each.portfolios is None)


def narrow_own_options(
    options: RebalanceOptions,
    own: OverridesByPortfolio,
    rules: Sequence[Rule],
    portfolio_ids: Iterable[str],
) -> OverridesByPortfolio:
    """Narrow the options of single portfolios: those that have some, and those that rules name.

    ``options`` are those of all portfolios, narrowed already.
    """
    named = [each for each in rules if each.as_option and each.portfolios is not None]
    general = [each for each in rules if each.as_option and each.portfolios is None]
    if not (named or (general and own)):
        return own
    concerned = {one for each in named for one in each.portfolios or ()} | own.keys()
    found = dict(own)
    for one in concerned.intersection(portfolio_ids):
        mine = [each for each in named if each.concerns(one)]
        given = own.get(one, OptionOverrides())
        narrowing = [*(general if one in own else ()), *mine]
        found[one] = _narrow_overrides(options, given, narrowing)
    return found


def _narrow_overrides(
    options: RebalanceOptions, given: OptionOverrides, rules: Iterable[Rule]
) -> OptionOverrides:
    names = {group_name(each) for each in rules}
    before = given.apply_to(options)
    # Without the groups that the options of all have from the same rules, otherwise twice.
    kept = tuple(each for each in before.groups if each.name not in names)
    after = narrow_options(replace(before, groups=kept), rules)
    changed = {name: getattr(after, name) for name in NARROWED}
    own = {
        name: value
        for name, value in changed.items()
        if name in given.values or value != getattr(options, name)
    }
    return OptionOverrides({**given.values, **own})


def _group_of(rule: Rule) -> GroupBand:
    bounds: Mapping[str, Decimal] = {"high": Decimal(0)}  # of a security that is not held
    if rule.part is not None:
        bounds = {"low" if rule.kind is RuleKind.WEIGHT_LEAST else "high": rule.part}
    return GroupBand(group_name(rule), rule.security_ids, **bounds)


def _amount_of(rule: Rule) -> Amount:
    if rule.amount is not None:
        return rule.amount
    assert rule.part is not None
    return Percent(EXACT.multiply(rule.part, Decimal(100)))


def _lower(present: Amount | None, limit: Amount) -> Amount:
    if present is None:
        return limit
    return min(present, limit, key=_number) if type(present) is type(limit) else present


def _higher(present: Amount, limit: Amount) -> Amount:
    if present == NO_FLOOR or type(present) is type(limit):
        return max(present, limit, key=_number)
    return present


def _number(amount: Amount) -> Decimal:
    return amount.value if isinstance(amount, Percent) else amount
