"""Priced targets: the securities of one rebalance, each with its price, target and band."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter

from optimization.domain.model import DriftBand, Model
from optimization.domain.portfolio import Portfolio, find_unpriced
from optimization.domain.weights import Weight
from optimization.errors import PricesMissingError

ZERO = Decimal(0)
OUTSIDE = DriftBand(ZERO, ZERO)
_id_of = attrgetter("security_id")


@dataclass(frozen=True, slots=True)
class PricedTarget:
    """A security in one rebalance: its price, its target (0 outside the model), its band.

    >>> band = DriftBand(Decimal("0.01"), Decimal("0.02"))
    >>> PricedTarget("A" * 24, Decimal("31.50"), Decimal("0.25"), band).price
    Decimal('31.50')
    """

    security_id: str
    price: Decimal
    weight: Weight
    band: DriftBand


def price_targets(model: Model, prices: Mapping[str, Decimal]) -> tuple[PricedTarget, ...]:
    """Price the targets of a model at one snapshot; PricesMissingError names those without a price.

    >>> from optimization.domain.model import Target
    >>> target = Target("A" * 24, Decimal("0.9"), DriftBand(Decimal("0.05"), Decimal("0.05")))
    >>> model = Model("Growth", (target,), ("P" * 24,))
    >>> price_targets(model, {"A" * 24: Decimal("31.50")})[0].price
    Decimal('31.50')
    """
    missing = find_unpriced(map(_id_of, model.targets), prices)
    if missing:
        raise PricesMissingError(missing)
    return tuple(
        PricedTarget(target.security_id, prices[target.security_id], target.weight, target.band)
        for target in model.targets
    )


def price_others(
    securities: Sequence[PricedTarget], portfolio: Portfolio
) -> tuple[PricedTarget, ...]:
    """Price the holdings outside the model, by id; target and band are 0, so they are sold."""
    outside = portfolio.holdings.keys() - map(_id_of, securities)
    return tuple(
        PricedTarget(security_id, portfolio.prices[security_id], ZERO, OUTSIDE)
        for security_id in sorted(outside)
    )
