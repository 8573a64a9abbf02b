"""Clear plan: the nearest plan, found without a MILP where a MILP could return no other.

With soft bands, the price of a security is its drift plus its violation at the price of a unit
outside a band, which is convex in its lots. The minimum is next to an edge of the band or next to
the target. If these lots keep the cash floor, they are the optimum. They are *clear* if every other
number of lots costs more by at least the error that the solver may leave, because the solver would
then find the same plan.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from optimization.exact.scaled_integers import Integers
from optimization.milp.data import ABSOLUTE_GAP
from optimization.solvers.coupled_problem import CoupledProblem, View

PART_OF_PRICES = 1e-7  # solver tolerance, as a fraction of the price of a lot of each security

Price = Callable[[int], int]
"""Price of some lots of a security, in parts of a unit over the denominator of a unit's price."""


def find_clear_plan(coupled: CoupledProblem) -> Integers | None:
    """Find the clear plan; None without one, or if more than the cash floor couples securities.

    ``coupled`` has soft bands.
    """
    constraints, block = coupled.constraints, coupled.block
    price = constraints.soft_price
    is_free = (
        constraints.cash_floor_alone and constraints.base_fractions is None and not block.odd_lots
    )
    if price is None or not is_free or View.from_problem(coupled).is_fine.any():
        return None
    of_tolerances = PART_OF_PRICES * float(price + 1) * float(block.lot_value.sum()) * coupled.unit
    parts = 10**block.decimals * block.denominator * price.denominator
    gap = Fraction(2 * ABSOLUTE_GAP + of_tolerances) * parts
    lots: list[int] = []
    for near, fewest, most, compute_price in _choices(coupled, price):
        best = min(near, key=compute_price)
        others = {max(best - 1, fewest), min(best + 1, most)} - {best}
        if any(compute_price(other) - compute_price(best) <= gap for other in others):
            return None
        lots.append(best)
    plan = np.array(lots, dtype=block.before.dtype)
    is_plan = coupled.keeps_bands(plan) and not coupled.evaluate(plan).violated_limits
    return plan if is_plan else None


def _choices(
    coupled: CoupledProblem, price: Fraction
) -> Iterator[tuple[set[int], int, int, Price]]:
    """Yield for each security: the lots that may be best, the bounds on lots, and the price."""
    block, bands, parts = coupled.block, coupled.bands, coupled.block.denominator
    least, most = coupled.bounds
    rows = zip(
        block.lot_value.tolist(),
        coupled.cash_problem.remainder.tolist(),
        coupled.constraints.edges,
        bands.target[0].tolist(),
        bands.part[0].tolist(),
        least.tolist(),
        most.tolist(),
        strict=True,
    )
    for lot_value, rest, (low, high), target, part, fewest, greatest in rows:
        value, aim = lot_value * parts, target * parts + part
        bottom, top = (int((edge - rest) * parts) for edge in (low, high))

        def compute_price(
            lots: int, value: int = value, bottom: int = bottom, top: int = top, aim: int = aim
        ) -> int:
            worth = lots * value
            outside = max(bottom - worth, worth - top, 0)
            return price.denominator * abs(aim - worth) + price.numerator * outside

        near = {at // value + step for at in (bottom, top, aim) for step in (0, 1)}
        yield {min(max(lots, fewest), greatest) for lots in near}, fewest, greatest, compute_price
