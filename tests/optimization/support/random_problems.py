"""Random rebalancing problems, as Hypothesis strategies and from a numpy generator."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Percent
from optimization.domain.option_values import Direction, GroupBand, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio
from optimization.errors import OptionsConflictError

PORTFOLIO = "P" * 24


def security_id(index: int) -> str:
    return f"{index:024d}"


@st.composite
def small_problems(draw: st.DrawFn) -> tuple[Model, Portfolio]:
    """Up to four securities and few enough share counts to try them all."""
    count = draw(st.integers(1, 4))
    digits = draw(st.sampled_from([0, 2, 2, 6]))
    price = st.integers(10**digits, 400 * 10**digits).map(lambda p: Decimal(p).scaleb(-digits))
    prices = {security_id(i): draw(price) for i in range(count)}
    steps = draw(st.lists(st.integers(0, 60), min_size=count, max_size=count))
    while sum(steps) > 190:
        steps = [step // 2 for step in steps]
    weights = [Decimal(5 * step).scaleb(-3) for step in steps]
    drift = st.integers(0, 120).map(lambda d: Decimal(d).scaleb(-3))
    targets: list[Target] = []
    for i, weight in enumerate(weights):
        low, high = sorted((draw(drift), draw(drift)))
        targets.append(Target(security_id(i), weight, DriftBand(low, high)))
    whole = st.integers(-2, 12).map(Decimal)
    broken = st.integers(-150, 900).map(lambda u: Decimal(u).scaleb(-2))
    shares = draw(st.sampled_from([whole, whole, broken]))
    holdings = {security: draw(shares) for security in prices if draw(st.booleans())}
    cash = Decimal(draw(st.integers(-50_000, 400_000))).scaleb(-2)
    return Model("random", tuple(targets), (PORTFOLIO,)), Portfolio(
        PORTFOLIO, cash, holdings, prices
    )


def random_problem(
    rng: np.random.Generator, count: int, market_value: float, *, drift: float, digits: int = 2
) -> tuple[Model, Portfolio]:
    """Prices lognormal around 80 (2..4000), weights in steps of 0.005 that sum to 0.95."""
    price = np.clip(rng.lognormal(np.log(80), 0.8, count), 2, 4000)
    prices = {security_id(i): Decimal(f"{p:.{digits}f}") for i, p in enumerate(price)}
    steps = rng.multinomial(190, rng.dirichlet(np.full(count, 4.0)))
    band = DriftBand(Decimal(f"{drift:.4f}"), Decimal(f"{drift:.4f}"))
    targets = tuple(
        Target(security_id(i), Decimal(5 * int(s)).scaleb(-3), band) for i, s in enumerate(steps)
    )
    held = {
        security_id(i): Decimal(int(market_value * s * 0.005 / p * rng.uniform(0, 2)))
        for i, (s, p) in enumerate(zip(steps, price, strict=True))
    }
    invested = sum((u * prices[s] for s, u in held.items()), Decimal(0))
    cash = Decimal(f"{market_value:.2f}") - invested
    return Model("random", targets, (PORTFOLIO,)), Portfolio(PORTFOLIO, cash, held, prices)


@st.composite
def tight_problems(draw: st.DrawFn) -> tuple[Model, Portfolio, Decimal]:
    """Up to four securities with wide bands, and a cash floor that often binds."""
    count = draw(st.integers(1, 4))
    digits = draw(st.sampled_from([0, 2, 2, 6]))
    price = st.integers(10**digits, 60 * 10**digits).map(lambda p: Decimal(p).scaleb(-digits))
    prices = {security_id(i): draw(price) for i in range(count)}
    band = st.integers(50, 400).map(lambda d: DriftBand(Decimal(d) / 1000, Decimal(d) / 1000))
    targets = tuple(
        Target(security, Decimal(draw(st.integers(1, 190 // count)) * 5) / 1000, draw(band))
        for security in prices
    )
    cash = Decimal(draw(st.integers(500, 40_000))).scaleb(-2)
    holdings = {s: Decimal(draw(st.integers(0, 3))) for s in prices}
    portfolio = Portfolio(PORTFOLIO, cash, holdings, prices)
    floor = portfolio.market_value * draw(st.integers(0, 60)) / 100
    return Model("tight", targets, (PORTFOLIO,)), portfolio, floor.quantize(Decimal("0.01"))


@st.composite
def problems_with_options(draw: st.DrawFn) -> tuple[Model, Portfolio, RebalanceOptions]:
    """Up to four securities, one perhaps outside the model, under a few options at once."""
    count = draw(st.integers(1, 4))
    digits = draw(st.sampled_from([0, 2, 6]))
    price = st.integers(3 * 10**digits, 60 * 10**digits).map(lambda p: Decimal(p).scaleb(-digits))
    prices = {security_id(i): draw(price) for i in range(count + 1)}
    band = st.integers(20, 300).map(lambda d: DriftBand(Decimal(d) / 1000, Decimal(d) / 1000))
    targets = tuple(
        Target(security_id(i), Decimal(draw(st.integers(0, 190 // count)) * 5) / 1000, draw(band))
        for i in range(count)
    )
    shares = draw(st.sampled_from([st.integers(0, 5), st.integers(-1, 50).map(lambda u: u / 10)]))
    holdings = {s: Decimal(str(draw(shares))) for s in prices if draw(st.booleans())}
    cash = Decimal(draw(st.integers(0, 30_000))) / 100
    portfolio = Portfolio(PORTFOLIO, cash, holdings, prices)
    names = draw(st.sets(st.sampled_from(sorted(OPTIONS)), min_size=1, max_size=4))
    given = {name: draw(OPTIONS[name](sorted(prices))) for name in sorted(names)}
    if given.get("costs_in_objective"):
        given.setdefault("cost_rate", Decimal("0.01"))
    if "volume_share" in given:
        given["volumes"] = draw(volumes(sorted(prices)))
    try:
        options = RebalanceOptions(**given)
    except OptionsConflictError:
        reject()
    return Model("options", targets, (PORTFOLIO,)), portfolio, options


def _amounts(most: int) -> st.SearchStrategy[Decimal | Percent]:
    money = st.integers(0, most * 100).map(lambda units: Decimal(units) / 100)
    return money | st.integers(0, 100).map(lambda part: Percent(Decimal(part)))


def volumes(ids: list[str]) -> st.SearchStrategy[dict[str, Decimal]]:
    """Shares traded of some of the securities."""
    shares = st.integers(0, 120).map(lambda tenths: Decimal(tenths) / 10)
    return st.dictionaries(st.sampled_from(ids), shares)


def _groups(ids: list[str]) -> st.SearchStrategy[tuple[GroupBand, ...]]:
    members = st.frozensets(st.sampled_from(ids), min_size=1)
    bounds = st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted)
    group = st.tuples(members, bounds).map(
        lambda g: GroupBand("group", g[0], Decimal(g[1][0]) / 100, Decimal(g[1][1]) / 100)
    )
    return group.map(lambda band: (band,))


def _some(ids: list[str]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(ids), max_size=2)


OPTIONS: dict[str, Callable[[list[str]], st.SearchStrategy[Any]]] = {
    "cash_floor": lambda _: _amounts(100),
    "cash_ceiling": lambda _: st.integers(40, 100).map(lambda part: Percent(Decimal(part))),
    "cash_flow": lambda _: st.integers(-100, 200).map(Decimal),
    "direction": lambda _: st.sampled_from(Direction),
    "scope": lambda _: st.sampled_from(Scope),
    "do_not_buy": _some,
    "do_not_sell": _some,
    "frozen": _some,
    "lots": lambda ids: st.dictionaries(
        st.sampled_from(ids), st.sampled_from([Decimal(2), Decimal(3), Decimal("0.5")]), max_size=2
    ),
    "minimum_shares": lambda _: st.integers(0, 4).map(Decimal),
    "minimum_value": lambda _: st.integers(0, 60).map(Decimal),
    "maximum_value": lambda _: _amounts(100),
    "volume_share": lambda _: st.integers(0, 100).map(lambda part: Decimal(part) / 100),
    "maximum_trades": lambda _: st.integers(0, 4),
    "turnover_cap": lambda _: _amounts(300),
    "cost_rate": lambda _: st.integers(0, 50).map(lambda rate: Decimal(rate) / 1000),
    "cost_per_trade": lambda _: st.integers(0, 500).map(lambda cost: Decimal(cost) / 100),
    "costs_in_objective": lambda _: st.just(True),
    "groups": _groups,
    "soft_band_price": lambda _: st.sampled_from([Decimal("0.5"), Decimal(3), Decimal(100)]),
    "fewest_trades": lambda _: st.just(True),
}
