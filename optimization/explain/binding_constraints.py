"""Binding constraints: restrictions and bands that keep plans off the lots nearest to target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optimization.domain.certificate import Binding
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import PricedTarget
from optimization.exact.binding_rows import BindingRows
from optimization.exact.block import Bands, Block, lot_limits
from optimization.exact.restrictions import restricting_option
from optimization.exact.scaled_column import InCurrency, parts_to_column
from optimization.exact.scaled_integers import Integers
from optimization.exact.trade_sizes import VALUE, VOLUME, MostTraded
from optimization.exact.verification import could_overflow
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.separable import nearest_lots

SIZES: Final = (None, VALUE, VOLUME)
KINDS: Final = 1 + 2 * len(SIZES)  # number of constraints on one security


def find_binding_constraints(
    block: Block,
    bands: Bands,
    lots: Integers,
    securities: Sequence[PricedTarget],
    options: RebalanceOptions,
    *,
    bands_yield: bool = False,
) -> tuple[Binding, ...]:
    """Find the restrictions and bands that bind the plan of one portfolio (B = 1), by name.

    ``lots`` has shape (n,).
    """
    allowed = lot_limits(block, bands) if not bands_yield else (block.least, block.most)
    bound = _find(block, bands, lots[None, :], allowed, bands_yield=bands_yield)
    bound = _with_sizes(bound, block, lots[None, :], securities, options)
    return _build_rows(bound, block, securities, options, None).read_row(0)


def find_binding_rows(
    block: Block,
    bands: Bands,
    lots: Integers,
    securities: Sequence[PricedTarget],
    options: RebalanceOptions,
    in_currency: InCurrency | None = None,
) -> BindingRows:
    """Find the restrictions and bands that bind the plans of a block, whose bands hold.

    ``lots`` has shape (B, n). A constraint binds if the next lot towards the target would violate
    it. A restriction appears once, by its option, with slack 0; a band by its security, with the
    slack to its edge.
    """
    bound = _find(block, bands, lots, lot_limits(block, bands), bands_yield=False)
    bound = _with_sizes(bound, block, lots, securities, options)
    return _build_rows(bound, block, securities, options, in_currency)


@dataclass(frozen=True, slots=True, eq=False)
class _Bound:
    """Positions that a constraint keeps off the lots nearest to their targets; shape (K,)."""

    row: NDArray[np.intp]
    column: NDArray[np.intp]
    is_bought: NDArray[np.bool_]  # the next lot towards the target would be a purchase
    is_band: NDArray[np.bool_]  # the band forbids it, otherwise a restriction
    slack: Integers  # distance to the edge of the band, units / denominator; 0 for a restriction
    of_size: Integers  # place in SIZES of the option whose maximum trade is reached; 0 for none


def _find(
    block: Block,
    bands: Bands,
    lots: Integers,
    allowed: tuple[Integers | None, Integers | None],
    *,
    bands_yield: bool,
) -> _Bound:
    nearest = np.maximum(nearest_lots(block, bands), 0)
    row, column = np.nonzero((nearest != lots) & _is_reached(allowed, lots, nearest > lots))
    is_bought = (nearest > lots)[row, column]
    is_band = np.zeros(len(row), dtype=bool)
    if not bands_yield:
        inside = lot_limits(block.without_bounds(), bands)
        is_band = _is_reached(inside, lots, nearest > lots)[row, column]
    value = (lots * block.lot_value + block.remainder)[row, column]
    slack = np.where(is_band, _distance_to_edge(block, value, row, column, is_bought), 0)
    return _Bound(row, column, is_bought, is_band, slack, np.zeros(len(row), dtype=np.intp))


def _with_sizes(
    bound: _Bound,
    block: Block,
    lots: Integers,
    securities: Sequence[PricedTarget],
    options: RebalanceOptions,
) -> _Bound:
    """Find the positions whose next lot would exceed the maximum of a single trade."""
    if not options.limits_trade_size or not len(bound.row):
        return bound
    at, sizes = (bound.row, bound.column), MostTraded.from_options(block, securities, options)
    further = lots[at] + np.where(bound.is_bought, 1, -1)
    is_reached = np.abs(further - block.before[at]) > sizes.lots[at]
    of_size = np.where(is_reached, np.where(sizes.by_volume[at], 2, 1), 0)
    return replace(bound, of_size=of_size)


def _is_reached(
    limits: tuple[Integers | None, Integers | None], lots: Integers, is_bought: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether each position is at its maximum if it is bought, else at its minimum."""
    fewest, most = limits
    if fewest is None or most is None:
        return np.zeros(lots.shape, dtype=bool)
    return np.where(is_bought, lots == most, lots == fewest).astype(bool)


def _distance_to_edge(
    block: Block,
    value: Integers,
    row: NDArray[np.intp],
    column: NDArray[np.intp],
    is_upper: NDArray[np.bool_],
) -> Integers:
    """Distance of positions from the upper or lower edge of their bands, in units / denominator."""
    weight = block.weight[column] + np.where(is_upper, block.high[column], -block.low[column])
    base = block.base[row]
    # Python integers, because products beyond 64 bits would otherwise wrap around.
    if could_overflow(block, value):
        value, base, weight = value.astype(object), base.astype(object), weight.astype(object)
    return np.abs(value * block.denominator - base * weight)


def _build_rows(
    bound: _Bound,
    block: Block,
    securities: Sequence[PricedTarget],
    options: RebalanceOptions,
    in_currency: InCurrency | None,
) -> BindingRows:
    """Name the constraints, each once per portfolio."""
    if not len(bound.row):
        return BindingRows.none()
    # The keys are numbers, because a name for each position would cost more.
    kinds = np.where(bound.is_band, 0, 1 + 2 * bound.of_size + bound.is_bought)
    used, kind = np.unique(KINDS * bound.column + kinds, return_inverse=True)
    pairs = (divmod(number, KINDS) for number in used.tolist())
    named = [
        _name_constraint(securities[column].security_id, code, options) for column, code in pairs
    ]
    names = tuple(sorted(set(named)))
    places = {name: at for at, name in enumerate(names)}
    place = np.array([places[name] for name in named])[kind]
    # Reversed, because np.unique keeps the first duplicate, and of two columns of a security the
    # last must win.
    key, last = np.unique((bound.row * len(names) + place)[::-1], return_index=True)
    rows = (key // len(names)).astype(np.int32)
    slacks = parts_to_column(
        bound.slack[::-1][last], rows, block.denominator, block.decimals, in_currency
    )
    return BindingRows(rows, (key % len(names)).astype(np.int32), slacks, names)


def _name_constraint(security_id: str, kind: int, options: RebalanceOptions) -> str:
    """Name a constraint: 0 for the band, else 1 + 2 of_size + (1 if it forbids a purchase)."""
    if kind == 0:
        return f"band.{security_id}"
    size, is_bought = divmod(kind - 1, 2)
    return restricting_option(options, security_id, buying=bool(is_bought), of_size=SIZES[size])


def add_binding_bands(
    plans: Mapping[int, Plan],
    block: Block,
    bands: Bands,
    securities: Sequence[PricedTarget],
    options: RebalanceOptions,
) -> dict[int, Plan]:
    """Add the binding bands to the certificates of plans inside them, by row of the block."""
    certified = dict(plans)
    if not plans:
        return certified
    rows, lots = [*plans], np.stack([plan.lots for plan in plans.values()])
    binding_rows = find_binding_rows(
        block.select_rows(rows), bands.select_rows(rows), lots, securities, options
    )
    for at in np.unique(binding_rows.rows).tolist():
        plan, binding = plans[rows[at]], binding_rows.read_row(at)
        certificate = replace(plan.certificate, binding=plan.certificate.binding + binding)
        certified[rows[at]] = replace(plan, certificate=certificate)
    return certified
