"""Drift of a portfolio from the bands of its model, without a plan. Exact; loads no solver."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction

from optimization.domain.numbers import (
    EXACT,
    Weight,
    add_weights,
    count_needed_decimals,
    multiply_weight,
    subtract_weight,
)
from optimization.domain.outcome import HUNDREDTH_PERCENT, Edge, PortfolioOutcome, Refusal
from optimization.domain.portfolio import Portfolio, PricedTarget, price_others
from optimization.domain.rules import (
    OUTCOME_RULE,
    PORTFOLIO_RULE,
    SECURITIES_RULE,
    read_items,
    require_type,
)
from optimization.exact.scaled_integers import fraction_to_decimal, to_decimal, to_units

ZERO = Decimal(0)


class BandStatus(StrEnum):
    """Whether every security of a portfolio is inside its band.

    >>> print(*BandStatus)
    WITHIN_BANDS OUT_OF_BAND FAILED
    """

    WITHIN_BANDS = "WITHIN_BANDS"
    OUT_OF_BAND = "OUT_OF_BAND"
    FAILED = "FAILED"  # holdings or market value are unknown


@dataclass(frozen=True, slots=True)
class Standing:
    """Position of one security relative to its target and band; amounts in currency.

    >>> from optimization.domain.model import DriftBand
    >>> band = DriftBand(Decimal("0.1"), Decimal("0.1"))
    >>> fund = PricedTarget("F" * 24, Decimal(10), Decimal("0.5"), band)
    >>> amounts = (Decimal(value) for value in (70, 700, 500, 400, 600))
    >>> Standing(fund, *amounts, Edge.ABOVE, Decimal("0.7")).deviation
    Decimal('200.00')
    """

    security: PricedTarget
    quantity: Decimal
    value: Decimal
    target: Decimal
    lower: Decimal  # edges of the band; at least 0, because no holding may be short
    upper: Decimal
    edge: Edge | None  # the violated edge; None inside the band
    actual: Decimal  # weight, 4 decimals, half up; 0 if the market value is 0

    @property
    def deviation(self) -> Decimal:
        """Value above the target, negative below it."""
        return _write_amount(EXACT.subtract(self.value, self.target))

    @property
    def outside(self) -> Decimal:
        """Value outside the band; 0 inside."""
        match self.edge:
            case Edge.BELOW:
                return _write_amount(EXACT.subtract(self.lower, self.value))
            case Edge.ABOVE:
                return _write_amount(EXACT.subtract(self.value, self.upper))
            case None:
                return ZERO


@dataclass(frozen=True, slots=True)
class DriftSummary:
    """Drift of a portfolio in a few numbers; a FAILED one has nothing but ``refusal``.

    ``drift`` is the sum of absolute deviations from target; it, market value and cash are in
    currency. ``out_of_band`` is the number of securities outside their bands, ``largest`` the
    standing with the largest absolute deviation, the first of equals.

    >>> out = BandStatus.OUT_OF_BAND
    >>> DriftSummary("P" * 24, out, Decimal(1000), drift=Decimal(200)).drift_weight
    Decimal('0.2000')
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
        """Drift as a fraction of market value, 4 decimals."""
        return _compute_weight(self.drift, self.market_value)

    @property
    def cash_weight(self) -> Decimal | None:
        """Cash as a fraction of market value, 4 decimals."""
        return _compute_weight(self.cash, self.market_value)


@dataclass(frozen=True, slots=True)
class PortfolioDrift:
    """Summary and standings of a portfolio: its model's securities, then other holdings by id.

    >>> failed = DriftSummary("P" * 24, BandStatus.FAILED)
    >>> PortfolioDrift(failed, ()).standings
    ()
    """

    summary: DriftSummary
    standings: tuple[Standing, ...]


def measure_drift(model: tuple[PricedTarget, ...], portfolio: Portfolio) -> PortfolioDrift:
    """Measure each security against its target MV w and its band MV (w - l) <= u p <= MV (w + h).

    ``model`` holds the targets at the portfolio's prices (see ``price_targets``). Cash plays no
    part and may be overdrawn. The unsellable fraction of a share outside the model counts as in
    band. Amounts are in currency, weights fractions of market value. Raises RuleError for arguments
    of other types; a Portfolio has all its prices.

    >>> from optimization.domain.model import Model
    >>> from optimization.domain.portfolio import price_targets
    >>> held = Portfolio("ira", 300, {"VTI": 70}, {"VTI": 10})
    >>> model = price_targets(Model({"VTI": 0.5}, band=0.1), held.prices)
    >>> (standing,) = measure_drift(model, held).standings
    >>> str(standing.edge), standing.outside, standing.deviation, standing.actual
    ('ABOVE', Decimal('100.00'), Decimal('200.00'), Decimal('0.7000'))
    """
    read_items(("model",), model, PricedTarget, SECURITIES_RULE)
    require_type(("portfolio",), portfolio, Portfolio, PORTFOLIO_RULE)
    columns = (*model, *price_others(model, portfolio))
    shares = [portfolio.holdings.get(security.security_id, ZERO) for security in columns]
    return _measure_positions(
        portfolio.portfolio_id,
        zip(columns, shares, strict=True),
        portfolio.market_value,
        portfolio.cash,
    )


def measure_outcome(outcome: PortfolioOutcome) -> tuple[PortfolioDrift, PortfolioDrift] | None:
    """Measure the drift of a portfolio before and after its rebalance; None without holdings.

    The drift before is measured against market value, the drift after against market value less
    costs (``PortfolioOutcome.base``), as in the plan. Without a plan the two are equal.

    >>> from optimization.domain.model import Model
    >>> from optimization.engine import rebalance
    >>> held = Portfolio("ira", 300, {"VTI": 70}, {"VTI": 10})
    >>> before, after = measure_outcome(rebalance(Model({"VTI": 0.5}, band=0.1), held))
    >>> before.summary.drift, after.summary.drift, after.standings[0].actual
    (Decimal('200.00'), Decimal('0.00'), Decimal('0.5000'))
    """
    require_type(("outcome",), outcome, PortfolioOutcome, OUTCOME_RULE)
    amounts = outcome.market_value, outcome.base, outcome.cash_before, outcome.cash_after
    value, base, cash_before, cash_after = amounts
    if value is None or base is None or cash_before is None or cash_after is None:
        return None
    columns = outcome.securities + outcome.others
    before = zip(columns, map(Decimal, outcome.before), strict=True)
    after = zip(columns, map(Decimal, outcome.after), strict=True)
    return (
        _measure_positions(outcome.portfolio_id, before, value, cash_before),
        _measure_positions(outcome.portfolio_id, after, base, cash_after),
    )


def _measure_positions(
    portfolio_id: str,
    positions: Iterable[tuple[PricedTarget, Decimal]],
    market_value: Decimal,
    cash: Decimal,
) -> PortfolioDrift:
    standings = tuple(
        [_measure_standing(security, shares, market_value) for security, shares in positions]
    )
    deviations = [standing.deviation.copy_abs() for standing in standings]
    count = sum(standing.edge is not None for standing in standings)
    drift = ZERO
    for amount in deviations:
        drift = EXACT.add(drift, amount)
    summary = DriftSummary(
        portfolio_id=portfolio_id,
        status=BandStatus.OUT_OF_BAND if count else BandStatus.WITHIN_BANDS,
        market_value=market_value,
        cash=cash,
        drift=_write_amount(drift),
        out_of_band=count,
        largest=standings[deviations.index(max(deviations))] if deviations else None,
    )
    return PortfolioDrift(summary, standings)


def _measure_standing(security: PricedTarget, quantity: Decimal, market_value: Decimal) -> Standing:
    value = EXACT.multiply(quantity, security.price)
    weight, band = security.weight, security.band
    lower = max(ZERO, multiply_weight(subtract_weight(weight, band.low), market_value))
    upper = multiply_weight(add_weights((weight, band.high)), market_value)
    return Standing(
        security,
        quantity,
        _write_amount(value),
        _write_amount(multiply_weight(weight, market_value)),
        _write_amount(lower),
        _write_amount(upper),
        _find_edge(security, quantity, value, lower, upper),
        _compute_weight(value, market_value) or ZERO,
    )


def _find_edge(
    security: PricedTarget, quantity: Decimal, value: Decimal, lower: Weight, upper: Weight
) -> Edge | None:
    if value < lower:
        return Edge.BELOW
    # A fraction of a share violates nothing, because a trade in whole shares cannot sell it.
    unsellable = security.weight == 0 and quantity < 1
    return Edge.ABOVE if value > upper and not unsellable else None


def _compute_weight(amount: Decimal | None, market_value: Decimal | None) -> Decimal | None:
    if amount is None or market_value is None:
        return None
    weight = EXACT.divide(amount, market_value) if market_value else ZERO
    return weight.quantize(HUNDREDTH_PERCENT, ROUND_HALF_UP, EXACT)


def _write_amount(amount: Decimal | Fraction) -> Decimal:
    """Write an amount with the digits it needs: at least cents, and 12 for a repeating fraction."""
    if isinstance(amount, Fraction):
        return fraction_to_decimal(amount, 0)
    decimals = count_needed_decimals(amount)
    return to_decimal(to_units(amount, decimals), decimals)
