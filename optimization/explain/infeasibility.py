"""Infeasibility: the reason why a portfolio has no plan, alternatives, and the nearest plan."""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

from optimization.domain.option_values import BandRule, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import Refusal, Transaction
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.evaluation import Limit
from optimization.exact.scaled_integers import fraction_to_decimal, to_decimal
from optimization.explain.empty_bands import find_empty_bands
from optimization.explain.outside_band import EXPLANATION_TIME_S, SOFT_PRICE, measure_outside
from optimization.solvers.cash_constrained import CashConstrainedProblem
from optimization.solvers.coupled import solve_at_base
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.elastic import find_conflict, find_nearest_plan
from optimization.solvers.separable import SeparableRelaxation, restate
from optimization.time_budget import TimeBudget

CODE = "infeasible"
MAX_LISTED_SECURITIES = 3


def explain_refusal(relaxed: SeparableRelaxation, row: int, budget: TimeBudget) -> Refusal:
    """Explain why one portfolio has no plan.

    The refusal names every security whose band admits no lot, and the smallest band that would
    admit one. If every band admits a lot, it names the scope or the restrictions that exclude every
    plan, and the limits that an elastic relaxation must violate, with the amounts. ``admits`` lists
    the options that would each admit a plan alone.
    """
    coupled, options = CoupledProblem.from_relaxation(relaxed, row), relaxed.options
    is_negative = coupled.cash_problem.base < 0
    empty = find_empty_bands(coupled, relaxed.assembled.securities, options)
    # A negative market value needs no search, because no lifted restriction changes it.
    excluding = [] if is_negative else _find_excluding_options(relaxed, row, budget)
    limits: list[dict[str, str]] = []
    if not (empty or is_negative):
        limits = [
            limit
            for limit in _find_conflict(coupled, budget)
            if not excluding or limit["option"] in excluding
        ]
    nearest = _describe_nearest_plan(relaxed, row, budget)
    admits = [] if is_negative else _list_alternatives(options, excluding, limits, nearest)
    if is_negative:
        base = _format_amount(coupled.cash_problem, coupled.cash_problem.base)
        detail = f"the market value is negative ({base})"
    elif empty:
        detail = _write_empty_bands(empty)
    elif limits:
        detail = "the limits exclude each other: " + ", ".join(
            f"{limit['option']} by {limit['short_by']}" for limit in limits
        )
    elif excluding:
        detail = f"no plan is inside every band under {_join_options(options, excluding)}"
    else:
        detail = "no plan keeps every limit without overdrawing the account"
    members = {"securities": empty, "limits": limits, "admits": admits, "nearest_plan": nearest}
    return Refusal(
        CODE, f"No feasible solution exists: {detail}.{_write_alternatives(admits)}", members
    )


def has_plan(
    relaxed: SeparableRelaxation, row: int, options: RebalanceOptions, budget: TimeBudget
) -> bool:
    """Whether a portfolio has a plan inside every band under other options.

    Raises NoSolutionInTimeError and CertificationError.
    """
    other = restate(relaxed, row, options)
    return solve_at_base(CoupledProblem.from_relaxation(other, 0), options, budget) is not None


def _find_excluding_options(
    relaxed: SeparableRelaxation, row: int, budget: TimeBudget
) -> list[str]:
    """Find the scope and the restrictions that each exclude every plan."""
    options = relaxed.options
    names = [*options.restrictions, *(["scope"] if options.scope is not Scope.ALL else [])]
    share = budget.share(1, EXPLANATION_TIME_S)
    excluding: list[str] = []
    for name in names:
        try:
            if has_plan(relaxed, row, options.lift([name]), share):
                excluding.append(name)
        # The option is not named, because only a plan without it proves that it excludes plans.
        except (NoSolutionInTimeError, CertificationError):
            continue
    return excluding


def _list_alternatives(
    options: RebalanceOptions,
    excluding: Sequence[str],
    limits: Sequence[dict[str, str]],
    nearest: dict[str, Any] | None,
) -> list[dict[str, str]]:
    """List the options that would admit a plan, each alone, with the value they need."""
    alternatives = [{"option": "scope", "value": str(Scope.ALL)}] if "scope" in excluding else []
    yields = options.bands is BandRule.YIELD or options.soft_band_price is not None
    if nearest is not None and not nearest["gives"] and not yields:
        alternatives.append({"option": "bands", "value": str(BandRule.YIELD)})
        alternatives.append({"option": SOFT_PRICE})
    by_amount = {limit["option"]: limit["short_by"] for limit in limits}
    if len(by_amount) == 1:
        alternatives += [{"option": name, "by": amount} for name, amount in by_amount.items()]
    others = (name for name in excluding if name != "scope" and name not in by_amount)
    return alternatives + [{"option": name} for name in others]


def _write_alternatives(admits: Sequence[dict[str, str]]) -> str:
    if not admits:
        return ""
    *first, last = map(_write_alternative, admits)
    return f" There is a plan {', '.join(first)}{' or ' if first else ''}{last}."


def _write_alternative(admitting: dict[str, str]) -> str:
    name = admitting["option"]
    match admitting:
        case {"value": value}:
            return f"with {name} {value}"
        case {"by": amount}:
            return f"with {name} wider by {amount}"
        case _:
            return f"with a {name}" if name == SOFT_PRICE else f"without {name}"


def _join_options(options: RebalanceOptions, names: Sequence[str]) -> str:
    """Join options for a sentence, each with its value if that is a single word."""
    values = ((name, getattr(options, name)) for name in names)
    return " or ".join(f"{name} {v}" if isinstance(v, StrEnum) else name for name, v in values)


def _find_conflict(coupled: CoupledProblem, budget: TimeBudget) -> list[dict[str, str]]:
    return [
        _describe_limit(coupled, limit)
        for limit in find_conflict(coupled, budget.share(1, EXPLANATION_TIME_S))
    ]


def _describe_limit(coupled: CoupledProblem, limit: Limit) -> dict[str, str]:
    """Write a limit with the amount it lacks: trades, or currency."""
    amount = str(-limit.slack)
    if limit.option != "maximum_trades":
        amount = f"{fraction_to_decimal(-limit.slack, coupled.cash_problem.block.decimals):f}"
    return {"option": limit.option, "short_by": amount}


def _write_empty_bands(empty: list[dict[str, Any]]) -> str:
    names = ", ".join(entry["security_id"] for entry in empty[:MAX_LISTED_SECURITIES])
    more = (
        f" and {len(empty) - MAX_LISTED_SECURITIES} more"
        if len(empty) > MAX_LISTED_SECURITIES
        else ""
    )
    verb = "has" if len(empty) == 1 else "have"
    options = sorted({entry["option"] for entry in empty if "option" in entry})
    under = f" under {', '.join(options)}" if options else ""
    return f"{names}{more} {verb} no whole lot inside the drift band{under}"


def _format_amount(cash_problem: CashConstrainedProblem, units: int) -> str:
    return f"{to_decimal(units, cash_problem.block.decimals):f}"


def _format_shares(quantity: int | Decimal) -> str:
    return str(quantity) if isinstance(quantity, int) else f"{quantity:f}"


def _describe_nearest_plan(
    relaxed: SeparableRelaxation, row: int, budget: TimeBudget
) -> dict[str, Any] | None:
    """Find the plan with the least violation of bands, under every restriction."""
    options = relaxed.options
    if options.scope is not Scope.ALL:
        relaxed, row = restate(relaxed, row, options, bands_yield=True), 0
    coupled = CoupledProblem.from_relaxation(relaxed, row)
    cash_problem, assembled = coupled.cash_problem, relaxed.assembled
    lots, gives = None, ()
    if int(cash_problem.remainder.sum()) <= cash_problem.base:
        lots, gives = find_nearest_plan(coupled, budget.share(1, EXPLANATION_TIME_S))
    if lots is None:
        return None
    outside = measure_outside(relaxed, coupled, lots)
    cost = fraction_to_decimal(coupled.evaluate(lots).cost, coupled.block.decimals)
    plan = assembled.make_outcome(row, lots, cost=cost)
    limits = [_describe_limit(coupled, limit) for limit in gives]
    return {
        "transactions": [_describe_trade(trade) for trade in plan.transactions],
        "cash_after_rebalance": f"{plan.cash_after:f}",
        "objective": f"{cash_problem.drift(lots):f}",
        "outside_band": [
            {
                "security_id": drift.security.security_id,
                "quantity": _format_shares(drift.adjusted_quantity),
                "actual": f"{drift.actual:f}",
            }
            for drift in plan.drifts
            if drift.security.security_id in outside
        ],
        "gives": [{"option": limit["option"], "by": limit["short_by"]} for limit in limits],
    }


def _describe_trade(trade: Transaction) -> dict[str, str]:
    return {
        "transaction_type": str(trade.side),
        "security_id": trade.security_id,
        "quantity": _format_shares(trade.quantity),
    }
