"""Why a portfolio has no plan, what would admit one, and the nearest plan."""

from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from optimization import program
from optimization.assembly import Assembled
from optimization.certificate import broken
from optimization.result import Refusal, Security
from optimization.separable import lot_limits
from optimization.tight import Tight, cash_problem
from optimization.units import Integers, to_decimal

CODE = "infeasible"
NEAREST_PLAN_TIME_S = 2.0
MICRO = 1_000_000  # drifts are proposed in millionths


def refused(tight: Tight, assembled: Assembled, row: int, short: int) -> Refusal:
    """The refusal of one portfolio.

    ``short`` is by how many units the cheapest lots inside all bands overspend; 0 where a band is
    empty. Every empty band is named, with the smallest band that would admit a lot.
    """
    empty = _empty_bands(tight, assembled.securities)
    members: dict[str, Any] = {"securities": empty}
    if tight.market_value < 0:
        detail = f"the market value is negative ({_amount(tight, tight.market_value)})"
    elif empty:
        detail = _named(empty)
    else:
        members["cash_short"] = _amount(tight, short)
        detail = f"the least that the bands admit costs {members['cash_short']} more than there is"
    members["nearest_plan"] = _nearest_plan(tight, assembled, row)
    return Refusal(CODE, f"No feasible solution exists: {detail}.", members)


def _named(empty: list[dict[str, Any]]) -> str:
    names = ", ".join(entry["security_id"] for entry in empty[:3])
    more = f" and {len(empty) - 3} more" if len(empty) > 3 else ""
    verb = "has" if len(empty) == 1 else "have"
    return f"{names}{more} {verb} no whole lot inside the drift band"


def _amount(tight: Tight, units: int) -> str:
    return f"{to_decimal(units, tight.block.decimals):f}"


def _shares(quantity: int | Decimal) -> str:
    return str(quantity) if isinstance(quantity, int) else f"{quantity:f}"


def _empty_bands(tight: Tight, securities: Sequence[Security]) -> list[dict[str, Any]]:
    fewest, most = (limits[0] for limits in lot_limits(tight.block, tight.bands))
    return [
        _empty_band(tight, column, (int(most[column]), int(fewest[column])), securities[column])
        for column in np.flatnonzero(fewest > most).tolist()
    ]


def _empty_band(
    tight: Tight, column: int, around: tuple[int, int], security: Security
) -> dict[str, Any]:
    """One empty band: of the lots just below and above it, the one that needs less widening."""
    entry: dict[str, Any] = {
        "security_id": security.security_id,
        "price": f"{security.price:f}",
        "target": f"{security.weight:f}",
        "low_drift": f"{security.band.low:f}",
        "high_drift": f"{security.band.high:f}",
    }
    bands = [
        _admitting(security, lots, _drift(tight, column, lots))
        for lots in around
        if lots >= 0 and tight.market_value > 0
    ]
    if bands:
        least = min(bands, key=lambda band: band[0])
        entry["smallest_band"] = least[1]
    return entry


def _drift(tight: Tight, column: int, lots: int) -> Fraction:
    """Actual weight less target weight with so many lots."""
    block = tight.block
    value = lots * int(block.lot_value[column]) + int(tight.remainder[column])
    return Fraction(value, tight.market_value) - Fraction(
        int(block.weight[column]), block.denominator
    )


def _admitting(security: Security, lots: int, drift: Fraction) -> tuple[Decimal, dict[str, str]]:
    """How much wider the smallest band is that holds this drift, and that band (low <= high)."""
    low = max(security.band.low, _ceiling(-drift))
    high = max(security.band.high, _ceiling(drift), low)
    wider = low - security.band.low + high - security.band.high
    return wider, {"low_drift": f"{low:f}", "high_drift": f"{high:f}", "lots": str(lots)}


def _ceiling(drift: Fraction) -> Decimal:
    scaled = drift * MICRO
    return Decimal(-(-scaled.numerator // scaled.denominator)) / MICRO


def _nearest_plan(tight: Tight, assembled: Assembled, row: int) -> dict[str, Any] | None:
    """The plan of least drift that leaves bands as little as it must; None if any plan overdraws."""
    lots = _nearest_lots(tight)
    if lots is None:
        return None
    value = lots * tight.block.lot_value
    outside = (value < tight.bands.lower[0]) | (value > tight.bands.upper[0])
    plan = assembled.rebalance(row, lots)
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


def _nearest_lots(tight: Tight) -> Integers | None:
    if tight.need <= 0:
        return tight.lots
    if int(tight.remainder.sum()) > int(tight.block.investable[0]):
        return None
    base = np.maximum(tight.bands.target[0] // tight.block.lot_value, 0)
    fewest = lot_limits(tight.block, tight.bands)[0][0]
    most = np.maximum(base + 1, fewest)
    hull = cash_problem(tight, base, np.zeros_like(base), most)
    unit, value = 10.0**-tight.block.decimals, base * tight.block.lot_value
    soft = program.SoftProblem(
        **{field.name: getattr(hull, field.name) for field in fields(hull)},
        band_low=(tight.bands.lower[0] - value).astype(float) * unit,
        band_high=(tight.bands.upper[0] - value).astype(float) * unit,
    )
    change = program.solve_soft(soft, NEAREST_PLAN_TIME_S)[1]
    if change is None:
        return None
    lots = base + np.rint(change).astype(np.int64).astype(base.dtype)
    overdrawn = broken(tight.block, lots[None, :])[0, [0, 2]].any()
    return None if overdrawn else lots
