"""Priced models: the models that a process priced at its latest price snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from optimization import Model, PricedTarget, Target, price_targets
from serve_app.chunks.fetch import price_tickers
from serve_app.upstream.prices import PriceSnapshot
from serve_app.upstream.securities import SecurityService

MAX_PRICED_MODELS: Final = 32  # the store of models remembers no more


@dataclass(frozen=True, slots=True)
class _PricedModel:
    targets: tuple[Target, ...]
    tickers: Mapping[str, str]
    securities: tuple[PricedTarget, ...]


class PricedModels:
    """Pricer of models that returns the same objects for the same targets, snapshot and tickers.

    What is derived from these objects can be kept from one rebalance to the next. Targets and
    snapshots are compared by identity, because equal numbers may be written with other digits.
    """

    def __init__(self) -> None:
        self._snapshot: PriceSnapshot | None = None
        self._models: dict[int, _PricedModel] = {}  # key: id of the targets, alive here

    async def price(
        self, model: Model, securities: SecurityService, snapshot: PriceSnapshot
    ) -> tuple[PricedTarget, ...]:
        """Price the targets of a model as ``price_model`` does."""
        tickers = await securities.read_tickers([target.security_id for target in model.targets])
        if self._snapshot is not snapshot:
            self._snapshot, self._models = snapshot, {}
        priced_model = self._models.get(id(model.targets))
        if priced_model is not None and priced_model.tickers == tickers:
            return priced_model.securities
        priced_targets = price_targets(model, price_tickers(tickers, snapshot))
        if len(self._models) >= MAX_PRICED_MODELS:
            del self._models[next(iter(self._models))]
        self._models[id(model.targets)] = _PricedModel(model.targets, tickers, priced_targets)
        return priced_targets
