"""Parameters of the coupled program: the floats of one portfolio above ``base`` lots."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import TypedDict

import numpy as np

from optimization.exact.block import Block
from optimization.exact.scaled_integers import Integers, round_counts
from optimization.milp.data import CoupledMilpData, FineLots, Floats, OddLots, OwnBase
from optimization.solvers.cash_constrained import crossing_costs
from optimization.solvers.coupled_limits import CoupledLimits
from optimization.solvers.coupled_problem import CoupledProblem, View

NO_MARGINS: Mapping[str, Fraction] = MappingProxyType({})


class _LotCosts(TypedDict):
    lot_value: Floats
    step_value: Floats
    cost_across: Floats
    cost_undone: Floats
    cost_further: Floats
    spent_toward: Floats
    spent_away: Floats
    per_trade: float
    cost_per_trade: float


class _LotBounds(TypedDict):
    can_cross: Floats
    approach: Floats
    max_undone: Floats
    max_retreat: Floats
    max_overshoot: Floats
    least_trade: Floats


def coupled_milp_data(
    coupled: CoupledProblem, margins: Mapping[str, Fraction] = NO_MARGINS
) -> tuple[CoupledMilpData, Integers]:
    """State the program in floats; return it with ``base``, the lots from which it counts.

    ``margins`` tighten limits, by the names of evaluation.py, in units.
    """
    constraints, view = coupled.constraints, View.from_problem(coupled)
    crossing = crossing_costs(coupled.cash_problem, view.base, view.sign)
    limits = CoupledLimits(coupled, view, margins)
    limit, limit_low, turnover = limits.cash_limits()
    group_value, group_low, group_high = limits.group_limits()
    low, high = _edges_above(coupled, view.base)
    if constraints.base_fractions is not None:
        low, high = limits.band_limits()
    data = CoupledMilpData(
        **_lot_costs(coupled, view, crossing),
        **_lot_bounds(coupled, view),
        counts_trades=constraints.counts_trades,
        sign=view.sign.astype(float),
        band_low=low,
        band_high=high,
        soft_price=None if constraints.soft_price is None else float(constraints.soft_price),
        odd_lots=_odd_lots(coupled.block, view),
        violation_most=limits.violation_limit(),
        trades=float(len(low) if constraints.trades is None else constraints.trades),
        limit=limit,
        limit_low=limit_low,
        turnover=turnover,
        group_value=view.sign * group_value,
        group_low=group_low,
        group_high=group_high,
        granularity=float(coupled.granularity) * coupled.unit,
        own_base=_own_base(coupled, view),
        fine=_fine_lots(coupled, view, crossing),
    )
    return data, view.base


def _lot_values(coupled: CoupledProblem, view: View) -> Floats:
    """Value of a step of each security, in currency."""
    return (coupled.block.lot_value * view.lots_per_step).astype(float) * coupled.unit


def _lot_costs(coupled: CoupledProblem, view: View, crossing: Sequence[Fraction]) -> _LotCosts:
    """Value of each step, its coefficients in the objective and in the cash row."""
    constraints, value = coupled.constraints, _lot_values(coupled, view)
    step_value, rate_value = view.sign * value, float(constraints.rate) * value
    per_trade = float(constraints.per_trade) * coupled.unit
    drift = 0.0 if constraints.violation_alone else 1.0
    weight = 1.0 if constraints.costs_in_objective else 0.0
    across = np.array(crossing, dtype=float) * coupled.unit
    return _LotCosts(
        lot_value=value,
        step_value=step_value,
        cost_across=drift * (across + weight * rate_value),
        cost_undone=drift * (value - weight * rate_value),
        cost_further=drift * (value + weight * rate_value),
        spent_toward=step_value + rate_value,
        spent_away=rate_value - step_value,
        per_trade=per_trade,
        cost_per_trade=drift * weight * per_trade,
    )


def _lot_bounds(coupled: CoupledProblem, view: View) -> _LotBounds:
    """Bounds of the variables of each security, in steps."""
    steps, fine = view.lots_per_step, view.is_fine
    undone = np.minimum(view.approach, view.room_away)
    overshoot = np.maximum(view.room_toward - ~fine, 0)
    return _LotBounds(
        can_cross=((view.room_toward > 0) & ~fine).astype(float),
        approach=(view.approach / steps).astype(float),
        max_undone=(undone / steps).astype(float),
        max_retreat=((view.room_away - undone) / steps).astype(float),
        max_overshoot=(overshoot / steps).astype(float),
        least_trade=(coupled.least_trades / steps).astype(float),
    )


def candidate_plans(
    coupled: CoupledProblem, data: CoupledMilpData, base: Integers, change: Floats
) -> Iterator[Integers]:
    """Yield the nearest whole lots of a solution, then neighbours that may keep all limits.

    Only fine lots leave a choice: trade one lot less, hold one less, hold one more.
    """
    nearest = base + round_counts(change, base)
    if data.fine is None:
        yield nearest
        return
    before, least, (fewest, most) = (
        coupled.block.before[0],
        coupled.least_trades,
        coupled.bounds,
    )
    traded, is_fine = nearest - before, data.fine.lots_per_step > 1
    # Snapped to no trade, because floats resolve the distance to only 53 bits.
    traded = np.where(abs(traded) <= abs(base - before) >> 48, 0, traded)
    sign = np.sign(traded)
    for step in (0 * sign, -sign, -abs(sign), abs(sign)):
        enough = before + sign * np.maximum(sign * (traded + step), least)
        lots = np.minimum(np.maximum(np.where(traded == 0, before, enough), fewest), most)
        yield np.where(is_fine, lots, nearest)


def _fine_lots(coupled: CoupledProblem, view: View, chord: Sequence[Fraction]) -> FineLots | None:
    """Data of fine lots; a step across the target counts as overshoot and costs a whole lot."""
    fine = view.is_fine
    if not fine.any():
        return None
    overstated = Fraction(0)
    if not coupled.constraints.violation_alone:
        rows = zip(coupled.block.lot_value.tolist(), chord, fine.tolist(), strict=True)
        overstated = sum((value - cost for value, cost, is_fine in rows if is_fine), overstated)
    return FineLots(view.lots_per_step.astype(float), float(overstated) * coupled.unit)


def _own_base(coupled: CoupledProblem, view: View) -> OwnBase | None:
    fractions = coupled.constraints.base_fractions
    if fractions is None:
        return None
    groups = np.array(fractions.groups, dtype=float).reshape(len(fractions.groups), 2)
    groups = groups if len(groups) else np.zeros((1, 2))
    edges = np.array(fractions.edges, dtype=float).reshape(len(fractions.edges), 2)
    return OwnBase(
        rate_value=float(coupled.constraints.rate) * _lot_values(coupled, view),
        floor_counts=float(1 - fractions.cash_least),
        ceiling_counts=float(1 - fractions.cash_most),
        group_low_share=groups[:, 0],
        group_high_share=groups[:, 1],
        band_low_share=edges[:, 0],
        band_high_share=edges[:, 1],
    )


def _edges_above(coupled: CoupledProblem, base: Integers) -> tuple[Floats, Floats]:
    """Edges of soft bands in currency above ``base`` lots; zeros without soft bands."""
    if not coupled.constraints.bands_yield:
        nothing = np.zeros(len(base))
        return nothing, nothing
    at_base = (base * coupled.block.lot_value + coupled.cash_problem.remainder).tolist()
    rows = zip(coupled.constraints.edges, at_base, strict=True)
    pairs = [(float(low - worth), float(high - worth)) for (low, high), worth in rows]
    edges = np.array(pairs).reshape(len(pairs), 2) * coupled.unit
    return edges[:, 0], edges[:, 1]


def _odd_lots(block: Block, view: View) -> OddLots | None:
    """Rows of odd lots: lots <= most lots * remaining odd remainder, for each holding."""
    if not block.odd_lots:
        return None
    rows, limits = np.zeros((len(block.odd_lots), len(view.base))), np.zeros(len(block.odd_lots))
    steps = view.lots_per_step.astype(float)
    untied = np.zeros(len(view.base))
    for row, (main, odd) in enumerate(block.odd_lots):
        most = float(view.base[main] + view.room_toward[main] + view.room_away[main])
        most, base = most / steps[main], float(view.base[main]) / steps[main]
        rows[row, main], rows[row, odd] = view.sign[main], -most * view.sign[odd]
        limits[row] = most * view.base[odd] - base
        untied[odd] = 1.0
    return OddLots(rows, limits, untied, view.approach / steps * (1.0 - untied))
