"""Random rebalancing problems, as Hypothesis strategies and from a numpy generator."""

from decimal import Decimal

import numpy as np
from hypothesis import strategies as st

from optimization.model import DriftBand, Model, Target
from optimization.portfolio import Portfolio

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
