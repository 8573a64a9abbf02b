"""The floats of the integer program of one desk: its numbers above ``base`` lots."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from optimization.exact.block import Block
from optimization.exact.constraints import BaseShares, CouplingConstraints
from optimization.exact.evaluation import VIOLATION, edge_name
from optimization.exact.scaled_integers import Integers, granularity_of, just_above, rounded
from optimization.milp.data import CoupledMilpData, FineLots, OddLots, OwnBase
from optimization.milp.sparse_form import Floats
from optimization.solvers.cash_constrained import across, hair_of
from optimization.solvers.coupled_problem import CoupledProblem, View

UNBOUNDED = 1e15  # currency; beyond any limit of a portfolio
NO_MARGINS: Mapping[str, Fraction] = MappingProxyType({})


def coupled_milp_data(
    coupled: CoupledProblem, margins: Mapping[str, Fraction] = NO_MARGINS
) -> tuple[CoupledMilpData, Integers]:
    """The program's floats, and the lots it counts from: those next to the target on the holding's side.

    ``margins`` say by how much limits are tightened, by the names that evaluation.py gives them, in units.
    """
    block, terms, view = coupled.tight.block, coupled.terms, View.of(coupled)
    steps, fine = view.lots_per_step, view.is_fine
    value = (block.lot_value * steps).astype(float) * coupled.unit
    chord = across(coupled.tight, view.base, view.sign)
    step_value, left = view.sign * value, np.minimum(view.way, view.room_back)
    rate_value, per_trade = float(terms.rate) * value, float(terms.per_trade) * coupled.unit
    way, beyond = (view.way / steps).astype(float), np.maximum(view.room_forth - ~fine, 0)
    weighed = 1.0 if terms.costs_in_objective else 0.0
    drift = 0.0 if terms.violation_alone else 1.0
    low, high = _edges_above(coupled, view.base)
    limits = _Limits(coupled, view, margins)
    limit, limit_low, turnover = limits.of_cash()
    group_value, group_low, group_high = limits.of_groups()
    own = None
    if terms.shares is not None:
        low, high = limits.of_bands()
        own = _own_base(terms.shares, rate_value)
    problem = CoupledMilpData(
        counted=terms.counted,
        sign=view.sign.astype(float),
        lot_value=value,
        step_value=step_value,
        cost_across=drift * (np.array(chord, dtype=float) * coupled.unit + weighed * rate_value),
        cost_left=drift * (value - weighed * rate_value),
        cost_further=drift * (value + weighed * rate_value),
        spent_forth=step_value + rate_value,
        spent_back=rate_value - step_value,
        chords=((view.room_forth > 0) & ~fine).astype(float),
        way=way,
        most_left=(left / steps).astype(float),
        most_away=((view.room_back - left) / steps).astype(float),
        most_beyond=(beyond / steps).astype(float),
        least_trade=(coupled.least_trades / steps).astype(float),
        per_trade=per_trade,
        cost_per_trade=drift * weighed * per_trade,
        band_low=low,
        band_high=high,
        soft_price=None if terms.soft_price is None else float(terms.soft_price),
        odd_lots=_odd_lots(block, view),
        violation_most=limits.of_violation(),
        trades=float(len(value) if terms.trades is None else terms.trades),
        limit=limit,
        limit_low=limit_low,
        turnover=turnover,
        group_value=view.sign * group_value,
        group_low=group_low,
        group_high=group_high,
        granularity=float(coupled.granularity) * coupled.unit,
        own_base=own,
        fine=_fine_lots(coupled, view, chord),
    )
    return problem, view.base


def rounded_plans(
    coupled: CoupledProblem, problem: CoupledMilpData, base: Integers, change: Floats
) -> Iterator[Integers]:
    """The lots that the solver means: the nearest ones, then those that a limit may prefer.

    Only fine lots leave a choice: a lot less traded, a lot less held, a lot more.
    """
    nearest = base + rounded(change, base)
    if problem.fine is None:
        yield nearest
        return
    before, least, (fewest, most) = (
        coupled.tight.block.before[0],
        coupled.least_trades,
        coupled.bounds,
    )
    traded, is_fine = nearest - before, problem.fine.lots_per_step > 1
    # Floats have the whole way back to no trade to 53 bits only.
    traded = np.where(abs(traded) <= abs(base - before) >> 48, 0, traded)
    sign = np.sign(traded)
    for step in (0 * sign, -sign, -abs(sign), abs(sign)):
        enough = before + sign * np.maximum(sign * (traded + step), least)
        lots = np.minimum(np.maximum(np.where(traded == 0, before, enough), fewest), most)
        yield np.where(is_fine, lots, nearest)


def _fine_lots(coupled: CoupledProblem, view: View, chord: Sequence[Fraction]) -> FineLots | None:
    """Lots that the program cannot count; a step across the target is one beyond it there, which costs a whole lot."""
    fine = view.is_fine
    if not fine.any():
        return None
    overstated = Fraction(0)
    if not coupled.terms.violation_alone:
        rows = zip(coupled.tight.block.lot_value.tolist(), chord, fine.tolist(), strict=True)
        overstated = sum((value - across for value, across, is_fine in rows if is_fine), overstated)
    return FineLots(view.lots_per_step.astype(float), float(overstated) * coupled.unit)


def _own_base(shares: BaseShares, rate_value: Floats) -> OwnBase:
    groups = np.array(shares.groups, dtype=float).reshape(len(shares.groups), 2)
    groups = groups if len(groups) else np.zeros((1, 2))
    edges = np.array(shares.edges, dtype=float).reshape(len(shares.edges), 2)
    return OwnBase(
        rate_value=rate_value,
        floor_counts=float(1 - shares.cash_least),
        ceiling_counts=float(1 - shares.cash_most),
        group_low_share=groups[:, 0],
        group_high_share=groups[:, 1],
        band_low_share=edges[:, 0],
        band_high_share=edges[:, 1],
    )


def _edges_above(coupled: CoupledProblem, base: Integers) -> tuple[Floats, Floats]:
    """The edges of the bands, in currency above ``base`` lots; soft bands alone have any."""
    if not coupled.terms.bands_yield:
        nothing = np.zeros(len(base))
        return nothing, nothing
    at_base = (base * coupled.tight.block.lot_value + coupled.tight.remainder).tolist()
    rows = zip(coupled.terms.edges, at_base, strict=True)
    pairs = [(float(low - worth), float(high - worth)) for (low, high), worth in rows]
    edges = np.array(pairs).reshape(len(pairs), 2) * coupled.unit
    return edges[:, 0], edges[:, 1]


def _odd_lots(block: Block, view: View) -> OddLots | None:
    """Lots of a holding are at most as many as can be, times what is left of its odd remainder."""
    if not block.odd_lots:
        return None
    rows, limits = np.zeros((len(block.odd_lots), len(view.base))), np.zeros(len(block.odd_lots))
    steps = view.lots_per_step.astype(float)
    untied = np.zeros(len(view.base))
    for row, (main, odd) in enumerate(block.odd_lots):
        most = float(view.base[main] + view.room_forth[main] + view.room_back[main])
        most, base = most / steps[main], float(view.base[main]) / steps[main]
        rows[row, main], rows[row, odd] = view.sign[main], -most * view.sign[odd]
        limits[row] = most * view.base[odd] - base
        untied[odd] = 1.0
    return OddLots(rows, limits, untied, view.way / steps * (1.0 - untied))


@dataclass(frozen=True, slots=True, eq=False)
class _Limits:
    """The limits on sums of money as the program has them: less ``base`` lots, the way there, and margins.

    With shares of the base, at the base that the way there leaves; the program moves them for further costs.
    """

    coupled: CoupledProblem
    view: View
    margins: Mapping[str, Fraction]

    def of_cash(self) -> tuple[float, float, float]:
        """What may be spent at most and at least, and what may be traded."""
        terms, block = self._terms, self.coupled.tight.block
        invested, way = sum(self._worth), terms.rate * self._turnover
        cash = int(block.market_value[0]) - invested - way
        p = [Fraction(value) for value in block.lot_value.tolist()]
        traded = ceiling = granularity_of(p)
        floor, left = granularity_of([*p, *self._costs(Fraction(1))]), int(block.base[0]) - invested
        if terms.shares is not None:
            floor = granularity_of([*p, *self._costs(1 - terms.shares.cash_least)])
            ceiling, left = granularity_of([*p, *self._costs(1 - terms.shares.cash_most)]), cash
        least = None if terms.cash_most is None else terms.cash_most - left
        cap = None if terms.turnover is None else terms.turnover - self._turnover
        return (
            self._most("cash_floor", cash - terms.cash_least, floor),
            -self._most("cash_ceiling", least, ceiling),
            self._most("turnover_cap", cap, traded),
        )

    def of_violation(self) -> float | None:
        """What all positions together may be outside their bands."""
        limit = self.coupled.terms.violation_most
        return None if limit is None else self._most(VIOLATION, limit, self.coupled.violation_grain)

    def of_groups(self) -> tuple[Floats, Floats, Floats]:
        """Rows over the lots above ``base``; one that binds nothing where there are no groups."""
        terms, lot_value = self._terms, self.coupled.tight.block.lot_value
        rows = np.zeros((max(1, len(terms.groups)), len(self.view.base)))
        low, high = np.zeros(len(rows)), np.zeros(len(rows))
        for row, group in enumerate(terms.groups):
            columns = sorted(group.columns)
            worth = lot_value[columns] * self.view.lots_per_step[columns]
            rows[row, columns] = worth.astype(float) * self.coupled.unit
            at_base = sum(self._worth[column] for column in columns)
            values: list[int] = lot_value[columns].tolist()
            shares = (Fraction(0),) * 2 if terms.shares is None else terms.shares.groups[row]
            under, over = (granularity_of([*values, *self._costs(share)]) for share in shares)
            name = f"groups.{group.name}"
            low[row] = -self._most(f"{name}.low", at_base - group.low, under)
            high[row] = self._most(f"{name}.high", group.high - at_base, over)
        return rows, low, high

    def of_bands(self) -> tuple[Floats, Floats]:
        """The edges of bands that are limits."""
        terms, values = self._terms, self.coupled.tight.block.lot_value.tolist()
        low, high = np.zeros(len(values)), np.zeros(len(values))
        shares = terms.shares.edges if terms.shares is not None else ()
        rows = zip(terms.edges, shares, self._worth, values, strict=True)
        for column, ((least, most), (low_share, high_share), worth, value) in enumerate(rows):
            under, over = (
                granularity_of([value, *self._costs(s)]) for s in (low_share, high_share)
            )
            low[column] = -self._most(edge_name(column, "low"), worth - least, under)
            high[column] = self._most(edge_name(column, "high"), most - worth, over)
        return low, high

    @property
    def _terms(self) -> CouplingConstraints:
        terms = self.coupled.terms
        if terms.shares is None:
            return terms
        way = terms.rate * self._turnover
        return terms.lowered(terms.shares, way - self.coupled.tight.block.costs)

    @property
    def _turnover(self) -> int:
        """What the way from the holdings to ``base`` moves."""
        return int((self.view.way * self.coupled.tight.block.lot_value).sum())

    def _costs(self, share: Fraction) -> list[Fraction]:
        """What the costs of a lot, and of a trade, add to a sum that has such a share of them."""
        terms, values = self.coupled.terms, self.coupled.tight.block.lot_value.tolist()
        return [share * terms.per_trade, *(share * terms.rate * value for value in values)]

    @property
    def _worth(self) -> list[int]:
        return (
            self.view.base * self.coupled.tight.block.lot_value + self.coupled.tight.remainder
        ).tolist()

    def _most(self, name: str, limit: Fraction | None, granularity: Fraction) -> float:
        if limit is None:
            return UNBOUNDED
        limit = just_above(limit, granularity, hair_of(self.coupled.tight.block))
        return float(limit - self.margins.get(name, 0)) * self.coupled.unit
