"""Why a portfolio has no plan, what would admit one, and the nearest plan."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

from optimization.domain.decimals import EXACT
from optimization.domain.options import BandRule, RebalanceOptions, Scope
from optimization.domain.outcome import PricedTarget, Refusal
from optimization.domain.weights import weight_text
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.block import lot_limits
from optimization.exact.evaluation import Limit
from optimization.exact.restrictions import restricting
from optimization.exact.scaled_integers import fraction_to_decimal, to_decimal
from optimization.explain.outside_band import EXPLANATION_TIME_S, SOFT_PRICE, outside_amounts
from optimization.solvers.cash_constrained import CashConstrainedProblem
from optimization.solvers.coupled import conflict, nearest_plan, solve_at_base
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.relaxation import SeparableRelaxation, restate
from optimization.time_budget import Budget

CODE = "infeasible"
MICRO = 1_000_000  # drifts are proposed in millionths
MAX_LISTED_SECURITIES = 3


def explain_refusal(relaxed: SeparableRelaxation, row: int, budget: Budget) -> Refusal:
    """The refusal of one portfolio.

    Every security that has no lot inside its band is named, with the smallest band that would admit
    one; else the scope or the restrictions without which there is a plan, and every limit that would
    have to give, with the amount. ``admits`` names the options that would admit a plan, each alone.
    """
    coupled, options = relaxed.coupled(row), relaxed.options
    is_negative = coupled.tight.base < 0
    empty = _empty_bands(coupled, relaxed.assembled.securities, options)
    excluding = [] if is_negative else _excluding(relaxed, row, budget)
    limits: list[dict[str, str]] = []
    if not (empty or is_negative):
        limits = [
            one for one in _given(coupled, budget) if not excluding or one["option"] in excluding
        ]
    nearest = _nearest(relaxed, row, budget)
    admits = [] if is_negative else _admits(options, excluding, limits, nearest)
    if is_negative:
        detail = f"the market value is negative ({_amount(coupled.tight, coupled.tight.base)})"
    elif empty:
        detail = _named(empty)
    elif limits:
        detail = "the limits exclude each other: " + ", ".join(
            f"{limit['option']} by {limit['short_by']}" for limit in limits
        )
    elif excluding:
        detail = (
            f"no plan is inside every band under {' or '.join(map(_shown(options), excluding))}"
        )
    else:
        detail = "no plan keeps every limit without overdrawing the account"
    members = {"securities": empty, "limits": limits, "admits": admits, "nearest_plan": nearest}
    return Refusal(CODE, f"No feasible solution exists: {detail}.{_advice(admits)}", members)


def has_plan(
    relaxed: SeparableRelaxation, row: int, options: RebalanceOptions, budget: Budget
) -> bool:
    """Whether a portfolio has a plan inside every band under other options.

    Raises NoSolutionInTimeError and CertificationError.
    """
    other = restate(relaxed, row, options)
    return solve_at_base(other.coupled(0), options, budget) is not None


def _excluding(relaxed: SeparableRelaxation, row: int, budget: Budget) -> list[str]:
    """The scope and the restrictions without which, one at a time, there is a plan."""
    options = relaxed.options
    names = [*options.restrictions, *(["scope"] if options.scope is not Scope.ALL else [])]
    share = budget.share(1, EXPLANATION_TIME_S)
    found: list[str] = []
    for name in names:
        try:
            if has_plan(relaxed, row, options.without([name]), share):
                found.append(name)
        except (NoSolutionInTimeError, CertificationError):
            continue
    return found


def _admits(
    options: RebalanceOptions,
    excluding: Sequence[str],
    limits: Sequence[dict[str, str]],
    nearest: dict[str, Any] | None,
) -> list[dict[str, str]]:
    """The options that would admit a plan, each alone, and what they would have to be."""
    found = [{"option": "scope", "value": str(Scope.ALL)}] if "scope" in excluding else []
    yields = options.bands is BandRule.YIELD or options.soft_band_price is not None
    if nearest is not None and not nearest["gives"] and not yields:
        found.append({"option": "bands", "value": str(BandRule.YIELD)})
        found.append({"option": SOFT_PRICE})
    by_amount = {limit["option"]: limit["short_by"] for limit in limits}
    if len(by_amount) == 1:
        found += [{"option": name, "by": amount} for name, amount in by_amount.items()]
    others = (name for name in excluding if name != "scope" and name not in by_amount)
    return found + [{"option": name} for name in others]


def _advice(admits: Sequence[dict[str, str]]) -> str:
    if not admits:
        return ""
    *first, last = map(_way, admits)
    return f" There is a plan {', '.join(first)}{' or ' if first else ''}{last}."


def _way(admitting: dict[str, str]) -> str:
    name = admitting["option"]
    match admitting:
        case {"value": value}:
            return f"with {name} {value}"
        case {"by": amount}:
            return f"with {name} wider by {amount}"
        case _:
            return f"with a {name}" if name == SOFT_PRICE else f"without {name}"


def _shown(options: RebalanceOptions) -> Callable[[str], str]:
    """An option as a sentence has it: those that are a single word with their value."""

    def shown(name: str) -> str:
        value = getattr(options, name)
        return f"{name} {value}" if isinstance(value, StrEnum) else name

    return shown


def _given(coupled: CoupledProblem, budget: Budget) -> list[dict[str, str]]:
    return [
        _limit(coupled, limit) for limit in conflict(coupled, budget.share(1, EXPLANATION_TIME_S))
    ]


def _limit(coupled: CoupledProblem, limit: Limit) -> dict[str, str]:
    """A limit that gives, and by how much: trades, or currency."""
    amount = str(-limit.slack)
    if limit.option != "maximum_trades":
        amount = f"{fraction_to_decimal(-limit.slack, coupled.tight.block.decimals):f}"
    return {"option": limit.option, "short_by": amount}


def _named(empty: list[dict[str, Any]]) -> str:
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


def _amount(tight: CashConstrainedProblem, units: int) -> str:
    return f"{to_decimal(units, tight.block.decimals):f}"


def _shares(quantity: int | Decimal) -> str:
    return str(quantity) if isinstance(quantity, int) else f"{quantity:f}"


def _empty_bands(
    coupled: CoupledProblem, securities: Sequence[PricedTarget], options: RebalanceOptions
) -> list[dict[str, Any]]:
    tight = coupled.tight
    fewest, most = (limits[0] for limits in lot_limits(tight.block, tight.bands))
    free, before = tight.block.unrestricted(), tight.block.before[0]
    band_fewest, band_most = (limits[0] for limits in lot_limits(free, tight.bands))
    entries: list[dict[str, Any]] = []
    for column in coupled.without_band().tolist():
        security = securities[column]
        around = {int(most[column]), int(fewest[column])}
        option = None
        if band_fewest[column] <= band_most[column]:
            option = coupled.terms.least_by[column]
            if fewest[column] > most[column]:
                buying = bool(before[column] < band_fewest[column])
                option = restricting(options, security.security_id, buying=buying)
            around = {int(before[column])}
        entries.append(_empty_band(tight, column, around, security, option))
    return entries


def _empty_band(
    tight: CashConstrainedProblem,
    column: int,
    around: set[int],
    security: PricedTarget,
    option: str | None,
) -> dict[str, Any]:
    """One empty band: of the lots around it (or those held), the count that needs the least widening."""
    entry: dict[str, Any] = {
        "security_id": security.security_id,
        "price": f"{security.price:f}",
        "target": weight_text(security.weight),
        "low_drift": weight_text(security.band.low),
        "high_drift": weight_text(security.band.high),
    }
    if option is not None:
        entry["option"] = option
    bands = [
        _admitting(security, lots, _drift(tight, column, lots))
        for lots in sorted(around)
        if lots >= 0 and tight.base > 0
    ]
    if bands:
        entry["smallest_band"] = min(bands, key=lambda band: band[0])[1]
    return entry


def _drift(tight: CashConstrainedProblem, column: int, lots: int) -> Fraction:
    """Actual weight less target weight with so many lots."""
    block = tight.block
    value = lots * int(block.lot_value[column]) + int(tight.remainder[column])
    return Fraction(value, tight.base) - Fraction(int(block.weight[column]), block.denominator)


def _admitting(
    security: PricedTarget, lots: int, drift: Fraction
) -> tuple[Fraction, dict[str, str]]:
    """How wide the smallest band is that holds this drift, and that band; no cap unless it was one."""
    band = security.band
    low, high = max(band.low, _ceiling(-drift)), max(band.high, _ceiling(drift))
    if band.low <= band.high:
        high = max(high, low)
    width = Fraction(low) + Fraction(high)
    return width, {
        "low_drift": weight_text(low),
        "high_drift": weight_text(high),
        "lots": str(lots),
    }


def _ceiling(drift: Fraction) -> Decimal:
    scaled = drift * MICRO
    return EXACT.divide(Decimal(-(-scaled.numerator // scaled.denominator)), MICRO)


def _nearest(relaxed: SeparableRelaxation, row: int, budget: Budget) -> dict[str, Any] | None:
    """The plan that leaves bands by as little as it must, under every restriction that was given."""
    options = relaxed.options
    if options.scope is not Scope.ALL:
        relaxed, row = restate(relaxed, row, options, bands_yield=True), 0
    coupled = relaxed.coupled(row)
    tight, assembled = coupled.tight, relaxed.assembled
    lots, gives = None, ()
    if int(tight.remainder.sum()) <= tight.base:
        lots, gives = nearest_plan(coupled, budget.share(1, EXPLANATION_TIME_S))
    if lots is None:
        return None
    cost = fraction_to_decimal(coupled.evaluate(lots).cost, tight.block.decimals)
    outside = outside_amounts(relaxed, coupled, lots)
    plan = assembled.rebalance(row, lots, cost=cost)

    return {
        "transactions": [
            {
                "transaction_type": str(trade.side),
                "security_id": trade.security_id,
                "quantity": _shares(trade.quantity),
            }
            for trade in plan.transactions
        ],
        "cash_after_rebalance": f"{plan.cash_after:f}",
        "objective": f"{tight.drift(lots):f}",
        "outside_band": [
            {
                "security_id": drift.security.security_id,
                "quantity": _shares(drift.adjusted_quantity),
                "actual": f"{drift.actual:f}",
            }
            for drift in plan.drifts
            if drift.security.security_id in outside
        ],
        "gives": [
            {"option": one["option"], "by": one["short_by"]}
            for one in (_limit(coupled, limit) for limit in gives)
        ],
    }
