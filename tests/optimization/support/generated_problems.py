"""Random problems from numpy: small ones to enumerate, larger ones to solve twice."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import numpy as np

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Percent
from optimization.domain.option_values import BandRule, Direction, GroupBand, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio
from optimization.errors import OptionsConflictError
from tests.optimization.support.random_problems import PORTFOLIO, random_problem, security_id

Random = np.random.Generator
TINY = Decimal("1E-14")  # prices of six decimals times holdings of eight
ROUND_PRICES = ["0.25", "0.5", "1", "2", "2.5", "4", "5", "8", "10", "20", "25", "40", "50", "125"]


@dataclass(frozen=True)
class Problem:
    """Input of the engine."""

    kind: str
    model: Model
    portfolio: Portfolio
    options: RebalanceOptions


def hard(problem: Problem) -> Problem:
    """Make bands hard whatever restricts the problem, unless they have a price."""
    if problem.options.soft_band_price is not None:
        return problem
    return replace(problem, options=replace(problem.options, bands=BandRule.HARD))


def parts(rng: Random, least: int, most: int, digits: int) -> Decimal:
    """A random decimal, ``least`` to ``most`` in units of 10**-digits."""
    return Decimal(int(rng.integers(least, most + 1))).scaleb(-digits)


def price(rng: Random, least: int, most: int) -> Decimal:
    """A price with 0, 2 or 6 decimals."""
    digits = int(rng.choice([0, 2, 2, 6]))
    return parts(rng, least * 10**digits, most * 10**digits, digits)


def plain(rng: Random) -> Problem:
    """Draw a few holdings, also fractional and short ones, some of them outside the model."""
    count = int(rng.integers(1, 5))
    prices = {security_id(i): price(rng, 1, 400) for i in range(count)}
    steps = rng.integers(0, 190 // count + 1, count)
    bands = [sorted((parts(rng, 0, 120, 3), parts(rng, 0, 120, 3))) for _ in prices]
    targets = tuple(
        Target(security, Decimal(5 * int(step)).scaleb(-3), DriftBand(*band))
        for security, step, band in zip(prices, steps, bands, strict=True)
    )
    digits = int(rng.choice([0, 0, 2]))
    held = {
        s: parts(rng, -1 * 10**digits, 9 * 10**digits, digits) for s in prices if rng.random() < 0.6
    }
    cash = parts(rng, -50_000, 400_000, 2)
    model = Model("plain", targets, (PORTFOLIO,))
    return Problem("plain", model, Portfolio(PORTFOLIO, cash, held, prices), RebalanceOptions())


def tight(rng: Random) -> Problem:
    """Draw wide bands and a cash floor that often binds."""
    count = int(rng.integers(1, 5))
    prices = {security_id(i): price(rng, 1, 60) for i in range(count)}
    targets = tuple(
        Target(
            security,
            Decimal(int(rng.integers(1, 190 // count + 1)) * 5) / 1000,
            DriftBand(*(parts(rng, 50, 400, 3),) * 2),
        )
        for security in prices
    )
    held = {security: Decimal(int(rng.integers(0, 4))) for security in prices}
    portfolio = Portfolio(PORTFOLIO, parts(rng, 500, 40_000, 2), held, prices)
    floor = portfolio.market_value * int(rng.integers(0, 61)) / 100
    options = RebalanceOptions(cash_floor=floor.quantize(Decimal("0.01")))
    return Problem("tight", Model("tight", targets, (PORTFOLIO,)), portfolio, options)


def round_numbers(rng: Random) -> Problem:
    """Draw edges of bands exactly on whole shares, because floats are off by one there."""
    count = int(rng.integers(1, 4))
    prices = {security_id(i): Decimal(str(rng.choice(ROUND_PRICES))) for i in range(count)}
    step = int(rng.choice([1, 2, 4]))
    targets = tuple(
        Target(
            security,
            Decimal(5 * step * int(rng.integers(1, 190 // count // step + 1))) / 1000,
            DriftBand(*sorted(Decimal(5 * int(d)) / 1000 for d in rng.integers(0, 5, 2))),
        )
        for security in prices
    )
    worth = Decimal(int(rng.integers(1, 400)) * int(rng.choice([100, 200, 800])))
    shares = {
        t.security_id: Decimal(int(worth * t.weight / prices[t.security_id])) for t in targets
    }
    cash = worth - sum((u * prices[s] for s, u in shares.items()), Decimal(0))
    floor = Decimal(int(rng.choice([0, 0, 5, 10, 20])))
    options = RebalanceOptions(cash_floor=Percent(floor))
    model, portfolio = (
        Model("round", targets, (PORTFOLIO,)),
        Portfolio(PORTFOLIO, cash, shares, prices),
    )
    return sometimes_mixed(rng, Problem("round numbers", model, portfolio, options))


def tiny_units(rng: Random) -> Problem:
    """Draw holdings of 6 to 8 decimals, prices of 6 and bands of 4, often with an exact floor."""
    count, digits = int(rng.integers(1, 5)), int(rng.integers(6, 9))
    prices = {security_id(i): parts(rng, 10**6, 60 * 10**6, 6) for i in range(count)}
    targets = tuple(
        Target(
            security,
            Decimal(int(rng.integers(1, 190 // count + 1)) * 5) / 1000,
            DriftBand(*sorted((parts(rng, 100, 4_000, 4), parts(rng, 100, 4_000, 4)))),
        )
        for security in prices
    )
    held = {s: parts(rng, 0, 5 * 10**digits, digits) for s in prices if rng.random() < 0.7}
    model = Model("tiny", targets, (PORTFOLIO,))
    portfolio = Portfolio(PORTFOLIO, parts(rng, 500, 40_000, 2), held, prices)
    floor = met_exactly(rng, model, portfolio) if rng.random() < 2 / 3 else Decimal(0)
    options = RebalanceOptions(cash_floor=floor)
    return sometimes_mixed(rng, Problem("tiny units", model, portfolio, options))


def met_exactly(rng: Random, model: Model, portfolio: Portfolio) -> Decimal:
    """Compute the cash that lots a little below the targets leave, or a tiny bit more or less."""
    left, value = portfolio.cash, portfolio.market_value
    for target in model.targets:
        price = portfolio.prices[target.security_id]
        held = portfolio.holdings.get(target.security_id, Decimal(0))
        wanted = int((value * target.weight / price - held).to_integral_value(ROUND_FLOOR))
        left -= price * max(wanted + int(rng.integers(-4, 2)), -int(held))
    return max(left + TINY * int(rng.integers(-1, 2)), Decimal(0))


def sometimes_mixed(rng: Random, problem: Problem) -> Problem:
    """Add one to three options to one problem in three."""
    if rng.random() < 2 / 3:
        return problem
    ids, worth = sorted(problem.portfolio.prices), int(problem.portfolio.market_value)
    names = rng.choice(sorted(OPTIONS), int(rng.integers(1, 4)), replace=False)
    options = chosen(rng, [str(name) for name in names], ids, worth, problem.options)
    return replace(problem, kind=f"{problem.kind}, options", options=options)


def chosen(
    rng: Random, names: list[str], ids: list[str], worth: int, base: RebalanceOptions
) -> RebalanceOptions:
    """Draw random values of these options that do not contradict each other."""
    while True:
        given = {name: OPTIONS[name](rng, ids, worth) for name in names}
        if "costs_in_objective" in given:
            given.setdefault("cost_rate", Decimal("0.01"))
        try:
            return replace(base, **given)
        except OptionsConflictError:
            names = names[1:]


def with_options(rng: Random) -> Problem:
    """Draw one to four options on a few securities; one security may be outside the model."""
    count = int(rng.integers(1, 5))
    prices = {security_id(i): price(rng, 3, 60) for i in range(count + 1)}
    targets = tuple(
        Target(
            security_id(i),
            Decimal(int(rng.integers(0, 190 // count + 1)) * 5) / 1000,
            DriftBand(*(parts(rng, 20, 300, 3),) * 2),
        )
        for i in range(count)
    )
    digits = int(rng.choice([0, 1]))
    held = {s: parts(rng, 0, 5 * 10**digits, digits) for s in prices if rng.random() < 0.6}
    portfolio = Portfolio(PORTFOLIO, parts(rng, 0, 20_000, 2), held, prices)
    names = [str(n) for n in rng.choice(sorted(OPTIONS), int(rng.integers(1, 5)), replace=False)]
    worth = int(portfolio.market_value)
    options = chosen(rng, names, sorted(prices), worth, RebalanceOptions())
    return Problem("options", Model("options", targets, (PORTFOLIO,)), portfolio, options)


def with_trade_sizes(rng: Random) -> Problem:
    """Draw a greatest size of trades beside other options; a holding may be short."""
    problem = with_options(rng)
    portfolio, prices = problem.portfolio, problem.portfolio.prices
    held = {s: -abs(u) if rng.random() < 0.1 else u for s, u in portfolio.holdings.items()}
    shorted = replace(portfolio, holdings=held)
    if shorted.market_value + problem.options.cash_flow > 0:
        portfolio = shorted
    worth = max(int(portfolio.market_value), 3)
    given = [
        {"maximum_value": _amount(rng, worth // 3)},
        {
            "volume_share": parts(rng, 0, 100, 2),
            "volumes": {s: parts(rng, 0, 120, 1) for s in prices if rng.random() < 0.8},
        },
    ]
    kind = rng.random()
    asked = {**(given[0] if kind < 0.7 else {}), **(given[1] if kind > 0.4 else {})}
    try:
        options = replace(problem.options, **asked)
    except OptionsConflictError:
        options = replace(problem.options, minimum_value=Decimal(0), **asked)
    return Problem("trade sizes", problem.model, portfolio, options)


def large(rng: Random) -> Problem:
    """Draw five to forty securities, with a cash floor in two of three problems."""
    count, digits = int(rng.integers(5, 41)), int(rng.choice([2, 2, 6]))
    drift = float(rng.choice([0.01, 0.03, 0.05]))
    model, portfolio = random_problem(rng, count, 200_000, drift=drift, digits=digits)
    floor = Decimal(0)
    if rng.random() < 2 / 3:
        floor = Decimal(10_000) + parts(rng, -150_000, 250_000, 2)
    return Problem("large", model, portfolio, RebalanceOptions(cash_floor=floor))


def large_in_tiny_units(rng: Random) -> Problem:
    """Draw five to fifteen fractional holdings at prices of six decimals, short of cash."""
    count = int(rng.integers(5, 16))
    drift = float(rng.choice([0.0125, 0.0333, 0.05]))
    model, whole = random_problem(rng, count, 200_000, drift=drift, digits=6)
    held = {s: u + parts(rng, 0, 10**8, 8) for s, u in whole.holdings.items()}
    portfolio = replace(whole, holdings=held)
    options = RebalanceOptions(cash_floor=met_exactly(rng, model, portfolio))
    return Problem("large, tiny units", model, portfolio, options)


def large_with_options(rng: Random) -> Problem:
    """Draw six to fifteen securities with costs, limits of trades, turnover, and a group."""
    count = int(rng.integers(6, 16))
    model, portfolio = random_problem(rng, count, 200_000, drift=0.05)
    ids = [target.security_id for target in model.targets]
    group = frozenset(ids[::2])
    weight = sum((t.weight for t in model.targets if t.security_id in group), Decimal(0))
    options = RebalanceOptions(
        cost_rate=parts(rng, 0, 20, 4),
        cost_per_trade=parts(rng, 0, 15, 0),
        minimum_value=parts(rng, 0, 800, 0),
        maximum_trades=int(rng.integers(count // 2, count + 1)),
        turnover_cap=Percent(parts(rng, 20, 90, 0)),
        groups=(GroupBand("half", group, high=min(weight + parts(rng, -20, 20, 3), Decimal(1))),),
    )
    return Problem("large, options", model, portfolio, options)


def _amount(rng: Random, most: int) -> Decimal | Percent:
    if rng.random() < 0.5:
        return parts(rng, 0, most * 100, 2)
    return Percent(Decimal(int(rng.integers(0, 101))))


def _group(rng: Random, ids: list[str]) -> tuple[GroupBand, ...]:
    members = rng.choice(ids, int(rng.integers(1, len(ids) + 1)), replace=False)
    low, high = sorted((parts(rng, 0, 100, 2), parts(rng, 0, 100, 2)))
    return (GroupBand("group", frozenset(map(str, members)), low, high),)


def _some(rng: Random, ids: list[str], _worth: int) -> frozenset[str]:
    return frozenset(map(str, rng.choice(ids, int(rng.integers(0, 3)))))


# By the securities there are and the market value.
OPTIONS: dict[str, Callable[[Random, list[str], int], Any]] = {
    "cash_floor": lambda rng, _, worth: _amount(rng, worth // 3),
    "cash_ceiling": lambda rng, *_: Percent(parts(rng, 40, 100, 0)),
    "cash_flow": lambda rng, _, worth: parts(rng, -worth // 4, worth // 2, 0),
    "direction": lambda rng, *_: list(Direction)[rng.integers(len(Direction))],
    "scope": lambda rng, *_: list(Scope)[rng.integers(len(Scope))],
    "do_not_buy": _some,
    "do_not_sell": _some,
    "frozen": _some,
    "lots": lambda rng, ids, _: {
        str(name): Decimal(str(rng.choice(["2", "3", "0.5"]))) for name in rng.choice(ids, 2)
    },
    "minimum_shares": lambda rng, *_: parts(rng, 0, 4, 0),
    "minimum_value": lambda rng, _, worth: parts(rng, 0, worth // 6, 0),
    "maximum_trades": lambda rng, *_: int(rng.integers(0, 5)),
    "turnover_cap": lambda rng, _, worth: _amount(rng, worth),
    "cost_rate": lambda rng, *_: parts(rng, 0, 50, 3),
    "cost_per_trade": lambda rng, _, worth: parts(rng, 0, worth, 2),
    "costs_in_objective": lambda *_: True,
    "groups": lambda rng, ids, _: _group(rng, ids),
    "soft_band_price": lambda rng, *_: Decimal(str(rng.choice(["0.5", "3", "100"]))),
    "fewest_trades": lambda *_: True,
}

# What is drawn, and how often.
KINDS: dict[Callable[[Random], Problem], int] = {
    plain: 13,
    tight: 17,
    round_numbers: 17,
    tiny_units: 17,
    with_options: 24,
    large: 8,
    large_in_tiny_units: 1,
    large_with_options: 3,
}

# Beside KINDS, because another kind there would change every problem of a seed and number.
OTHER_KINDS: tuple[Callable[[Random], Problem], ...] = (with_trade_sizes,)


def problem_of(seed: int, number: int) -> Problem:
    """Draw the problem of a seed and number, always the same."""
    rng = np.random.default_rng([seed, number])
    shares = np.array(list(KINDS.values()))
    return list(KINDS)[int(rng.choice(len(KINDS), p=shares / shares.sum()))](rng)
