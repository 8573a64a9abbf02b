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
        named = [
            each
            for each in rules
            if each.as_option and each.concerns(outcome.portfolio_id) and _is_named(each, refusal)
        ]
        yield replace(outcome, refusal=_with_rules(refusal, named)) if named else outcome


def _is_named(rule: Rule, refusal: Refusal) -> bool:
    members = refusal.members
    bands: Sequence[Any] = members.get("securities", ())
    options = {
        str(each["option"]) for name in ("limits", "admits") for each in members.get(name, ())
    }
    options |= {str(each["option"]) for each in bands if "option" in each}
    if rule.kind is RuleKind.RESTRICTED and rule.side is RestrictedSide.BUY:
        listed = {str(each["security_id"]) for each in bands}
        return "do_not_buy" in options or not rule.security_ids.isdisjoint(listed)
    if rule.kind in OPTIONS:
        return OPTIONS[rule.kind] in options
    return any(each.startswith(f"groups.{group_name(rule)}.") for each in options)


def _with_rules(refusal: Refusal, rules: Sequence[Rule]) -> Refusal:
    listed = [
        {"rule_id": each.rule_id, "name": each.name, "version": each.version} for each in rules
    ]
    names = ", ".join(each.name for each in rules)
    detail = f"{refusal.detail} Rules in force: {names}."
    return Refusal(refusal.code, detail, {**refusal.members, "rules": listed})
