"""The engine on everything the general rules admit, against answers that share nothing with it."""

import random
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import ceil, floor, prod

import numpy as np
import pytest
import scipy.optimize

from optimization.domain.certificate import Method
from optimization.domain.drift_band import DriftBand, relative_band
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Weight, WrittenFraction
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome, Status
from optimization.domain.portfolio import Portfolio, price_targets
from optimization.drift import measure_drift
from optimization.engine import rebalance, rebalance_all
from tests.optimization.support.oracle import Row, best_by_enumeration, limit_of, rows_of

WIDE = DriftBand(Decimal(1), Decimal(1))
MAX_COMBINATIONS = 3_000
WITHIN = Fraction(1, 10**12)  # where thirds have digits without end
IDS = ("VTI", "IE00B4L5Y983", "U 12-3", "株")


def random_weights(draw: random.Random, count: int) -> list[Weight]:
    """A sum of at most 1, often exactly 1; thirds and sevenths, or 12 decimals."""
    if draw.random() < 0.4:
        parts = draw.choice((3, 6, 7, 9, 30))
        cuts = sorted(draw.randint(0, parts) for _ in range(count))
        shares = [b - a for a, b in pairwise([0, *cuts])]
        return [WrittenFraction.parse(f"{share}/{parts}") for share in shares]
    cuts = sorted(draw.randint(0, 10**12) for _ in range(count - 1))
    edges = [0, *cuts, 10**12]
    return [Decimal(b - a).scaleb(-12) for a, b in pairwise(edges)]


def random_band(draw: random.Random, weight: Weight) -> DriftBand:
    if draw.random() < 0.3:
        return relative_band(weight, Decimal(draw.choice(("0.5", "0.25", "1"))), Decimal("0.2"))
    low, high = (Decimal(draw.randint(0, 4 * 10**11)).scaleb(-12) for _ in range(2))
    return DriftBand(low, high)


def random_general(draw: random.Random) -> tuple[Model, Portfolio]:
    """Draw few shares at prices of up to 18 decimals, because then every plan can be tried."""
    count = draw.randint(1, 4)
    weights = random_weights(draw, count)
    targets = tuple(
        Target(name, weight, random_band(draw, weight))
        for name, weight in zip(IDS, weights, strict=False)
    )
    digits = draw.choice((0, 2, 9, 18))
    prices = {
        name: Decimal(draw.randint(10**digits, 40 * 10**digits)).scaleb(-digits)
        for name in (*IDS, "OLD")
    }
    held = {name: Decimal(draw.randint(0, 5)) for name in draw.sample((*IDS, "OLD"), 3)}
    if draw.random() < 0.3:
        held = {
            name: shares + Decimal(draw.randint(1, 10**18)).scaleb(-18)
            for name, shares in held.items()
        }
    cash = Decimal(draw.randint(-20 * 10**6, 200 * 10**6)).scaleb(-6)
    return Model("General", targets, ("U1",)), Portfolio("U1", cash, held, prices)


def assert_keeps_its_rules(answer: PortfolioOutcome, rows: list[Row], portfolio: Portfolio) -> None:
    """Bands, whole shares, no short position and no overdraft, and the objective that it states."""
    by_id = {row.security_id: row for row in rows}
    spent, objective = Fraction(0), Fraction(0)
    for line in answer.drifts:
        row = by_id[line.security.security_id]
        change = Fraction(line.adjusted_quantity) - row.held
        assert change.denominator == 1
        assert int(change) in row.counts
        spent += Fraction(line.adjusted_quantity) * row.price
        objective += row.drift(int(change))
    assert answer.cash_after is not None
    assert Fraction(answer.cash_after) == Fraction(portfolio.market_value) - spent >= 0
    assert answer.certificate is not None
    assert abs(Fraction(answer.certificate.objective) - objective) < WITHIN


@pytest.mark.parametrize("seed", range(6))
def test_small_general_problems_have_the_objective_of_exhaustive_enumeration(seed: int):
    draw = random.Random(seed)
    tried = {"a plan": 0, "none": 0, "cash short": 0, "a cap": 0, "fractions": 0}
    while sum(tried[outcome] for outcome in ("a plan", "none")) < 150:
        model, portfolio = random_general(draw)
        rows = rows_of(model, portfolio)
        if prod(len(row.counts) for row in rows) > MAX_COMBINATIONS or portfolio.market_value <= 0:
            continue
        best = best_by_enumeration(rows, limit_of(portfolio))
        answer = rebalance(model, portfolio)
        tried["cash short"] += (
            answer.certificate is not None and answer.certificate.method is not Method.SEPARABLE
        )
        tried["a cap"] += any(target.band.low > target.band.high for target in model.targets)
        tried["fractions"] += any(isinstance(target.weight, Fraction) for target in model.targets)
        if best is None:
            tried["none"] += 1
            assert answer.status is Status.INFEASIBLE
            continue
        tried["a plan"] += 1
        assert answer.certificate is not None, answer.refusal
        # Sums of 18 decimals are too many to list: the program's path says how far it may be off.
        gap = Fraction(answer.certificate.gap)
        assert gap == 0 or (answer.certificate.method is Method.MILP and gap < Fraction(11, 1000))
        assert -WITHIN < Fraction(answer.certificate.objective) - best < WITHIN + gap
        assert_keeps_its_rules(answer, rows, portfolio)
    assert min(tried.values()) > 5, tried


@cache
def index_of(count: int, seed: int = 1) -> tuple[Model, dict[str, Decimal]]:
    """An index of many names with weights of 12 decimals that sum to 1, prices of 18 decimals."""
    draw = random.Random(seed)
    sizes = [draw.paretovariate(1.2) for _ in range(count)]
    parts = [int(size / sum(sizes) * 10**12) for size in sizes]
    parts[0] += 10**12 - sum(parts)
    ids = [f"S{i:04d}" for i in range(count)]
    targets = tuple(
        Target(name, Decimal(part).scaleb(-12), WIDE) for name, part in zip(ids, parts, strict=True)
    )
    prices = {name: Decimal(draw.randint(10**18, 500 * 10**18)).scaleb(-18) for name in ids}
    return Model("Index", targets, ("U1",)), prices


def nearest(row: Row) -> int:
    return min((floor(row.target / row.price), ceil(row.target / row.price)), key=row.drift)


def spent_at(rows: list[Row], counts: list[int]) -> Fraction:
    return sum((z * row.price for row, z in zip(rows, counts, strict=True)), Fraction(0))


def test_an_index_of_5000_names_has_the_separable_optimum_where_there_is_cash():
    model, prices = index_of(5_000)
    # Without the largest names there is cash for the rest; a holding outside the model is sold.
    lines = tuple(target for target in model.targets if target.weight < Decimal("0.02"))
    model = Model("Most of it", lines, ("U1",))
    prices = {**prices, "USD": Decimal(1)}
    portfolio = Portfolio("U1", Decimal("2999990.01"), {"USD": Decimal(10)}, prices)
    rows = rows_of(model, portfolio)[:-1]
    assert len(rows) > 4_900
    answer = rebalance(model, portfolio)
    assert answer.certificate is not None
    assert answer.certificate.method is Method.SEPARABLE
    assert answer.after == (*(nearest(row) for row in rows), 0)
    assert Fraction(answer.certificate.objective) == sum(row.drift(nearest(row)) for row in rows)


def least_by_scipy(rows: list[Row], limit: Fraction) -> tuple[float, float]:
    """The least drift of buying from nothing by steps down from the nearest counts, and its bound.

    A step from above the target to below costs 2 t - 2 p z + p, each further one p: a knapsack
    cover.
    """
    counts = [nearest(row) for row in rows]
    base = sum((row.drift(z) for row, z in zip(rows, counts, strict=True)), Fraction(0))
    need = sum((z * row.price for row, z in zip(rows, counts, strict=True)), Fraction(0)) - limit
    assert need > 0
    costs, gains, bounds = [], [], []
    for row, z in zip(rows, counts, strict=True):
        above = z * row.price > row.target
        first = row.drift(z - 1) - row.drift(z) if z else Fraction(0)
        costs += [float(first), float(row.price)]
        gains += [float(row.price)] * 2
        bounds += [1.0 if above and z else 0.0, float(z - above if z else 0)]
    answer = scipy.optimize.milp(
        np.array(costs),
        integrality=np.ones(len(costs)),
        bounds=scipy.optimize.Bounds(np.zeros(len(costs)), np.array(bounds)),
        constraints=scipy.optimize.LinearConstraint(np.array(gains)[None, :], float(need), np.inf),
        options={"mip_rel_gap": 0.0, "time_limit": 30.0},
    )
    return float(base) + float(answer.fun), float(base) + float(answer.mip_dual_bound)


@pytest.mark.parametrize("count", [200, 5_000])
def test_an_index_without_cash_for_all_of_it_has_the_optimum_of_another_solver(count: int):
    model, prices = index_of(count)
    portfolio = Portfolio("U1", Decimal("1000000.01"), {}, prices)
    rows = rows_of(model, portfolio)
    spent = spent_at(rows, [nearest(row) for row in rows])
    # 4,321.09 less than the nearest counts of all cost.
    cash = max(Decimal(int((limit_of(portfolio) - spent) * 100) + 432_109).scaleb(-2), Decimal(0))
    answer = rebalance(model, portfolio, RebalanceOptions(cash_floor=cash))
    found, bound = least_by_scipy(rows, limit_of(portfolio, cash))
    assert answer.certificate is not None
    assert answer.certificate.method is not Method.SEPARABLE
    objective = float(answer.certificate.objective)
    assert bound - 0.001 <= objective <= found + 0.01
    assert_keeps_its_rules(answer, rows, portfolio)


def test_thirds_are_exact_and_their_digits_end_somewhere():
    third = WrittenFraction.parse("1/3")
    targets = tuple(Target(name, third, DriftBand(Decimal(0), Decimal(0))) for name in "ABC")
    prices = dict.fromkeys("ABC", Decimal(10))
    model = Model("Thirds", targets, ("U1",))
    answer = rebalance(model, Portfolio("U1", Decimal(30), {}, prices))
    assert (answer.after, answer.cash_after) == ((1, 1, 1), 0)
    assert answer.certificate is not None
    assert answer.certificate.objective == 0

    wide = Model("Thirds", tuple(Target(name, third, WIDE) for name in "ABC"), ("U1",))
    held = Portfolio("U1", Decimal(100), {}, prices)
    answer = rebalance(wide, held)
    assert answer.certificate is not None
    # Three times 33.33... less 30: exactly 10, though no third of it has digits that end.
    assert (answer.after, answer.certificate.objective) == ((3, 3, 3), 10)
    (first, *_) = measure_drift(price_targets(wide, prices), held).standings
    assert (first.target, first.deviation) == (
        Decimal("33.333333333333"),
        Decimal("-33.333333333333"),
    )


def test_a_seventh_is_inside_its_band_at_the_very_edge():
    seventh = WrittenFraction.parse("1/7")
    band = relative_band(seventh, Decimal("0.5"))
    model = Model("Edge", (Target("A", seventh, band),), ("U1",))
    prices = {"A": Decimal(1)}
    for shares, edge in ((99, "BELOW"), (100, None), (300, None), (301, "ABOVE")):
        held = Portfolio("U1", Decimal(1400 - shares), {"A": Decimal(shares)}, prices)
        (standing,) = measure_drift(price_targets(model, prices), held).standings
        assert (standing.edge and str(standing.edge)) == edge


def test_a_cap_binds_from_above_with_what_is_left_to_its_edge():
    # Of 95: half is 47.50, 48 at 8.00 are nearer than 40, but above the cap.
    cap = DriftBand(Decimal("0.2"), Decimal(0))
    model = Model("Capped", (Target("A", Decimal("0.5"), cap),), ("U1",))
    answer = rebalance(model, Portfolio("U1", Decimal(95), {}, {"A": Decimal(8)}))
    assert answer.certificate is not None
    assert answer.after == (5,)
    (binding,) = answer.certificate.binding
    assert (binding.constraint, binding.slack) == ("band.A", Decimal("7.50"))


def test_a_cap_without_a_whole_lot_is_answered_with_a_cap():
    cap = DriftBand(Decimal("0.01"), Decimal(0))
    model = Model("Capped", (Target("A", Decimal("0.5"), cap),), ("U1",))
    answer = rebalance(model, Portfolio("U1", Decimal(100), {}, {"A": Decimal(40)}))
    assert answer.refusal is not None
    (entry,) = answer.refusal.members["securities"]
    assert entry["smallest_band"] == {"low_drift": "0.1", "high_drift": "0", "lots": "1"}


@pytest.mark.parametrize("direction", ["FULL", "BUY_ONLY"])
def test_lots_of_18_decimals_are_counted_beyond_int64(direction: str):
    lot = Decimal("1E-18")
    model = Model("Ether", (Target("ETH", Decimal("0.999999999999"), WIDE),), ("U1",))
    held = Portfolio(
        "U1",
        Decimal("100000.000000000000000001"),
        {"ETH": Decimal(30)},
        {"ETH": Decimal("3411.07")},
    )
    options = RebalanceOptions(
        lots={"ETH": lot}, direction=type(RebalanceOptions().direction)(direction)
    )
    answer = rebalance(model, held, options)
    (row,) = rows_of(model, held)
    assert answer.certificate is not None
    assert Fraction(answer.certificate.objective) <= row.price * Fraction(lot) / 2
    assert answer.cash_after is not None
    assert answer.cash_after >= 0
    assert (Decimal(answer.after[0]) / lot) % 1 == 0


def test_general_answers_are_the_same_alone_and_in_a_block():
    model, prices = index_of(60, seed=7)
    accounts = [Portfolio(f"U{i}", Decimal(10_000 + 977 * i), {}, prices) for i in range(40)]
    together = rebalance_all(price_targets(model, prices), accounts)
    assert together == [rebalance(model, account) for account in accounts]


def test_a_refusal_has_its_nearest_plan_however_fine_lots_are():
    def line(name: str, weight: str, drift: str) -> Target:
        return Target(name, Decimal(weight), DriftBand(Decimal(drift), Decimal(drift)))

    lines = (line("V", "0.475", "0.2"), line("I", "0.145", "0.036"), line("U", "0.01", "0.0046"))
    prices = {"V": Decimal(14), "I": Decimal(9), "U": Decimal(33), "O": Decimal(24)}
    holdings = {"U": Decimal(4), "V": Decimal(4), "O": Decimal(5)}
    held = Portfolio("U1", Decimal("76.121142"), holdings, prices)
    options = RebalanceOptions(
        cost_rate=Decimal("0.001"), cost_per_trade=Decimal(1), lots={"V": Decimal("1E-9")}
    )
    answer = rebalance(Model("Fine", lines, ("U1",)), held, options)
    assert answer.refusal is not None
    assert [security["security_id"] for security in answer.refusal.members["securities"]] == ["U"]
    nearest = answer.refusal.members["nearest_plan"]
    assert [security["security_id"] for security in nearest["outside_band"]] == ["U"]
    assert nearest["gives"] == []
