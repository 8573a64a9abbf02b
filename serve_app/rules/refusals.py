"""Refusals that name the rules behind the options that exclude every plan."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from optimization import PortfolioOutcome, Refusal, Status
from serve_app.rules.options import OPTIONS, group_name
from storage.rules.rule import RestrictedSide, Rule, RuleKind


def name_rules(
    rules: Sequence[Rule], outcomes: Iterable[PortfolioOutcome]
) -> Iterator[PortfolioOutcome]:
    """Name the rules in the refusals of portfolios that have no plan because of them."""
    for outcome in outcomes:
        refusal = outcome.refusal
        if outcome.status is not Status.INFEASIBLE or refusal is None:
            yield outcome
            continue
        matching_rules = [
            rule
            for rule in rules
            if rule.as_option and rule.concerns(outcome.portfolio_id) and _is_named(rule, refusal)
        ]
        yield (
            replace(outcome, refusal=_add_rules(refusal, matching_rules))
            if matching_rules
            else outcome
        )


def _is_named(rule: Rule, refusal: Refusal) -> bool:
    members = refusal.members
    bands: Sequence[Any] = members.get("securities", ())
    options = {
        str(limit["option"]) for name in ("limits", "admits") for limit in members.get(name, ())
    }
    options |= {str(band["option"]) for band in bands if "option" in band}
    if rule.kind is RuleKind.RESTRICTED and rule.side is RestrictedSide.BUY:
        security_ids = {str(band["security_id"]) for band in bands}
        return "do_not_buy" in options or not rule.security_ids.isdisjoint(security_ids)
    if rule.kind in OPTIONS:
        return OPTIONS[rule.kind] in options
    return any(option.startswith(f"groups.{group_name(rule)}.") for option in options)


def _add_rules(refusal: Refusal, rules: Sequence[Rule]) -> Refusal:
    rows = [{"rule_id": rule.rule_id, "name": rule.name, "version": rule.version} for rule in rules]
    names = ", ".join(rule.name for rule in rules)
    detail = f"{refusal.detail} Rules in force: {names}."
    return Refusal(refusal.code, detail, {**refusal.members, "rules": rows})
