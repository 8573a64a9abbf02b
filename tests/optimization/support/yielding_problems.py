"""Small random problems of restrictions against bands: shorts, fractions, round lots and dust."""

from dataclasses import replace
from decimal import Decimal

import numpy as np

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.numbers import Percent
from optimization.domain.option_values import BandRule, Direction, GroupBand, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import Portfolio
from optimization.errors import OptionsConflictError
from tests.optimization.support.generated_problems import Random, parts
from tests.optimization.support.random_problems import PORTFOLIO, security_id

RESTRICTIONS = (
    "direction",
    "do_not_buy",
    "do_not_sell",
    "frozen",
    "lots",
    "minimum_shares",
    "minimum_value",
    "maximum_value",
    "volume_share",
    "maximum_trades",
    "turnover_cap",
)
Drawn = tuple[Model, Portfolio, RebalanceOptions]


def drawn(rng: Random) -> Drawn:
    """One or two securities and up to one other holding, under one to four restrictions."""
    count, others = int(rng.integers(1, 3)), int(rng.integers(0, 2))
    ids = [security_id(i) for i in range(count + others)]
    digits = int(rng.choice([0, 0, 2]))
    prices = {name: parts(rng, 5 * 10**digits, 60 * 10**digits, digits) for name in ids}
    targets = tuple(
        Target(
            name,
            Decimal(5 * int(rng.integers(1, 190 // count + 1))) / 1000,
            DriftBand(*sorted((parts(rng, 10, 200, 3), parts(rng, 10, 200, 3)))),
        )
        for name in ids[:count]
    )
    held = {name: _shares(rng) for name in ids if rng.random() < 0.8}
    portfolio = Portfolio(PORTFOLIO, parts(rng, -1_000, 30_000, 2), held, prices)
    return Model("yields", targets, (PORTFOLIO,)), portfolio, _options(rng, ids, portfolio)


def _shares(rng: Random) -> Decimal:
    kind = rng.random()
    if kind < 0.15:
        return Decimal(-int(rng.integers(1, 3)))
    if kind < 0.3:
        return parts(rng, -15, 80, 1)
    return Decimal(int(rng.integers(0, 11)))


def _options(rng: Random, ids: list[str], portfolio: Portfolio) -> RebalanceOptions:
    chosen = rng.choice(RESTRICTIONS, int(rng.choice([0, 1, 1, 1, 2, 3, 4])), replace=False)
    some = frozenset({str(rng.choice(ids))})
    worth = max(int(portfolio.market_value), 0)
    values = {
        "direction": rng.choice([Direction.BUY_ONLY, Direction.SELL_ONLY]),
        "do_not_buy": some,
        "do_not_sell": some,
        "frozen": frozenset({str(rng.choice(ids))}),
        "lots": {name: Decimal(str(rng.choice(["2", "3", "5", "0.5"]))) for name in some},
        "minimum_shares": Decimal(int(rng.integers(1, 6))),
        "minimum_value": Decimal(int(rng.integers(1, 200))),
        "maximum_value": Decimal(int(rng.integers(0, worth // 3 + 2))),
        "volume_share": parts(rng, 1, 100, 2),
        "maximum_trades": int(rng.integers(0, 3)),
        "turnover_cap": Decimal(int(rng.integers(0, worth // 2 + 2))),
    }
    given = {str(name): values[str(name)] for name in chosen}
    if "volume_share" in given:
        given["volumes"] = {name: parts(rng, 0, 150, 1) for name in ids if rng.random() < 0.8}
    if rng.random() < 0.3:
        given["cash_floor"] = Percent(Decimal(int(rng.integers(0, 30))))
    if rng.random() < 0.1:
        given["cash_ceiling"] = Percent(Decimal(int(rng.integers(30, 100))))
    if rng.random() < 0.15:
        given["scope"] = rng.choice([Scope.DRIFTED_TO_TARGET, Scope.DRIFTED_TO_EDGE])
    if rng.random() < 0.1:
        low = int(rng.integers(0, 60))
        given["groups"] = (GroupBand("some", some, Decimal(low) / 100, Decimal(low + 30) / 100),)
    given["bands"] = [None, None, BandRule.YIELD, BandRule.HARD][int(rng.integers(0, 4))]
    given = {name: _plain(value) for name, value in given.items()}
    try:
        return RebalanceOptions(**given)
    except OptionsConflictError:
        return replace(RebalanceOptions(), bands=given["bands"])


def _plain(value: object) -> object:
    """An enumeration that numpy drew as text."""
    match value:
        case np.str_():
            text = str(value)
            return Scope(text) if text in set(Scope) else Direction(text)
        case _:
            return value
