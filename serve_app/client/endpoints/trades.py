"""Trades of a rebalance under review: pages of the trades that match, and their totals."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from serve_app.client.call import Call, get
from serve_app.client.responses.positions import Side
from serve_app.client.responses.trades import Approval, TradeDetail, TradeTotals


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Filter of trades; a trade has to match every field that is set.

    Amounts are quantity times price in currency; ``min_drift`` is the distance of the weight before
    from its target, as a part of market value. The case of a ticker does not matter.
    """

    side: Sequence[Side] = ()
    approval: Sequence[Approval] = ()
    ticker: str | None = None
    security_id: Sequence[str] = ()
    portfolio_id: Sequence[str] = ()
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    min_drift: Decimal | None = None

    def params(self) -> dict[str, Any]:
        """Return the parameters of a query."""
        amounts = {name: getattr(self, name) for name in ("min_amount", "max_amount", "min_drift")}
        texts = {
            name: None if amount is None else f"{amount:f}" for name, amount in amounts.items()
        }
        names = ("side", "approval", "security_id", "portfolio_id")
        several = {name: tuple(getattr(self, name)) or None for name in names}
        return {**several, "ticker": self.ticker, **texts}


ALL_TRADES = TradeFilter()


def list_trades(
    rebalance_id: str,
    trade_filter: TradeFilter = ALL_TRADES,
    *,
    sort_by: str = "",
    limit: int = 1000,
) -> Call[tuple[TradeDetail, ...]]:
    """List the trades of a rebalance that match, ``limit`` in a request."""
    steps = ("rebalance", rebalance_id, "trades")
    query = trade_filter.params()
    return get(tuple[TradeDetail, ...], *steps, **query, sort_by=sort_by, limit=limit)


def read_trade_totals(
    rebalance_id: str, trade_filter: TradeFilter = ALL_TRADES
) -> Call[TradeTotals]:
    """Read the totals that a hand-over would send, by side, and those that are held back."""
    steps = ("rebalance", rebalance_id, "transactions", "totals")
    return get(TradeTotals, *steps, **trade_filter.params())
