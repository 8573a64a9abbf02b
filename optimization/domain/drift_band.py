"""DriftBand and RelativeBand: how far the weight of a security may be from its target."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from optimization.domain.numbers import (
    Number,
    Weight,
    multiply_weight,
    read_decimal,
    read_weight,
    weight_text,
)
from optimization.errors import RuleError


@dataclass(frozen=True, slots=True)
class DriftBand:
    """Tolerance below and above a target, as fractions of market value.

    A band that is wider below than above is a cap. The bounds are from 0 to 1; RuleError otherwise.

    >>> DriftBand(0.01, 0.02).high
    Decimal('0.02')
    """

    low: Weight
    high: Weight
    if TYPE_CHECKING:

        def __init__(self, low: Number, high: Number) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", read_weight(self.low, ("band", "low")))
        object.__setattr__(self, "high", read_weight(self.high, ("band", "high")))
        _require_part(("band", "low"), self.low, "a drift")
        _require_part(("band", "high"), self.high, "a drift")

    @property
    def is_relative(self) -> bool:
        """Whether the band was given as a fraction of its target."""
        return False

    @property
    def of_market_value(self) -> "DriftBand":
        """The band as fractions of market value alone, however it was given."""
        return self


@dataclass(frozen=True, slots=True)
class RelativeBand(DriftBand):
    """Band given as a fraction of its target; ``low`` and ``high`` are fractions of market value.

    It differs from an equal band that was given in fractions of market value, because a model is
    returned as it was given. ``relative_band`` makes it.

    >>> band = relative_band("1/3", 0.25, 0.05)
    >>> band.low, band.relative, band.absolute
    (Decimal('0.05'), Decimal('0.25'), Decimal('0.05'))
    """

    relative: Decimal
    absolute: Decimal | None = None
    if TYPE_CHECKING:

        def __init__(
            self, low: Weight, high: Weight, relative: Decimal, absolute: Decimal | None = None
        ) -> None: ...

    @property
    def is_relative(self) -> bool:
        """Whether the band was given as a fraction of its target."""
        return True

    @property
    def of_market_value(self) -> DriftBand:
        """The band as fractions of market value alone, however it was given."""
        return DriftBand(self.low, self.high)


def relative_band(weight: Number, relative: Number, absolute: Number | None = None) -> RelativeBand:
    """Make a band as a fraction of its target, at most ``absolute``, on both sides.

    The 5/25 rule is 0.25 of the target and at most 0.05 of market value. RuleError if one of the
    two is outside 0 to 1.

    >>> [relative_band(weight, 0.25, 0.05).low for weight in (0.1, 0.4)]
    [Decimal('0.025'), Decimal('0.05')]
    """
    part = read_decimal(relative, ("relative_drift",))
    _require_part(("relative_drift",), part, "a relative drift")
    drift = multiply_weight(read_weight(weight, ("weight",)), part)
    most = None if absolute is None else read_decimal(absolute, ("absolute_drift",))
    if most is not None:
        _require_part(("absolute_drift",), most, "an absolute drift")
        drift = min(drift, most)
    return RelativeBand(drift, drift, part, most)


def _require_part(field: tuple[str, ...], value: Weight, name: str) -> None:
    finite = not isinstance(value, Decimal) or value.is_finite()
    if not (finite and 0 <= value <= 1):
        shown = value if isinstance(value, Decimal) else weight_text(value)
        raise RuleError(field, shown, f"{name} is a fraction from 0 to 1")
