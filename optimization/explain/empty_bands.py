"""Empty bands: securities whose bands admit no lot, and the smallest bands that admit one."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from optimization.domain.numbers import EXACT, weight_text
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import PricedTarget
from optimization.exact.block import lot_limits
from optimization.exact.restrictions import restricting_option
from optimization.exact.trade_sizes import MostTraded
from optimization.solvers.cash_constrained import CashConstrainedProblem
from optimization.solvers.coupled_problem import CoupledProblem

MICRO = 1_000_000  # parts of a weight of 1, in which drifts are proposed


def find_empty_bands(
    coupled: CoupledProblem, securities: Sequence[PricedTarget], options: RebalanceOptions
) -> list[dict[str, Any]]:
    """Describe every security without a lot inside its band, with the option that prevents one."""
    cash_problem = coupled.cash_problem
    fewest, most = (limits[0] for limits in lot_limits(cash_problem.block, cash_problem.bands))
    free, before = cash_problem.block.without_bounds(), cash_problem.block.before[0]
    band_fewest, band_most = (limits[0] for limits in lot_limits(free, cash_problem.bands))
    sizes = None
    if options.limits_trade_size:
        sizes = MostTraded.from_options(cash_problem.block, securities, options)
    entries: list[dict[str, Any]] = []
    for column in coupled.find_empty_bands().tolist():
        security = securities[column]
        # The lots on both sides of the band, because the smallest wider band admits either side.
        around = {int(most[column]), int(fewest[column])}
        option = None
        if band_fewest[column] <= band_most[column]:
            option = coupled.constraints.least_by[column]
            # The lots held now, because the band admits lots that the option keeps out of reach.
            around = {int(before[column])}
            if fewest[column] > most[column]:
                buying, of_size = bool(before[column] < band_fewest[column]), None
                nearest, edge = (most, band_fewest) if buying else (fewest, band_most)
                needed = abs(edge[column] - before[column])
                if sizes is not None and needed > sizes.lots[0, column]:
                    of_size, around = sizes.find_option(0, column), {int(nearest[column])}
                option = restricting_option(
                    options, security.security_id, buying=buying, of_size=of_size
                )
        entries.append(_describe_empty_band(cash_problem, column, around, security, option))
    return entries


def _describe_empty_band(
    cash_problem: CashConstrainedProblem,
    column: int,
    around: set[int],
    security: PricedTarget,
    option: str | None,
) -> dict[str, Any]:
    """Describe one empty band and the smallest band that admits a lot near it."""
    entry: dict[str, Any] = {
        "security_id": security.security_id,
        "price": f"{security.price:f}",
        "target": weight_text(security.weight),
        "low_drift": weight_text(security.band.low),
        "high_drift": weight_text(security.band.high),
    }
    if option is not None:
        entry["option"] = option
    # Empty if the market value is not positive, because weights are then undefined.
    bands = [
        _find_admitting_band(security, lots, _compute_drift(cash_problem, column, lots))
        for lots in sorted(around)
        if lots >= 0 and cash_problem.base > 0
    ]
    if bands:
        entry["smallest_band"] = min(bands, key=lambda band: band[0])[1]
    return entry


def _compute_drift(cash_problem: CashConstrainedProblem, column: int, lots: int) -> Fraction:
    """Actual weight less target weight, for a number of lots."""
    block = cash_problem.block
    value = lots * int(block.lot_value[column]) + int(cash_problem.remainder[column])
    return Fraction(value, cash_problem.base) - Fraction(
        int(block.weight[column]), block.denominator
    )


def _find_admitting_band(
    security: PricedTarget, lots: int, drift: Fraction
) -> tuple[Fraction, dict[str, str]]:
    """Find the smallest band around this drift, and its width; a cap only if the band is one."""
    band = security.band
    low, high = max(band.low, _round_up(-drift)), max(band.high, _round_up(drift))
    if band.low <= band.high:
        high = max(high, low)
    width = Fraction(low) + Fraction(high)
    return width, {
        "low_drift": weight_text(low),
        "high_drift": weight_text(high),
        "lots": str(lots),
    }


def _round_up(drift: Fraction) -> Decimal:
    scaled = drift * MICRO
    return EXACT.divide(Decimal(-(-scaled.numerator // scaled.denominator)), MICRO)
