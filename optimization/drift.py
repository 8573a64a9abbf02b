"""Where a portfolio stands against the bands of its model, without a plan. Exact; loads no solver."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction

from optimization.domain.decimals import EXACT, decimals_of
from optimization.domain.outcome import HUNDREDTH_PERCENT, Edge, PricedTarget, Refusal
from optimization.domain.portfolio import Portfolio
from optimization.domain.weights import Weight, difference, product, total
from optimization.exact.block_builder import price_others
from optimization.exact.scaled_integers import fraction_to_decimal, to_decimal, to_units

ZERO = Decimal(0)


class BandStatus(StrEnum):
    """Whether every security of a portfolio is inside its band."""

    WITHIN_BANDS = "WITHIN_BANDS"
    OUT_OF_BAND = "OUT_OF_BAND"
    FAILED = "FAILED"  # what it holds, or is worth, is not known


@dataclass(frozen=True, slots=True)
class Standing:
    """One security of a portfolio and its band; all amounts are in currency."""

    security: PricedTarget
    quantity: Decimal
    value: Decimal
    target: Decimal
    lower: Decimal  # the edges of the band; no holding may be short, so never below 0
    upper: Decimal
    edge: Edge | None  # where it is outside
    actual: Decimal  # its weight, 4 decimals, half up; 0 where the market value is 0

    @property
    def deviation(self) -> Decimal:
        """How far it is above its target, or below if negative."""
        return _written(EXACT.subtract(self.value, self.target))

    @property
    def outside(self) -> Decimal:
        """How far it is outside its band; 0 inside."""
        match self.edge:
            case Edge.BELOW:
                return _written(EXACT.subtract(self.lower, self.value))
            case Edge.ABOVE:
                return _written(EXACT.subtract(self.value, self.upper))
            case None:
                return ZERO


@dataclass(frozen=True, slots=True)
class DriftSummary:
    """What matters of a portfolio's drift; nothing but ``refusal`` is known of one that FAILED.

    ``drift`` is the sum of all deviations from target, whichever their sign; ``out_of_band`` counts
    securities, ``largest`` is the one that is farthest from its target, the first of equals.
    """

    portfolio_id: str
    status: BandStatus
    market_value: Decimal | None = None
    cash: Decimal | None = None
    drift: Decimal | None = None
    out_of_band: int = 0
    largest: Standing | None = None
    refusal: Refusal | None = None

    @property
    def drift_weight(self) -> Decimal | None:
        """The drift as a part of market value, 4 decimals."""
        return _weight(self.drift, self.market_value)

    @property
    def cash_weight(self) -> Decimal | None:
        """The cash as a part of market value, 4 decimals."""
        return _weight(self.cash, self.market_value)


@dataclass(frozen=True, slots=True)
class PortfolioDrift:
    """Every security of a portfolio: those of its model, then the other holdings by id."""

    summary: DriftSummary
    standings: tuple[Standing, ...]


def measure_drift(model: tuple[PricedTarget, ...], portfolio: Portfolio) -> PortfolioDrift:
    """Where each security stands, at MV w for a target and MV (w - l) <= u p <= MV (w + h) for a band.

    ``model`` is the model at the portfolio's prices (see ``priced``). Only the bands count: the cash
    may be overdrawn. What a holding outside the model has below one share cannot be sold, and is in band.

    >>> from optimization.domain.model import DriftBand
    >>> fund = PricedTarget("F" * 24, Decimal(10), Decimal("0.5"), DriftBand(Decimal("0.1"), Decimal("0.1")))
    >>> held = Portfolio("P" * 24, Decimal(300), {"F" * 24: Decimal(70)}, {"F" * 24: Decimal(10)})
    >>> (standing,) = measure_drift((fund,), held).standings
    >>> str(standing.edge), standing.outside, standing.deviation, standing.actual
    ('ABOVE', Decimal('100.00'), Decimal('200.00'), Decimal('0.7000'))
    """
    market_value = portfolio.market_value
    columns = (*model, *price_others(model, portfolio))
    standings = tuple(
        _standing(each, portfolio.holdings.get(each.security_id, ZERO), market_value)
        for each in columns
    )
    away = [standing.deviation.copy_abs() for standing in standings]
    count = sum(standing.edge is not None for standing in standings)
    drift = ZERO
    for amount in away:
        drift = EXACT.add(drift, amount)
    summary = DriftSummary(
        portfolio_id=portfolio.portfolio_id,
        status=BandStatus.OUT_OF_BAND if count else BandStatus.WITHIN_BANDS,
        market_value=market_value,
        cash=portfolio.cash,
        drift=_written(drift),
        out_of_band=count,
        largest=standings[away.index(max(away))] if away else None,
    )
    return PortfolioDrift(summary, standings)


def _standing(security: PricedTarget, quantity: Decimal, market_value: Decimal) -> Standing:
    value = EXACT.multiply(quantity, security.price)
    weight, band = security.weight, security.band
    lower = max(ZERO, product(difference(weight, band.low), market_value))
    upper = product(total((weight, band.high)), market_value)
    return Standing(
        security,
        quantity,
        _written(value),
        _written(product(weight, market_value)),
        _written(lower),
        _written(upper),
        _edge(security, quantity, value, lower, upper),
        _weight(value, market_value) or ZERO,
    )


def _edge(
    security: PricedTarget, quantity: Decimal, value: Decimal, lower: Weight, upper: Weight
) -> Edge | None:
    if value < lower:
        return Edge.BELOW
    unsellable = security.weight == 0 and quantity < 1
    return Edge.ABOVE if value > upper and not unsellable else None


def _weight(amount: Decimal | None, market_value: Decimal | None) -> Decimal | None:
    if amount is None or market_value is None:
        return None
    weight = EXACT.divide(amount, market_value) if market_value else ZERO
    return weight.quantize(HUNDREDTH_PERCENT, ROUND_HALF_UP, EXACT)


def _written(amount: Decimal | Fraction) -> Decimal:
    """An amount in the digits that it needs, at least cents; those of thirds end at the twelfth."""
    if isinstance(amount, Fraction):
        return fraction_to_decimal(amount, 0)
    decimals = decimals_of(amount)
    return to_decimal(to_units(amount, decimals), decimals)
