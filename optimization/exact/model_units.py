"""ModelUnits: prices and weights of a model as whole numbers, scaled once for all its blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from optimization.domain.numbers import decimals_of, denominator_of, to_parts
from optimization.domain.portfolio import OtherTargets, PricedTarget
from optimization.exact.scaled_integers import to_units


@dataclass(frozen=True, slots=True, eq=False)
class ModelUnits:
    """A priced model in whole units, one number a security, and the targets of other holdings.

    >>> from decimal import Decimal
    >>> from optimization.domain.model import DriftBand
    >>> band = DriftBand(Decimal("0.01"), Decimal("0.02"))
    >>> units = ModelUnits.of([PricedTarget("VTI", Decimal("31.5"), Decimal("0.25"), band)])
    >>> units.prices, units.decimals, units.weight, units.denominator
    ([315], 1, [25], 100)
    """

    decimals: int  # prices are in 10**-decimals currency
    price_decimals: list[int]  # that each price needs
    prices: list[int]
    denominator: int
    weight: list[int]  # parts of 1 / denominator, as are the drifts
    low: list[int]
    high: list[int]
    others: OtherTargets

    @property
    def is_decimal(self) -> bool:
        """Whether weights are decimals, so that every amount has digits that end."""
        return self.denominator == 10 ** (len(str(self.denominator)) - 1)

    @classmethod
    def of(cls, securities: Sequence[PricedTarget]) -> Self:
        """Scale the prices, weights and drifts of a model."""
        weights = [one.weight for one in securities]
        lows, highs = [one.band.low for one in securities], [one.band.high for one in securities]
        # Each distinct weight once, because a model has few of them and each takes microseconds.
        distinct = {*weights, *lows, *highs}
        denominator = denominator_of(distinct)
        parts = {weight: to_parts(weight, denominator) for weight in distinct}
        needed = [decimals_of(one.price) for one in securities]
        decimals = max(needed, default=0)
        return cls(
            decimals,
            needed,
            [to_units(one.price, decimals) for one in securities],
            denominator,
            weight=[parts[weight] for weight in weights],
            low=[parts[drift] for drift in lows],
            high=[parts[drift] for drift in highs],
            others=OtherTargets(securities),
        )
