"""Priced models: the same objects as long as targets, prices and tickers are the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from optimization import DriftBand, Model, PricedTarget, Target
from optimization.errors import PricesMissingError
from serve_app.chunks import priced_models
from serve_app.chunks.priced_models import PricedModels
from serve_app.upstream.prices import PriceSnapshot
from tests.support.fakes import A, B, P


@dataclass
class Tickers:
    """Security service that knows two securities."""

    known: dict[str, str] = field(default_factory=lambda: {A: "ALFA", B: "BETA"})

    async def read_tickers(self, security_ids: Iterable[str]) -> Mapping[str, str]:
        return {
            security_id: self.known[security_id]
            for security_id in security_ids
            if security_id in self.known
        }


@pytest.fixture
def tickers() -> Tickers:
    return Tickers()


def make_model(weight: str = "0.25") -> Model:
    band = DriftBand(Decimal("0.01"), Decimal("0.02"))
    return Model("Growth", (Target(A, weight, band), Target(B, weight, band)), (P,))


def snapshot_of(**prices: str) -> PriceSnapshot:
    found = {ticker: Decimal(price) for ticker, price in prices.items()}
    return PriceSnapshot("now", datetime.now(UTC), found)


def prices_in(securities: tuple[PricedTarget, ...]) -> list[str]:
    return [str(security.price) for security in securities]


async def test_the_same_model_at_the_same_prices_is_the_same_objects(tickers: Any) -> None:
    priced, model, snapshot = PricedModels(), make_model(), snapshot_of(ALFA="10.5", BETA="4")

    first = await priced.price(model, tickers, snapshot)
    second = await priced.price(model, tickers, snapshot)

    assert second is first
    assert prices_in(first) == ["10.5", "4"]


async def test_equal_prices_of_a_newer_snapshot_keep_their_own_digits(tickers: Any) -> None:
    priced, model = PricedModels(), make_model()

    for price in ("10.5", "10.50", "10.500"):
        snapshot = snapshot_of(ALFA=price, BETA="4")
        assert prices_in(await priced.price(model, tickers, snapshot)) == [price, "4"]


async def test_an_equal_model_keeps_its_own_digits(tickers: Any) -> None:
    priced, snapshot = PricedModels(), snapshot_of(ALFA="10.5", BETA="4")

    for weight in ("0.25", "0.250"):
        securities = await priced.price(make_model(weight), tickers, snapshot)
        assert [str(security.weight) for security in securities] == [weight, weight]


async def test_a_changed_ticker_changes_the_price(tickers: Any) -> None:
    priced, model = PricedModels(), make_model()
    snapshot = snapshot_of(ALFA="10.5", BETA="4", GAMMA="7")
    await priced.price(model, tickers, snapshot)

    tickers.known[B] = "GAMMA"

    assert prices_in(await priced.price(model, tickers, snapshot)) == ["10.5", "7"]
    del tickers.known[A]
    with pytest.raises(PricesMissingError):
        await priced.price(model, tickers, snapshot)


async def test_a_missing_price_is_looked_for_again(tickers: Any) -> None:
    priced, model, snapshot = PricedModels(), make_model(), snapshot_of(ALFA="10.5", BETA="4")
    ticker = tickers.known.pop(B)
    with pytest.raises(PricesMissingError):
        await priced.price(model, tickers, snapshot)

    tickers.known[B] = ticker

    assert prices_in(await priced.price(model, tickers, snapshot)) == ["10.5", "4"]


async def test_only_so_many_models_are_remembered(
    tickers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(priced_models, "MAX_PRICED_MODELS", 2)
    priced, snapshot = PricedModels(), snapshot_of(ALFA="10.5", BETA="4")
    models = [make_model() for _ in range(3)]
    first, *_, last = [await priced.price(model, tickers, snapshot) for model in models]

    assert await priced.price(models[-1], tickers, snapshot) is last
    assert await priced.price(models[0], tickers, snapshot) is not first
