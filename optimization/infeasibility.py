"""Why a portfolio has no plan, what would admit one, and the nearest plan."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from optimization.assembly import Assembled
from optimization.budget import Budget
from optimization.desk import Desk
from optimization.desk_plans import conflict, nearest_plan
from optimization.options import RebalanceOptions
from optimization.restrictions import restricting
from optimization.result import Refusal, Security
from optimization.separable import lot_limits
from optimization.tight import Tight
from optimization.units import fraction_to_decimal, to_decimal
from optimization.weights import weight_text

CODE = "infeasible"
EXPLANATION_TIME_S = 2.0  # for the limits in conflict, and again for the nearest plan
MICRO = 1_000_000  # drifts are proposed in millionths
LISTED = 3


def refused(
    desk: Desk, assembled: Assembled, row: int, options: RebalanceOptions, budget: Budget
) -> Refusal:
    """The refusal of one portfolio.

    Every security that has no lot inside its band is named, with the smallest band that would admit
    one; else every limit that would have to give, with the amount.
    """
    tight = desk.tight
    empty = _empty_bands(desk, assembled.securities, options)
    limits = [] if empty or tight.base < 0 else _given(desk, budget)
    members: dict[str, Any] = {
        "securities": empty,
        "limits": limits,
        "nearest_plan": _nearest(desk, assembled, row, budget),
    }
    if tight.base < 0:
        detail = f"the market value is negative ({_amount(tight, tight.base)})"
    elif empty:
        detail = _named(empty)
    elif limits:
        detail = "the limits exclude each other: " + ", ".join(
            f"{limit['option']} by {limit['short_by']}" for limit in limits
        )
    else:
        detail = "no plan keeps every limit without overdrawing the account"
    return Refusal(CODE, f"No feasible solution exists: {detail}.", members)


def _given(desk: Desk, budget: Budget) -> list[dict[str, str]]:
    decimals = desk.tight.block.decimals
    return [
        {
            "option": limit.option,
            "short_by": str(-limit.slack)
            if limit.option == "maximum_trades"
            else f"{fraction_to_decimal(-limit.slack, decimals):f}",
        }
        for limit in conflict(desk, budget.share(1, EXPLANATION_TIME_S))
    ]


def _named(empty: list[dict[str, Any]]) -> str:
    names = ", ".join(entry["security_id"] for entry in empty[:LISTED])
    more = f" and {len(empty) - LISTED} more" if len(empty) > LISTED else ""
    verb = "has" if len(empty) == 1 else "have"
    options = sorted({entry["option"] for entry in empty if "option" in entry})
    under = f" under {', '.join(options)}" if options else ""
    return f"{names}{more} {verb} no whole lot inside the drift band{under}"


def _amount(tight: Tight, units: int) -> str:
    return f"{to_decimal(units, tight.block.decimals):f}"


def _shares(quantity: int | Decimal) -> str:
    return str(quantity) if isinstance(quantity, int) else f"{quantity:f}"


def _empty_bands(
    desk: Desk, securities: Sequence[Security], options: RebalanceOptions
) -> list[dict[str, Any]]:
    tight = desk.tight
    fewest, most = (limits[0] for limits in lot_limits(tight.block, tight.bands))
    free, before = tight.block.unrestricted(), tight.block.before[0]
    band_fewest, band_most = (limits[0] for limits in lot_limits(free, tight.bands))
    entries: list[dict[str, Any]] = []
    for column in desk.without_band().tolist():
        security = securities[column]
        around = {int(most[column]), int(fewest[column])}
        option = None
        if band_fewest[column] <= band_most[column]:
            option = "minimum_trade"
            if fewest[column] > most[column]:
                buying = bool(before[column] < band_fewest[column])
                option = restricting(options, security.security_id, buying=buying)
            around = {int(before[column])}
        entries.append(_empty_band(tight, column, around, security, option))
    return entries


def _empty_band(
    tight: Tight, column: int, around: set[int], security: Security, option: str | None
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


def _drift(tight: Tight, column: int, lots: int) -> Fraction:
    """Actual weight less target weight with so many lots."""
    block = tight.block
    value = lots * int(block.lot_value[column]) + int(tight.remainder[column])
    return Fraction(value, tight.base) - Fraction(int(block.weight[column]), block.denominator)


def _admitting(security: Security, lots: int, drift: Fraction) -> tuple[Fraction, dict[str, str]]:
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
    return Decimal(-(-scaled.numerator // scaled.denominator)) / MICRO


def _nearest(desk: Desk, assembled: Assembled, row: int, budget: Budget) -> dict[str, Any] | None:
    tight = desk.tight
    lots = None
    if int(tight.remainder.sum()) <= tight.base:
        lots = nearest_plan(desk, budget.share(1, EXPLANATION_TIME_S))
    if lots is None:
        return None
    cost = fraction_to_decimal(desk.evaluated(lots).cost, tight.block.decimals)
    value = lots * tight.block.lot_value
    outside = (value < tight.bands.lower[0]) | (value > tight.bands.upper[0])
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
            for drift, out in zip(plan.drifts, outside.tolist(), strict=False)
            if out
        ],
    }
