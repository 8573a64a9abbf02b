"""Random problems with costs large beside their lots: mixed, short of cash, near a cycle."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Percent
from optimization.domain.option_values import Direction, GroupBand
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio

IDS = tuple(letter * 24 for letter in "ABC")
PORTFOLIO = "P" * 24
MAX_WEIGHT = Decimal("0.95")
CENT = Decimal("0.01")
Problem = tuple[Model, Portfolio, RebalanceOptions]
Random = np.random.Generator


def problems(count: int, seed: int) -> Iterator[Problem]:
    """Yield the same number of problems of each kind."""
    kinds = (anything, short_of_cash, next_to_a_cycle)
    for number in range(count):
        yield kinds[number % len(kinds)](np.random.default_rng([seed, number]))


def anything(rng: Random) -> Problem:
    """Draw one to three securities with costs and other options."""
    ids = IDS[: int(rng.integers(1, 4))]
    parts = rng.integers(1, 60, len(ids))
    whole = int(rng.choice([100, 150, 190]))
    weights = [max(1, whole * int(part) // int(parts.sum())) for part in parts]
    return (
        _model(rng, {name: Decimal(w) / 200 for name, w in zip(ids, weights, strict=True)}),
        _portfolio(rng, ids, Decimal(int(rng.integers(-50, 400)))),
        _options(rng, ids),
    )


def short_of_cash(rng: Random) -> Problem:
    """Draw a problem that invests nearly all, with a floor that leaves too little for the fees."""
    model, portfolio, options = anything(rng)
    weight = MAX_WEIGHT / len(model.targets) // Decimal("0.005") * Decimal("0.005")
    targets = tuple(replace(target, weight=weight) for target in model.targets)
    floor = Percent(Decimal(int(rng.integers(4, 12))))
    some = _portfolio(rng, [target.security_id for target in targets], portfolio.cash.copy_abs())
    asked = {**_given(options), "cash_floor": floor, "cash_ceiling": None, "groups": ()}
    return replace(model, targets=targets), some, RebalanceOptions(**asked)


def next_to_a_cycle(rng: Random) -> Problem:
    """Draw a problem in which one more lot is nearer to its target only before the fee."""
    first, second, _ = IDS
    price, other = (Decimal(int(rng.integers(40, 120))) for _ in range(2))
    fee, lots = Decimal(int(rng.integers(5, 60))), int(rng.integers(0, 5))
    trades_both = bool(rng.random() < 0.5)
    weight = Decimal(int(rng.integers(20, 100))) / 200
    weights = {first: weight, second: Decimal(int(rng.integers(20, 80))) / 200}
    between = (lots + Decimal("0.5")) * price / weight
    paid_anyway = fee if trades_both else Decimal(0)
    worth = (between + paid_anyway + fee * Decimal(int(rng.integers(5, 95))) / 100).quantize(CENT)
    held = int(worth * weights[second] / other) if not trades_both else 0
    cash = worth - lots * price - held * other
    holdings = {first: Decimal(lots), second: Decimal(held)}
    prices = {first: price, second: other}
    wide = (
        DriftBand(Decimal("0.1"), Decimal(1))
        if rng.random() < 0.2
        else DriftBand(Decimal(1), Decimal(1))
    )
    targets = tuple(Target(name, share, wide) for name, share in weights.items())
    options = RebalanceOptions(cost_per_trade=fee)
    return (
        Model("Model", targets, (PORTFOLIO,)),
        Portfolio(PORTFOLIO, cash, holdings, prices),
        options,
    )


def _model(rng: Random, weights: dict[str, Decimal]) -> Model:
    targets = tuple(Target(name, min(w, MAX_WEIGHT), _band(rng)) for name, w in weights.items())
    return Model("Model", targets, (PORTFOLIO,))


def _band(rng: Random) -> DriftBand:
    low, high = sorted(Decimal(int(part)) / 1000 for part in rng.choice([50, 100, 200, 400], 2))
    return DriftBand(low, high)


def _portfolio(rng: Random, ids: Any, cash: Decimal) -> Portfolio:
    prices = {name: _price(rng) for name in ids}
    holdings = {name: Decimal(int(rng.integers(0, 9))) for name in ids if rng.random() < 0.7}
    return Portfolio(PORTFOLIO, cash, holdings, prices)


def _price(rng: Random) -> Decimal:
    cents = int(rng.integers(500, 12_000))
    return Decimal(cents) / 100 if rng.random() < 0.4 else Decimal(cents // 100)


def _options(rng: Random, ids: tuple[str, ...]) -> RebalanceOptions:
    kind = rng.random()
    asked: dict[str, Any] = {}
    if kind < 0.8:
        asked["cost_per_trade"] = Decimal(int(rng.choice([1, 2, 3, 5, 9, 20, 40, 60])))
    if kind > 0.5:
        asked["cost_rate"] = Decimal(int(rng.choice([1, 5, 10, 50, 100]))) / 1000
    others = (
        (0.4, "costs_in_objective", True),
        (0.15, "minimum_shares", Decimal(int(rng.integers(2, 4)))),
        (0.15, "minimum_value", Decimal(int(rng.integers(20, 150)))),
        (0.2, "cash_floor", Percent(Decimal(int(rng.integers(0, 8))))),
        (0.1, "cash_ceiling", Percent(Decimal(int(rng.integers(10, 60))))),
        (0.15, "groups", (GroupBand("pair", frozenset(ids[:2]), high=Decimal("0.7")),)),
        (0.1, "soft_band_price", Decimal(2)),
        (0.1, "direction", Direction(str(rng.choice(["BUY_ONLY", "SELL_ONLY"])))),
        (0.1, "fewest_trades", True),
        (0.1, "cash_flow", Decimal(int(rng.integers(-20, 100)))),
        (0.1, "lots", {ids[0]: Decimal(2)}),
    )
    asked |= {name: value for chance, name, value in others if rng.random() < chance}
    return RebalanceOptions(**asked)


def _given(options: RebalanceOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__dataclass_fields__}
