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
    option of the rebalance then stays until ``narrow_by_value``. Raises OptionsConflictError for
    rules and options that exclude each other.
    """
    changes: dict[str, Any] = {}
    for rule in rules:
        if rule.as_option:
            name = _choose_option(rule)
            changes[name] = _narrow(rule, changes.get(name, getattr(options, name)))
    return replace(options, **changes) if changes else options


def _choose_option(rule: Rule) -> str:
    if rule.kind is RuleKind.RESTRICTED and rule.side is RestrictedSide.BUY:
        return "do_not_buy"
    return OPTIONS.get(rule.kind, "groups")


def _narrow(rule: Rule, present: Any) -> Any:
    """Return the narrower of a rule and the present value of its option."""
    match rule.kind:
        case RuleKind.RESTRICTED if rule.side is RestrictedSide.BUY:
            return present | rule.security_ids
        case RuleKind.TURNOVER_MOST | RuleKind.TRADE_MOST:
            return _choose_lower(present, _read_amount(rule))
        case RuleKind.CASH_LEAST:
            return _choose_higher(present, _read_amount(rule))
        case RuleKind.ORDER_SHARE_MOST:
            assert rule.part is not None
            return rule.part if present is None else min(present, rule.part)
        case _:
            return (*present, _build_group(rule))


def depends_on_value(options: RebalanceOptions, rules: Iterable[Rule]) -> bool:
    """Return whether the market value decides which of an option and the rules is narrowest.

    It decides if one limit is an amount and the other a percentage.
    """
    return any(
        type(present) is not type(_read_amount(rule))
        for rule in _select_amount_rules(rules)
        if (present := getattr(options, LIMITED[rule.kind])) not in {None, NO_FLOOR}
    )


def narrow_by_value(
    rules: Iterable[Rule], options: RebalanceOptions, portfolio: Portfolio
) -> RebalanceOptions:
    """Narrow options by rules whose limits have another unit, at the value of a portfolio.

    Raises OptionsConflictError for rules and options that exclude each other at that value.
    """
    value = EXACT.add(portfolio.market_value, options.cash_flow)
    changes: dict[str, Any] = {}
    for rule in _select_amount_rules(rules):
        if not rule.concerns(portfolio.portfolio_id):
            continue
        name, limit = LIMITED[rule.kind], _read_amount(rule)
        present = changes.get(name, getattr(options, name))
        if rule.kind is RuleKind.CASH_LEAST:
            changes[name] = _choose_higher_amount(
                present, limit, value, has_costs=options.has_costs
            )
        else:
            changes[name] = _choose_lower_amount(present, limit, value)
    return replace(options, **changes)


def _select_amount_rules(rules: Iterable[Rule]) -> Iterator[Rule]:
    return (rule for rule in rules if rule.as_option and rule.kind in LIMITED)


def _choose_lower_amount(present: Amount | None, limit: Amount, value: Decimal) -> Amount:
    if present is None:
        return limit
    return min(present, limit, key=lambda amount: _to_currency(amount, value))


def _choose_higher_amount(
    present: Amount, limit: Amount, value: Decimal, *, has_costs: bool
) -> Amount:
    higher = max(present, limit, key=lambda amount: _to_currency(amount, value))
    if has_costs and type(present) is not type(limit):
        # The result is an amount, because a percentage after costs may be below the other limit.
        return max(_to_currency(higher, value), NO_FLOOR)
    return higher


def _to_currency(amount: Amount, value: Decimal) -> Decimal:
    return amount.to_currency(value) if isinstance(amount, Percent) else amount


def select_general_rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the rules that concern all portfolios of a rebalance."""
    return tuple(rule for rule in rules if rule.portfolios is None)


def narrow_own_options(
    options: RebalanceOptions,
    own: OverridesByPortfolio,
    rules: Sequence[Rule],
    portfolio_ids: Iterable[str],
) -> OverridesByPortfolio:
    """Narrow the options of single portfolios: those that have some, and those that rules name.

    ``options`` are those of all portfolios, narrowed already.
    """
    rules_by_name = [rule for rule in rules if rule.as_option and rule.portfolios is not None]
    rules_for_all = [rule for rule in rules if rule.as_option and rule.portfolios is None]
    if not (rules_by_name or (rules_for_all and own)):
        return own
    concerned_ids = {
        portfolio_id for rule in rules_by_name for portfolio_id in rule.portfolios or ()
    } | own.keys()
    narrowed = dict(own)
    for portfolio_id in concerned_ids.intersection(portfolio_ids):
        portfolio_rules = [rule for rule in rules_by_name if rule.concerns(portfolio_id)]
        overrides = own.get(portfolio_id, OptionOverrides())
        narrowing = [*(rules_for_all if portfolio_id in own else ()), *portfolio_rules]
        narrowed[portfolio_id] = _narrow_overrides(options, overrides, narrowing)
    return narrowed


def _narrow_overrides(
    options: RebalanceOptions, overrides: OptionOverrides, rules: Iterable[Rule]
) -> OptionOverrides:
    names = {group_name(rule) for rule in rules}
    before = overrides.apply_to(options)
    # Groups of the same rules are dropped, because they would otherwise be there twice.
    other_groups = tuple(group for group in before.groups if group.name not in names)
    after = narrow_options(replace(before, groups=other_groups), rules)
    options_by_name = {name: getattr(after, name) for name in NARROWED}
    own = {
        name: value
        for name, value in options_by_name.items()
        if name in overrides.values or value != getattr(options, name)
    }
    return OptionOverrides({**overrides.values, **own})


def _build_group(rule: Rule) -> GroupBand:
    bounds: Mapping[str, Decimal] = {"high": Decimal(0)}  # bounds that exclude every holding
    if rule.part is not None:
        bounds = {"low" if rule.kind is RuleKind.WEIGHT_LEAST else "high": rule.part}
    return GroupBand(group_name(rule), rule.security_ids, **bounds)


def _read_amount(rule: Rule) -> Amount:
    if rule.amount is not None:
        return rule.amount
    assert rule.part is not None
    return Percent(EXACT.multiply(rule.part, Decimal(100)))


def _choose_lower(present: Amount | None, limit: Amount) -> Amount:
    if present is None:
        return limit
    return min(present, limit, key=_read_number) if type(present) is type(limit) else present


def _choose_higher(present: Amount, limit: Amount) -> Amount:
    if present == NO_FLOOR or type(present) is type(limit):
        return max(present, limit, key=_read_number)
    return present


def _read_number(amount: Amount) -> Decimal:
    return amount.value if isinstance(amount, Percent) else amount
