"""Binding constraints: the restrictions and bands that keep a plan from the nearest lots."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from optimization.domain.certificate import Binding
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import PricedTarget
from optimization.exact.block import Bands, Block, lot_limits
from optimization.exact.restrictions import restricting_option
from optimization.exact.scaled_integers import Integers, fraction_to_decimal
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.separable import nearest_lots


def find_binding_constraints(
    block: Block,
    bands: Bands,
    lots: Integers,
    securities: Sequence[PricedTarget],
    options: RebalanceOptions,
    *,
    bands_yield: bool = False,
) -> tuple[Binding, ...]:
    """Find the restrictions and bands that bind the plan of one portfolio (B = 1).

    ``lots`` has shape (n,). A constraint binds if the next lot towards the target would violate it.
    A restriction appears once, by its option, with slack 0; a band by its security, with the slack
    to its edge.
    """
    nearest = np.maximum(nearest_lots(block, bands)[0], 0)
    allowed, inside = lot_limits(block, bands), lot_limits(block.without_bounds(), bands)
    if bands_yield:
        allowed = (block.least, block.most)
    found: dict[str, Binding] = {}
    for column in np.flatnonzero(nearest != lots).tolist():
        buying = bool(nearest[column] > lots[column])
        if not _is_reached(allowed, column, lots, buying=buying):
            continue
        security_id = securities[column].security_id
        if not bands_yield and _is_reached(inside, column, lots, buying=buying):
            name, slack = f"band.{security_id}", _slack_to_edge(block, column, lots, upper=buying)
        else:
            name, slack = restricting_option(options, security_id, buying=buying), Fraction(0)
        found[name] = Binding(name, fraction_to_decimal(slack, block.decimals))
    return tuple(found[name] for name in sorted(found))


def add_binding_bands(
    plans: Mapping[int, Plan],
    block: Block,
    bands: Bands,
    securities: Sequence[PricedTarget],
    options: RebalanceOptions,
) -> dict[int, Plan]:
    """Add the binding bands to the certificates of plans inside them, by row of the block."""
    explained = dict(plans)
    if not plans:
        return explained
    rows, lots = [*plans], np.stack([plan.lots for plan in plans.values()])
    block, bands = block.select_rows(rows), bands.select_rows(rows)
    nearest, (fewest, most) = np.maximum(nearest_lots(block, bands), 0), lot_limits(block, bands)
    is_reached = ((nearest > lots) & (lots == most)) | ((nearest < lots) & (lots == fewest))
    for at in np.flatnonzero(is_reached.any(axis=1)).tolist():
        one = block.select_rows([at]), bands.select_rows([at])
        plan, binding = (
            plans[rows[at]],
            find_binding_constraints(*one, lots[at], securities, options),
        )
        certificate = replace(plan.certificate, binding=plan.certificate.binding + binding)
        explained[rows[at]] = replace(plan, certificate=certificate)
    return explained


def _is_reached(
    limits: tuple[Integers | None, Integers | None], column: int, lots: Integers, *, buying: bool
) -> bool:
    """Whether a position is at its fewest, or most, lots."""
    limit = limits[buying]
    return limit is not None and bool(limit[0, column] == lots[column])


def _slack_to_edge(block: Block, column: int, lots: Integers, *, upper: bool) -> Fraction:
    """Distance of a position from the upper or lower edge of its band, inside it, in units."""
    drift = int(block.high[column]) if upper else -int(block.low[column])
    weight = Fraction(int(block.weight[column]) + drift, block.denominator)
    rest = int(block.remainder[0, column % block.remainder.shape[1]])
    value = int(lots[column]) * int(block.lot_value[column]) + rest
    return abs(value - int(block.base[0]) * weight)
