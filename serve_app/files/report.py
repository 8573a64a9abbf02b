"""Report of a rebalance as three tables: trades, outcomes and drift."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from optimization import (
    EXACT,
    PortfolioOutcome,
    PricedTarget,
    Side,
    Weight,
    compute_weight,
    traded_shares,
    unsigned,
)
from serve_app.json_text import whole

Shares = int | Decimal


class TradeRow(NamedTuple):
    """A trade; the amount is quantity times price, weights are parts of market value."""

    portfolio: str
    security: str
    side: Side
    quantity: Shares
    price: Decimal
    amount: Decimal
    weight_before: Decimal
    target: Weight
    weight_after: Decimal


class OutcomeRow(NamedTuple):
    """Outcome of a portfolio, or the reason why it has no plan; ``note`` states assumptions."""

    portfolio: str
    status: str
    market_value: Decimal | None
    cash_before: Decimal | None
    cash_after: Decimal | None
    trades: int
    turnover: Decimal
    cost: Decimal
    drift: Decimal | None
    reason: str | None
    note: str | None


class DriftRow(NamedTuple):
    """A security of a portfolio before and after; ``low`` and ``high`` are the band's edges."""

    portfolio: str
    security: str
    price: Decimal
    quantity_before: Shares
    quantity_after: Shares
    weight_before: Decimal
    target: Weight
    low: Weight
    high: Weight
    weight_after: Decimal
    in_band: bool | None


WEIGHTS: Final = frozenset({"weight_before", "target", "low", "high", "weight_after"})


def list_trades(outcomes: Sequence[PortfolioOutcome]) -> Iterator[TradeRow]:
    """List the trades of all portfolios, in their order."""
    for outcome in outcomes:
        value, base = outcome.market_value, outcome.base
        if value is None or base is None:
            continue
        for security, before, after in outcome.positions:
            traded = traded_shares(before, after)
            if not traded:
                continue
            quantity, price = whole(unsigned(traded)), security.price
            yield TradeRow(
                outcome.portfolio_id,
                security.security_id,
                Side.BUY if traded > 0 else Side.SELL,
                quantity,
                price,
                EXACT.multiply(Decimal(quantity), price),
                compute_weight(before, price, value),
                security.weight,
                compute_weight(after, price, base),
            )


def list_outcomes(
    outcomes: Sequence[PortfolioOutcome], notes: Mapping[str, str]
) -> Iterator[OutcomeRow]:
    """List the outcomes of all portfolios, in their order; ``notes`` are by portfolio id."""
    for outcome in outcomes:
        certificate = outcome.certificate
        yield OutcomeRow(
            outcome.portfolio_id,
            outcome.status.value,
            outcome.market_value,
            outcome.cash_before,
            outcome.cash_after,
            len(outcome.transactions),
            outcome.turnover,
            outcome.cost,
            certificate.objective if certificate else None,
            outcome.refusal.detail if outcome.refusal else None,
            notes.get(outcome.portfolio_id),
        )


def list_drift(outcomes: Sequence[PortfolioOutcome]) -> Iterator[DriftRow]:
    """List the securities of all portfolios; a portfolio of unknown holdings has none."""
    for outcome in outcomes:
        value, base = outcome.market_value, outcome.base
        if value is None or base is None:
            continue
        outside = {position.security_id for position in outcome.outside_band}
        for security, before, after in outcome.positions:
            yield DriftRow(
                outcome.portfolio_id,
                security.security_id,
                security.price,
                whole(before),
                whole(after),
                compute_weight(before, security.price, value),
                security.weight,
                *_compute_edges(security),
                compute_weight(after, security.price, base),
                None if outcome.refusal else security.security_id not in outside,
            )


def _compute_edges(security: PricedTarget) -> tuple[Weight, Weight]:
    weight, band = security.weight, security.band
    low, high = _add_drift(weight, band.low, -1), _add_drift(weight, band.high, 1)
    return low if low > 0 else Decimal(0), high


def _add_drift(weight: Weight, drift: Weight, sign: int) -> Weight:
    if isinstance(weight, Decimal) and isinstance(drift, Decimal):
        return EXACT.fma(drift, Decimal(sign), weight)
    return Fraction(weight) + sign * Fraction(drift)
