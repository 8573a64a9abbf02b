"""Trades of a rebalance under review, and their totals."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from serve_app.client.responses.positions import PositionDetail
from serve_app.client.responses.proposals import Hold

Approval = Literal["NONE", "PROPOSED", "APPROVED", "ORDERED", "HELD"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeDetail(PositionDetail):
    """One trade with its weights before and after, and whether its order may be sent."""

    portfolio_id: str
    approval: Approval
    hold: Hold | None


@dataclass(frozen=True, slots=True)
class TotalsOfTrades:
    """Number of trades, and the sum of quantity times price."""

    transactions: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class TradeTotals:
    """Trades that a hand-over of the orders would send, by side, and those that are held back."""

    rebalance_id: str
    proposal_id: str | None
    portfolios: int
    buys: TotalsOfTrades
    sells: TotalsOfTrades
    held: TotalsOfTrades
