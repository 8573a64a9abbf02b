"""One portfolio under options that couple: the CVXPY program, verified exactly; fewest trades; the nearest plan."""

from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

import numpy as np

from optimization import program
from optimization.certificate import Binding, Certificate, Method, Proof, broken
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.separable import drift_of, lot_limits, nearest_lots
from optimization.terms import Evaluated, Limit, Terms, evaluate
from optimization.tight import REPAIRS, SOLVER, Plan, Tight
from optimization.units import Integers, fraction_to_decimal

UNBOUNDED = 1e15  # currency; beyond any limit of a portfolio
BAND_PRICE = 1000.0  # of one unit of value outside a band in the nearest plan, against drift


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """One portfolio, its separable optimum and its terms."""

    tight: Tight
    terms: Terms

    def evaluated(self, lots: Integers) -> Evaluated:
        """The exact objective, cost and limits of a plan."""
        return evaluate(self.terms, self.tight.block, self.tight.bands, lots)

    def keeps_bands(self, lots: Integers) -> bool:
        """Whether a plan is inside every band and restriction and short of nothing."""
        if self.terms.soft_price is None:
            return not broken(self.tight.block, lots[None, :])[0, :2].any()
        least, most = self.bounds
        return bool(((lots >= least) & (lots <= most)).all())

    @property
    def unit(self) -> float:
        """A unit of money in currency."""
        return 10.0**-self.tight.block.decimals

    @property
    def bounds(self) -> tuple[Integers, Integers]:
        """Fewest and most lots: of the bands, or of the restrictions alone where bands are soft."""
        block, bands = self.tight.block, self.tight.bands
        if self.terms.soft_price is None:
            fewest, most = lot_limits(block, bands)
            return fewest[0], most[0]
        return self.soft_bounds

    @property
    def soft_bounds(self) -> tuple[Integers, Integers]:
        """No short position, the restrictions, and nothing beyond what any plan can need."""
        block, bands = self.tight.block, self.tight.bands
        trade = max(self.terms.least_trade, default=1)
        useful = np.maximum(lot_limits(block, bands)[0][0], block.before[0]) + trade
        most = np.maximum(np.maximum(bands.target[0] // block.lot_value + 1, useful), 0)
        most = np.maximum(most, block.market_value[0] // block.lot_value)
        least = np.zeros_like(most)
        if block.least is not None and block.most is not None:
            least, most = np.maximum(least, block.least[0]), np.minimum(most, block.most[0])
        return least, most

    def without_band(self) -> Integers:
        """Columns where no count of lots is inside band, restriction and minimum trade at once."""
        fewest, most = self.bounds
        before = self.tight.block.before[0]
        least = np.array(self.terms.least_trade, dtype=before.dtype)
        stays = (fewest <= before) & (before <= most)
        buys = np.maximum(fewest, before + least) <= most
        sells = fewest <= np.minimum(most, before - least)
        return np.flatnonzero(~(stays | buys | sells))


def solve_desk(desk: Desk, time_limit_s: float, *, fewest_trades: bool) -> Plan | None:
    """The optimum under the terms; None where the solver finds that there is none."""
    if len(desk.without_band()):
        return None
    plan = _separable(desk) or _programmed(desk, time_limit_s)
    if plan is None or not fewest_trades:
        return plan
    return with_fewest_trades(desk, plan, time_limit_s)


def _separable(desk: Desk) -> Plan | None:
    """The separable optimum where it keeps every limit: it is then the optimum of the whole."""
    terms, lots = desk.terms, desk.tight.lots
    if terms.costs_in_objective or terms.soft_price is not None or not desk.keeps_bands(lots):
        return None
    found = desk.evaluated(lots)
    if found.broken:
        return None
    objective = fraction_to_decimal(found.objective, desk.tight.block.decimals)
    certificate = Certificate(Proof.OPTIMAL, Method.SEPARABLE, objective, objective)
    return Plan(lots, certificate, fraction_to_decimal(found.cost, desk.tight.block.decimals))


def _programmed(desk: Desk, time_limit_s: float) -> Plan | None:
    problem, base = desk_problem(desk, *desk.bounds)
    names: tuple[str, ...] = ()
    for _ in range(REPAIRS):
        answer, change = program.solve_desk(problem, time_limit_s)
        if answer.infeasible:
            return None
        if change is None:
            raise NoSolutionInTimeError(desk.tight.portfolio_id, time_limit_s)
        lots = _whole(base, change)
        found = desk.evaluated(lots)
        if desk.keeps_bands(lots) and not found.broken:
            return _plan(desk, lots, base, found, answer)
        # A limit met only within the solver's tolerance: ask again with that tolerance taken off.
        problem = problem.tightened()
        names = tuple(limit.option for limit in found.broken) or ("a band",)
    raise CertificationError(desk.tight.portfolio_id, names)


def with_fewest_trades(desk: Desk, plan: Plan, time_limit_s: float) -> Plan:
    """A plan of the same objective with fewer trades, if the solver finds one; else the same plan."""
    problem, base = desk_problem(desk, *desk.bounds)
    first = desk.evaluated(plan.lots)
    above_base = float(first.objective - _base_drift(desk, base)) * desk.unit
    problem = replace(problem, objective_most=above_base + 1e-6)
    change = program.solve_fewest_trades(problem, time_limit_s)[1]
    if change is None:
        return plan
    lots = _whole(base, change)
    found = desk.evaluated(lots)
    before = desk.tight.block.before[0]
    fewer = (lots != before).sum() < (plan.lots != before).sum()
    if not (fewer and desk.keeps_bands(lots)) or found.broken or found.objective > first.objective:
        return plan
    cost = fraction_to_decimal(found.cost, desk.tight.block.decimals)
    objective = fraction_to_decimal(found.objective, desk.tight.block.decimals)
    return Plan(lots, replace(plan.certificate, objective=objective), cost)


def conflict(desk: Desk, time_limit_s: float) -> tuple[Limit, ...]:
    """The limits that exclude each other while every band holds, each with what it would have to give."""
    return _relaxed(desk, time_limit_s, give_floor=UNBOUNDED, give_others=UNBOUNDED)[1]


def nearest_plan(desk: Desk, time_limit_s: float) -> Integers | None:
    """The plan that leaves bands by as little as it must, and limits only if it must.

    None if every plan overdraws the account.
    """
    if desk.terms.soft_price is None:
        price, no_minimum = Fraction(BAND_PRICE), (1,) * len(desk.terms.least_trade)
        soft = replace(desk.terms, soft_price=price, least_trade=no_minimum)
        desk = replace(desk, terms=soft)
    floor = max(0.0, float(desk.terms.cash_least) * desk.unit)
    for give_floor, give_others in ((0.0, 0.0), (floor, UNBOUNDED)):
        lots = _relaxed(desk, time_limit_s, give_floor=give_floor, give_others=give_others)[0]
        if lots is not None:
            return lots
    return None


def _relaxed(
    desk: Desk, time_limit_s: float, *, give_floor: float, give_others: float
) -> tuple[Integers | None, tuple[Limit, ...]]:
    """The best plan when limits may give so much, and the limits that do."""
    problem, base = desk_problem(desk, *desk.bounds)
    problem = replace(problem, give_floor=give_floor, give_others=give_others)
    for _ in range(REPAIRS):
        change = program.solve_desk(problem, time_limit_s)[1]
        if change is None:
            return None, ()
        lots = _whole(base, change)
        broken_limits = desk.evaluated(lots).broken
        if give_others or not broken_limits:
            return lots, broken_limits
        problem = problem.tightened()
    return None, ()


def desk_problem(
    desk: Desk, fewest: Integers, most: Integers
) -> tuple[program.DeskProblem, Integers]:
    """The program's floats, and the lots ``k`` they count from: those at or just below each target."""
    block, bands, terms, unit = desk.tight.block, desk.tight.bands, desk.terms, desk.unit
    lot_value = block.lot_value
    base = np.minimum(np.maximum(bands.target[0] // lot_value, fewest), most)
    before = block.before[0]
    value = lot_value.astype(float) * unit
    away = (bands.target[0] - base * lot_value).astype(float)
    away = (away + bands.part[0].astype(float) / block.denominator) * unit
    invested = int((base * lot_value + desk.tight.remainder).sum())
    cash = int(block.market_value[0]) - invested
    rate_value, per_trade = float(terms.rate) * value, float(terms.per_trade) * unit
    counts = 1.0 if terms.costs_in_objective else 0.0
    soft = terms.soft_price is not None
    everything = (most - fewest).astype(float) * value + 1.0
    low, high = _edges_above(desk, base) if soft else (-everything, everything)
    group_value, group_low, group_high = _group_rows(desk, base)
    problem = program.DeskProblem(
        lot_value=value,
        chord=np.abs(away - value) - np.abs(away),
        chords=(base < most).astype(float),
        most_down=(base - fewest).astype(float),
        most_up=np.maximum(most - base - 1, 0).astype(float),
        base_trade=(base - before).astype(float),
        most_buy=np.maximum(most - before, 0).astype(float),
        most_sell=np.maximum(before - fewest, 0).astype(float),
        least_trade=np.array(terms.least_trade, dtype=float),
        rate_value=rate_value,
        per_trade=per_trade,
        objective_rate_value=rate_value * counts,
        objective_per_trade=per_trade * counts,
        band_low=low,
        band_high=high,
        soft_price=float(terms.soft_price) if terms.soft_price is not None else 0.0,
        limit=float(cash - terms.cash_least) * unit,
        limit_low=_money(None if terms.cash_most is None else cash - terms.cash_most, unit, -1),
        turnover=_money(terms.turnover, unit, 1),
        trades=float(len(base) if terms.trades is None else terms.trades),
        group_value=group_value,
        group_low=group_low,
        group_high=group_high,
    )
    return problem, base


def _edges_above(desk: Desk, base: Integers) -> tuple[program.Floats, program.Floats]:
    """The edges of the bands, in currency above ``base`` lots."""
    at_base = (base * desk.tight.block.lot_value + desk.tight.remainder).tolist()
    rows = zip(desk.terms.edges, at_base, strict=True)
    pairs = [(float(low - worth), float(high - worth)) for (low, high), worth in rows]
    edges = np.array(pairs).reshape(len(pairs), 2) * desk.unit
    return edges[:, 0], edges[:, 1]


def _money(units: Fraction | None, unit: float, sign: int) -> float:
    return sign * UNBOUNDED if units is None else float(units) * unit


def _group_rows(
    desk: Desk, base: Integers
) -> tuple[program.Floats, program.Floats, program.Floats]:
    """Rows over the lots above ``base``; one that binds nothing where there are no groups."""
    block, groups, count = desk.tight.block, desk.terms.groups, len(base)
    rows = np.zeros((max(1, len(groups)), count))
    low, high = np.zeros(len(rows)), np.zeros(len(rows))
    worth = (base * block.lot_value + desk.tight.remainder).tolist()
    for row, group in enumerate(groups):
        columns = sorted(group.columns)
        rows[row, columns] = block.lot_value[columns].astype(float) * desk.unit
        at_base = sum(worth[column] for column in columns)
        low[row] = float(group.low - at_base) * desk.unit
        high[row] = float(group.high - at_base) * desk.unit
    return rows, low, high


def _whole(base: Integers, change: program.Floats) -> Integers:
    return base + np.rint(change).astype(np.int64).astype(base.dtype)


def _base_drift(desk: Desk, base: Integers) -> Fraction:
    block = desk.tight.block
    return Fraction(drift_of(block, desk.tight.bands, base[None, :])[0], block.denominator)


def _plan(
    desk: Desk, lots: Integers, base: Integers, found: Evaluated, answer: program.SolverAnswer
) -> Plan:
    decimals = desk.tight.block.decimals
    objective = fraction_to_decimal(found.objective, decimals)
    solver = Decimal(answer.bound).quantize(Decimal("0.0001"), ROUND_FLOOR)
    solver += fraction_to_decimal(_base_drift(desk, base), decimals)
    lower = min(objective, max(solver, _separable_bound(desk)))
    proof = Proof.FEASIBLE_TIME_LIMIT
    if answer.proven:
        proof = Proof.OPTIMAL if lower == objective else Proof.OPTIMAL_WITHIN_GAP
    certificate = Certificate(
        proof, Method.MILP, objective, lower, _binding(desk, found), SOLVER, answer.seconds
    )
    return Plan(lots, certificate, fraction_to_decimal(found.cost, decimals))


def _separable_bound(desk: Desk) -> Decimal:
    """Drift without any coupling: no plan has less, whatever its costs."""
    if desk.terms.soft_price is None:
        return desk.tight.drift(desk.tight.lots)
    return desk.tight.drift(nearest_lots(desk.tight.block, desk.tight.bands)[0])


def _binding(desk: Desk, found: Evaluated) -> tuple[Binding, ...]:
    """The limits that one more lot of something could break."""
    lot = max(desk.tight.block.lot_value.tolist(), default=0)
    decimals = desk.tight.block.decimals
    return tuple(
        Binding(limit.option, Decimal(int(limit.slack)))
        if limit.option == "maximum_trades"
        else Binding(limit.option, fraction_to_decimal(limit.slack, decimals))
        for limit in found.limits
        if limit.slack < (1 if limit.option == "maximum_trades" else lot)
    )
